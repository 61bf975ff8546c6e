"""Photos out of a table with a path column and facet columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import overload

from tashihiki.errors import AlreadyExistsError, InvalidArgumentError
from tashihiki_server.dataset.aliases import Aliases
from tashihiki_server.dataset.failure import checked, unknown_column
from tashihiki_server.dataset.numbers import (
    are_measures,
    are_numbers,
    as_number,
    stray_among_numbers,
)
from tashihiki_server.dataset.photo import Dataset, Photo, Skipped
from tashihiki_server.dataset.rows import Row, line_of, read_rows

PATH_COLUMNS = ("path", "image", "file", "filename")


def read_table(
    path: Path,
    *,
    path_column: str | None = None,
    id_column: str | None = None,
    facets: Sequence[str] | None = None,
    metadata: Sequence[str] | None = None,
    aliases: Aliases | None = None,
    image_root: Path | None = None,
) -> Dataset:
    """Reads a CSV, TSV or Parquet catalogue, one row per photo.

    Args:
        path_column: default: the first of path, image, file and filename that is there.
        id_column: default: the path as the table has it.
        facets: the columns that are facets; by default every column whose values repeat, that
            is with at most half as many distinct values as filled cells, but for numbers with
            decimals.
        metadata: the columns that are kept as metadata; by default all the others. Those whose
            filled cells are all numbers are kept as numbers, which filters compare.
        image_root: what paths are relative to; by default the table's folder.

    Raises:
        NotFoundError: CATALOGUE_NOT_FOUND.
        InvalidArgumentError: CATALOGUE_INVALID, CATALOGUE_EMPTY or UNKNOWN_COLUMN.
        AlreadyExistsError: DUPLICATE_ID.
    """
    columns, rows = read_rows(path)
    where = _path_column(columns, path_column)
    for field, names in (
        ("id_column", [id_column] if id_column else []),
        ("facet", facets or []),
        ("metadata", metadata or []),
    ):
        _check_columns(names, field, columns)
    special = {where, id_column}
    chosen = (
        list(facets)
        if facets
        else [name for name in columns if name not in special and _repeats(rows, name)]
    )
    kept = (
        list(metadata)
        if metadata is not None
        else [name for name in columns if name not in special and name not in chosen]
    )
    numeric = {name for name in kept if are_numbers(row[name] for row in rows)}
    root = image_root or path.parent
    reader = _RowReader(where, id_column, chosen, kept, numeric, aliases or Aliases(), root)
    # Where facets were named, a number among them is no mistake.
    doubtful = kept if facets else [*chosen, *kept]
    warnings = [
        warning for name in doubtful for warning in _stray(path, rows, name, name in chosen)
    ]
    read = replace(_read(reader, rows), warnings=warnings, facets_found=not facets)
    return checked(read, path, root=root)


class _RowReader:
    """Turns rows into photos, as often as they are asked for."""

    def __init__(
        self,
        path_column: str,
        id_column: str | None,
        facets: list[str],
        metadata: list[str],
        numeric: set[str],
        aliases: Aliases,
        root: Path,
    ) -> None:
        self.path_column = path_column
        self.id_column = id_column or path_column
        self.facets = facets
        self.metadata = metadata
        self.numeric = numeric
        self.aliases = aliases
        self.root = root

    def fault(self, row: Row) -> Skipped | None:
        """Why the row is no photo, if it is none."""
        path = self.root / row[self.path_column]
        if not row[self.path_column]:
            return Skipped(path, f"its {self.path_column} is empty")
        if not row[self.id_column]:
            return Skipped(path, f"its {self.id_column} is empty")
        try:
            there = path.is_file()
        except (OSError, ValueError) as error:
            return Skipped(path, str(error))
        return None if there else Skipped(path, "there is no such file")

    def photo(self, row: Row) -> Photo:
        """The photo of a row that has no fault."""
        attributes = {f: self.aliases.value(f, row[f]) for f in self.facets if row[f]}
        metadata = {
            name: as_number(row[name]) if name in self.numeric else row[name]
            for name in self.metadata
            if row[name]
        }
        path = self.root / row[self.path_column]
        return Photo(row[self.id_column], path, attributes, metadata)


class _Photos(Sequence[Photo]):
    """Each photo is made when it is asked for: a million of them need not be in memory."""

    def __init__(self, reader: _RowReader, rows: list[Row]) -> None:
        self._reader = reader
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, number: int) -> Photo: ...

    @overload
    def __getitem__(self, number: slice) -> Sequence[Photo]: ...

    def __getitem__(self, number: int | slice) -> Photo | Sequence[Photo]:
        if isinstance(number, slice):
            return _Photos(self._reader, self._rows[number])
        return self._reader.photo(self._rows[number])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]


def _read(reader: _RowReader, rows: list[Row]) -> Dataset:
    sound: list[Row] = []
    skipped: list[Skipped] = []
    first: dict[str, int] = {}
    for number, row in enumerate(rows, 1):
        fault = reader.fault(row)
        if fault is not None:
            skipped.append(fault)
            continue
        id_ = row[reader.id_column]
        if id_ in first:
            raise _duplicate(id_, first[id_], number)
        first[id_] = number
        sound.append(row)
    return Dataset(_Photos(reader, sound), reader.facets, skipped)


def _path_column(columns: list[str], asked: str | None) -> str:
    if asked:
        _check_columns([asked], "path_column", columns)
        return asked
    for name in PATH_COLUMNS:
        if name in columns:
            return name
    raise InvalidArgumentError(
        f"none of the columns is called {', '.join(PATH_COLUMNS)}",
        reason="UNKNOWN_COLUMN",
        field="path_column",
        remedy=f"Say which column holds the paths: {', '.join(columns) or 'there are none'}.",
    )


def _check_columns(names: Sequence[str], field: str, columns: list[str]) -> None:
    for name in names:
        if name not in columns:
            raise unknown_column(name, field, columns)


def _repeats(rows: list[Row], column: str) -> bool:
    filled = [row[column] for row in rows if row[column]]
    return bool(filled) and 2 * len(set(filled)) <= len(filled) and not are_measures(filled)


def _stray(path: Path, rows: list[Row], column: str, is_facet: bool) -> Iterator[str]:
    stray = stray_among_numbers(row[column] for row in rows)
    if stray is None:
        return
    line = line_of(path, stray.row)
    where = f"row {stray.row}" if line is None else f"line {line}"
    more = f" and {stray.count - 1} more" if stray.count > 1 else ""
    kept = "is a facet" if is_facet else "is kept as text"
    yield (
        f"column {column} {kept} and not compared as numbers, because of {stray.cell!r} in"
        f" {where}{more}; correct the cell or leave it empty"
    )


def _duplicate(id_: str, first: int, second: int) -> AlreadyExistsError:
    return AlreadyExistsError(
        f"rows {first} and {second} have the same id {id_!r}",
        reason="DUPLICATE_ID",
        field="id_column",
        remedy="Give every row an id of its own, or name a column that does.",
        details={"rows": f"{first}, {second}"},
    )
