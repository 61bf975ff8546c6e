"""Words and numbers as the query language and the filter language write them."""

from __future__ import annotations

import re

import numpy as np

_BARE = re.compile(r"[^\W\d]\w*")
_RESERVED = {"this", "item", "image", "vector", "in", "and", "or", "not"}


def word(text: str) -> str:
    """`text` bare where it may stand bare, else in double quotes."""
    if _BARE.fullmatch(text) and text.casefold() not in _RESERVED:
        return text
    return quoted(text)


def quoted(text: str) -> str:
    """`text` in double quotes."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def number(value: float) -> str:
    """A number without exponent that reads back as the same double."""
    return np.format_float_positional(value, trim="-")
