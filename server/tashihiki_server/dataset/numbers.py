"""Cells that are numbers, so that filters can compare them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass

# As people and programs write numbers. A leading zero makes a code of it, a whole number of more
# digits than a double holds an identifier.
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?", re.ASCII)
_MOST_DIGITS = 15
# Of fewer cells most may be numbers by chance, as some titles are.
_MANY = 10


def are_numbers(cells: Iterable[str]) -> bool:
    """Whether all cells that are filled hold numbers, and some is filled."""
    filled = [cell for cell in cells if cell]
    return bool(filled) and all(_is_number(cell) for cell in filled)


def are_measures(cells: Iterable[str]) -> bool:
    """Whether all are numbers and some have decimals, as prices and sizes do and classes do not."""
    filled = [cell for cell in cells if cell]
    return are_numbers(filled) and not all(cell.lstrip("-").isdigit() for cell in filled)


@dataclass(frozen=True)
class Stray:
    """A cell that keeps a column from being one of numbers.

    Attributes:
        row: its place among the cells, from 1.
        cell: what it holds.
        count: of such cells in the column.
    """

    row: int
    cell: str
    count: int


def stray_among_numbers(cells: Iterable[str]) -> Stray | None:
    """The first cell that is no number where all but a tenth of ten or more filled ones are."""
    first: tuple[int, str] | None = None
    filled = strays = 0
    for row, cell in enumerate(cells, 1):
        filled += bool(cell)
        if cell and not _is_number(cell):
            first = first or (row, cell)
            strays += 1
    if first is None or filled < _MANY or strays > filled // 10:
        return None
    return Stray(*first, strays)


def as_number(cell: str) -> int | float:
    """The number in a cell of such a column; whole ones as integers."""
    value = float(cell)
    return int(value) if value.is_integer() else value


def _is_number(cell: str) -> bool:
    if _NUMBER.fullmatch(cell) is None or not math.isfinite(float(cell)):
        return False
    return not cell.lstrip("-").isdigit() or len(cell.lstrip("-")) <= _MOST_DIGITS
