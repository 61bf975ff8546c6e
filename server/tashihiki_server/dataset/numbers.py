"""Cells that are numbers, so that filters can compare them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

# As people and programs write numbers. A leading zero makes a code of it, a whole number of more
# digits than a double holds an identifier.
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?", re.ASCII)
_MOST_DIGITS = 15


def are_numbers(cells: Iterable[str]) -> bool:
    """Whether all cells that are filled hold numbers, and some is filled."""
    filled = [cell for cell in cells if cell]
    return bool(filled) and all(_is_number(cell) for cell in filled)


def are_measures(cells: Iterable[str]) -> bool:
    """Whether all are numbers and some have decimals, as prices and sizes do and classes do not."""
    filled = [cell for cell in cells if cell]
    return are_numbers(filled) and not all(cell.lstrip("-").isdigit() for cell in filled)


def as_number(cell: str) -> int | float:
    """The number in a cell of such a column; whole ones as integers."""
    value = float(cell)
    return int(value) if value.is_integer() else value


def _is_number(cell: str) -> bool:
    if _NUMBER.fullmatch(cell) is None or not math.isfinite(float(cell)):
        return False
    return not cell.lstrip("-").isdigit() or len(cell.lstrip("-")) <= _MOST_DIGITS
