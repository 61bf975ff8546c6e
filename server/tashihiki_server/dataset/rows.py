"""Tables as plain rows of text: CSV, TSV and Parquet."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Any

from tashihiki_server.dataset.failure import not_found, unreadable

SUFFIXES = (".csv", ".tsv", ".parquet")
Row = dict[str, str]


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


def _delimited(path: Path, suffix: str) -> tuple[list[str], list[Row]]:
    try:
        # utf-8-sig, because spreadsheets put a byte order mark in front.
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = csv.reader(file, delimiter="\t" if suffix == ".tsv" else ",", strict=True)
            columns = [name.strip() for name in next(lines, [])]
            rows = [_row(columns, cells, path, lines.line_num) for cells in lines if any(cells)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise unreadable(path, error) from error
    return columns, rows


def _row(columns: list[str], cells: list[str], path: Path, line: int) -> Row:
    if len(cells) > len(columns):
        raise unreadable(path, f"line {line} has {len(cells)} cells under {len(columns)} columns")
    padded = cells + [""] * (len(columns) - len(cells))
    return {name: cell.strip() for name, cell in zip(columns, padded, strict=True)}


def _parquet(path: Path) -> tuple[list[str], list[Row]]:
    # Half a second to import, and most catalogues are CSV.
    import pyarrow
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.read_table(path)
    except (OSError, pyarrow.ArrowException) as error:
        raise unreadable(path, error) from error
    rows = [{name: _text(cell) for name, cell in row.items()} for row in table.to_pylist()]
    return list(table.column_names), rows


def _text(cell: Any) -> str:
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return ""
    if isinstance(cell, float) and cell.is_integer():
        # A column of whole numbers with gaps comes out of pandas as floats.
        return str(int(cell))
    return str(cell).strip()
