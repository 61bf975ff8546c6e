"""Why a filter on metadata admits nothing: a path that no item has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from itertools import islice
from typing import Any

from tashihiki.cli.filtered_metadata import filtered_paths, path_text
from tashihiki.cli.output import printable
from tashihiki.client import Client

# Items whose keys are compared with what was typed: mostly all items have the same.
_LOOKED_AT = 100


def missing_metadata(client: Client, collection: str, where: str | None) -> str:
    """`; no item has metadata.pric; did you mean metadata.price?`; "" where each path is had.

    To be asked only where nothing was found: the server is asked once for each path.

    Raises:
        TashihikiError: what the server answers.
    """
    missing = {
        shown: ".".join(keys)
        for shown, keys in filtered_paths(where).items()
        if not any(islice(client.items(collection, where=f"exists({shown})", page_size=1), 1))
    }
    if not missing:
        return ""
    items = islice(client.items(collection, page_size=_LOOKED_AT), _LOOKED_AT)
    known = {path.casefold(): path for item in items for path in _paths(item.metadata)}
    told = []
    for shown, path in missing.items():
        near = get_close_matches(path.casefold(), known, n=1)
        guess = f"; did you mean {path_text(known[near[0]])}?" if near else ""
        told.append(f"; no item has {shown}{guess}")
    return printable("".join(told))


def _paths(metadata: Mapping[str, Any], before: str = "") -> Iterator[str]:
    for key, value in metadata.items():
        yield before + key
        if isinstance(value, Mapping):
            yield from _paths(value, f"{before}{key}.")
