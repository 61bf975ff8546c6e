"""Tables as plain rows of text: CSV, TSV and Parquet."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tashihiki_server.dataset.failure import not_found, unreadable

SUFFIXES = (".csv", ".tsv", ".parquet")
# Of values that repeat, one copy is kept; of so many different ones most do not.
MAX_SHARED = 10_000


class Row:
    """Cells by column: a tuple, since a dictionary for each of a million rows takes gigabytes."""

    __slots__ = ("_cells", "_places")

    def __init__(self, places: Mapping[str, int], cells: tuple[str, ...]) -> None:
        """Holds a cell for each place; all rows of a table share `places`."""
        self._places = places
        self._cells = cells

    def __getitem__(self, column: str) -> str:
        """The cell of a column; the empty text where it is missing."""
        return self._cells[self._places[column]]


class _Rows:
    """Makes the rows of one table."""

    def __init__(self, columns: Sequence[str]) -> None:
        self._places = {name: place for place, name in enumerate(columns)}
        self._shared: dict[str, str] = {}

    def row(self, cells: Sequence[str]) -> Row:
        padded = [*cells, *[""] * (len(self._places) - len(cells))]
        return Row(self._places, tuple(self._one_copy(cell.strip()) for cell in padded))

    def _one_copy(self, cell: str) -> str:
        if len(self._shared) < MAX_SHARED:
            return self._shared.setdefault(cell, cell)
        return self._shared.get(cell, cell)


def read_rows(path: Path) -> tuple[list[str], list[Row]]:
    """Columns and rows of a table; a missing cell is the empty text.

    Raises:
        NotFoundError: CATALOGUE_NOT_FOUND.
        InvalidArgumentError: CATALOGUE_INVALID.
    """
    if not path.is_file():
        raise not_found(path)
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise unreadable(path, f"its suffix is none of {', '.join(SUFFIXES)}")
    columns, rows = _parquet(path) if suffix == ".parquet" else _delimited(path, suffix)
    if len(set(columns)) != len(columns):
        raise unreadable(path, "two columns share a name")
    return columns, rows


def line_of(path: Path, row: int) -> int | None:
    """The line in which a row of a CSV or TSV file begins, both from 1; None if it has none.

    Reads the file again, since a line for each of a million rows would be kept for a few.
    """
    suffix = path.suffix.lower()
    if suffix == ".parquet":
        return None
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = csv.reader(file, delimiter=_delimiter(suffix), strict=True)
            next(lines, [])
            number, begin = 0, lines.line_num + 1
            for cells in lines:
                number += any(cells)
                if number == row:
                    return begin
                begin = lines.line_num + 1
    except (OSError, UnicodeDecodeError, csv.Error):
        pass
    return None


def _delimiter(suffix: str) -> str:
    return "\t" if suffix == ".tsv" else ","


def _delimited(path: Path, suffix: str) -> tuple[list[str], list[Row]]:
    try:
        # utf-8-sig, because spreadsheets put a byte order mark in front.
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = csv.reader(file, delimiter=_delimiter(suffix), strict=True)
            columns = [name.strip() for name in next(lines, [])]
            made = _Rows(columns)
            rows = [
                made.row(_checked(cells, columns, path, lines.line_num))
                for cells in lines
                if any(cells)
            ]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise unreadable(path, error) from error
    return columns, rows


def _checked(cells: list[str], columns: list[str], path: Path, line: int) -> list[str]:
    if len(cells) > len(columns):
        raise unreadable(path, f"line {line} has {len(cells)} cells under {len(columns)} columns")
    return cells


def _parquet(path: Path) -> tuple[list[str], list[Row]]:
    # Half a second to import, and most catalogues are CSV.
    import pyarrow
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.read_table(path)
    except (OSError, pyarrow.ArrowException) as error:
        raise unreadable(path, error) from error
    columns = list(table.column_names)
    made = _Rows(columns)
    rows = [
        made.row([_text(cell) for cell in cells])
        for batch in table.to_batches(MAX_SHARED)
        for cells in zip(*(column.to_pylist() for column in batch.columns), strict=True)
    ]
    return columns, rows


def _text(cell: Any) -> str:
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return ""
    if isinstance(cell, float) and cell.is_integer():
        # A column of whole numbers with gaps comes out of pandas as floats.
        return str(int(cell))
    return str(cell).strip()
