"""Cells that are numbers, so that filters can compare them."""

from __future__ import annotations

import re
from collections.abc import Iterable

# As people write numbers. A leading zero makes a code of it, and more digits than a double holds
# make an identifier.
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?", re.ASCII)
_MOST_DIGITS = 15


def are_numbers(cells: Iterable[str]) -> bool:
    """Whether all cells that are filled hold numbers, and some is filled."""
    filled = [cell for cell in cells if cell]
    return bool(filled) and all(_is_number(cell) for cell in filled)


def as_number(cell: str) -> int | float:
    """The number in a cell of such a column; whole ones as integers."""
    value = float(cell)
    return int(value) if value.is_integer() else value


def _is_number(cell: str) -> bool:
    digits = sum(character.isdigit() for character in cell)
    return _NUMBER.fullmatch(cell) is not None and digits <= _MOST_DIGITS
