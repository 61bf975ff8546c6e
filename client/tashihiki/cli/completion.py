"""Names that a shell completes, as the server that runs knows them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

import typer

from tashihiki.client import Client

# Somebody waits with a finger on the key.
SECONDS = 0.5

# A server may name anything, and shells run what they find in a word that they are given. These
# words mean themselves to every shell, quoted or not; a leading dash would make an option of one,
# and zsh takes what follows a colon for a description.
_HARMLESS = re.compile(r"[\w.@%+][\w.@%+=,-]*")


def collection_names(context: typer.Context, incomplete: str) -> list[str]:
    """The collections of the server."""
    return _asked(
        context, incomplete, lambda client: (one.name for one in client.list_collections())
    )


def facet_names(context: typer.Context, incomplete: str) -> list[str]:
    """The facets of the collection that stands before."""
    collection = _collection(context)
    return _asked(
        context,
        incomplete,
        lambda client: (summary.facet for summary in client.attributes(collection)),
    )


def snapshot_names(context: typer.Context, incomplete: str) -> list[str]:
    """The snapshots of the collection that stands before."""
    collection = _collection(context)
    return _asked(
        context,
        incomplete,
        lambda client: (one.name for one in client.list_snapshots(collection)),
    )


def snapshot_sources(context: typer.Context, incomplete: str) -> list[str]:
    """The collections that have snapshots, also those that are deleted."""
    return _asked(
        context,
        incomplete,
        lambda client: dict.fromkeys(one.collection for one in client.list_snapshots()),
    )


def _collection(context: typer.Context) -> str:
    # An option that still lacks its value keeps the arguments from being told apart.
    return context.params.get("collection") or next(iter(context.args), "")


def _asked(
    context: typer.Context, incomplete: str, names: Callable[[Client], Iterable[str]]
) -> list[str]:
    """What the server names, if a shell can take it; nothing where it does not answer at once."""
    try:
        with Client(context.params["server"], timeout=SECONDS) as client:
            return [
                name
                for name in names(client)
                if name.startswith(incomplete) and _HARMLESS.fullmatch(name)
            ]
    except Exception:
        # Whatever is wrong, a message in the middle of somebody's line helps nobody.
        return []
