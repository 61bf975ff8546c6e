"""The metadata that a filter's text asks about."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

# As in the filter language: `metadata.price`, `metadata.size."unit cm"`. What stands in quotes is
# taken first: it is a value, whatever it says.
_PATH = re.compile(
    r""""(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|“[^”]*”"""
    r"""|(?<![^\s(])metadata((?:\.(?:"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|[^\s.,:：=()"'<>!]+))+)""",
    re.IGNORECASE,
)
_KEY = re.compile(r"""\.("(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|[^."']+)""")


def filtered_paths(where: str | None) -> dict[str, tuple[str, ...]]:
    """The paths in a filter, as they stand there, and the keys of each."""
    return {
        found[0]: tuple(map(_unquoted, _KEY.findall(found[1])))
        for found in _PATH.finditer(where or "")
        if found[1] is not None
    }


def path_text(path: str) -> str:
    """`metadata.price`, with quotes where a name needs them."""
    names = path.split(".")
    plain = re.compile(r"""[^\s.,:：=()"'<>!]+""")
    return ".".join(["metadata", *(n if plain.fullmatch(n) else f'"{n}"' for n in names)])


def cell(metadata: Mapping[str, Any], keys: tuple[str, ...]) -> str:
    """What stands at a path, as text; empty where nothing does."""
    found = _at(metadata, keys)
    if found is None or isinstance(found, Mapping):
        return ""
    if isinstance(found, bool):
        return "true" if found else "false"
    if isinstance(found, float):
        return f"{found:.15g}"
    if isinstance(found, Iterable) and not isinstance(found, str):
        return ", ".join(map(str, found))
    return str(found)


def _at(metadata: Mapping[str, Any], keys: tuple[str, ...]) -> Any:
    # A key that holds a dot counts before a nested one of the same path.
    for end in range(len(keys), 0, -1):
        found = metadata.get(".".join(keys[:end]))
        if found is None:
            continue
        if end == len(keys):
            return found
        if isinstance(found, Mapping) and (inner := _at(found, keys[end:])) is not None:
            return inner
    return None


def _unquoted(key: str) -> str:
    quoted = len(key) >= 2 and key[0] in "\"'" and key[0] == key[-1]
    return re.sub(r"\\(.)", r"\1", key[1:-1]) if quoted else key
