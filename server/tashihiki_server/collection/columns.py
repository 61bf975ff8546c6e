"""What filters compare of the items' metadata: a column for each path, a cell for each row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tashihiki.errors import FailedPreconditionError
from tashihiki_server.query.filter import Bounds, Mask, Scalar

MAX_PATHS = 128
# So many paths without a column are remembered by name; then none is known not to be there.
MAX_LEFT_OUT = 4096

_Numbers = NDArray[np.float64]
_Marks = NDArray[np.int64]

# What stands in a column of marks. Text has odd marks, so these are no text's.
_ABSENT = 0
_STRUCTURE = 2
_FALSE = 4
_TRUE = 6


class _Column(NamedTuple):
    """The cells of one path, in arrays that are made when the first cell needs them.

    Attributes:
        numbers: (capacity,), NaN where there is no number.
        marks: (capacity,), of everything else that is there.
    """

    numbers: _Numbers | None = None
    marks: _Marks | None = None

    def present(self, count: int) -> Mask:
        present = np.zeros(count, dtype=bool)
        if self.numbers is not None:
            present |= ~np.isnan(self.numbers[:count])
        if self.marks is not None:
            present |= self.marks[:count] != _ABSENT
        return present

    def grown(self, capacity: int) -> _Column:
        return self.taken(slice(None), capacity)

    def taken(self, rows: NDArray[np.int64] | slice, capacity: int) -> _Column:
        numbers, marks = self.numbers, self.marks
        if numbers is not None:
            chosen = numbers[rows]
            numbers = _blank_numbers(capacity)
            numbers[: len(chosen)] = chosen
        if marks is not None:
            kept = marks[rows]
            marks = _blank_marks(capacity)
            marks[: len(kept)] = kept
        return _Column(numbers, marks)


class _LeftOut:
    """Paths that have values but no column.

    None leaves by itself, since its column would have gaps; see `MetadataView.readmitting`.
    """

    def __init__(self) -> None:
        self._paths: set[str] = set()
        self._full = False

    def __contains__(self, path: str) -> bool:
        return self._full or path in self._paths

    def __bool__(self) -> bool:
        return bool(self._paths)

    def add(self, path: str) -> None:
        if not self._full:
            self._paths.add(path)
            self._full = len(self._paths) >= MAX_LEFT_OUT

    def copy(self) -> _LeftOut:
        other = _LeftOut()
        other._paths = set(self._paths)
        other._full = self._full
        return other


@dataclass(frozen=True)
class MetadataView:
    """The columns at one moment.

    Every method takes the number of rows there were at that moment and returns a mask (count,).
    A path that no item has is no fault: metadata has no vocabulary.
    """

    _columns: Mapping[str, _Column]
    _left_out: _LeftOut

    def between(self, path: str, bounds: Bounds, count: int) -> Mask:
        """The rows with a number within the bounds.

        Raises:
            FailedPreconditionError: FILTER_PATH_LIMIT.
        """
        numbers = self._column(path).numbers
        if numbers is None:
            return np.zeros(count, dtype=bool)
        return bounds.admit(numbers[:count])

    def equal(self, path: str, values: tuple[Scalar, ...], count: int) -> Mask:
        """The rows with one of the values; numbers, text and booleans are never equal.

        Raises:
            FailedPreconditionError: FILTER_PATH_LIMIT.
        """
        column = self._column(path)
        equal = np.zeros(count, dtype=bool)
        wanted = [number for value in values if (number := _number(value)) is not None]
        if column.numbers is not None and wanted:
            equal |= np.isin(column.numbers[:count], wanted)
        marked = [_mark(value) for value in values if _number(value) is None]
        if column.marks is not None and marked:
            equal |= np.isin(column.marks[:count], np.array(marked, dtype=np.int64))
        return equal

    def present(self, path: str, count: int) -> Mask:
        """The rows with anything there but null.

        Raises:
            FailedPreconditionError: FILTER_PATH_LIMIT.
        """
        return self._column(path).present(count)

    def taken(self, rows: NDArray[np.int64], capacity: int) -> MetadataColumns:
        """Some of the rows, in another order: row i is `rows[i]` of these.

        Args:
            rows: (n,).
            capacity: at least n.
        """
        other = MetadataColumns(capacity)
        other._left_out = self._left_out.copy()
        for path, column in self._columns.items():
            taken = column.taken(rows, capacity)
            if taken.present(len(rows)).any():
                other._columns[path] = taken
        return other

    def readmitting(self, alive: Mask, capacity: int) -> MetadataColumns | None:
        """Columns that leave nothing out yet, for every live row to be put into again.

        Paths that live rows have keep their columns, so that none is lost to another.

        Args:
            alive: (count,).
            capacity: at least count.

        Returns:
            None where nothing is left out, or there is no room for it.
        """
        if not self._left_out:
            return None
        other = MetadataColumns(capacity)
        for path, column in self._columns.items():
            if column.present(len(alive))[alive].any():
                other._columns[path] = column.taken(slice(len(alive)), capacity)
        return other if len(other._columns) < MAX_PATHS else None

    def _column(self, path: str) -> _Column:
        column = self._columns.get(path)
        if column is not None:
            return column
        if path in self._left_out:
            raise FailedPreconditionError(
                f"the metadata at {path[:80]!r} cannot be filtered: the items' metadata has,"
                f" or had, more than {MAX_PATHS} paths",
                reason="FILTER_PATH_LIMIT",
                field="filter",
                remedy="Keep fewer keys in the metadata, or make the key a facet. Room that keys"
                " leave is used when the index is built again, or at the next start.",
            )
        return _Column()


class MetadataColumns:
    """The columns of a collection, for the one thread that writes at a time.

    A row that readers see is put once and never changed, so a view stays true for as long as a
    reader holds it. Nested objects are flattened: their keys are joined by dots. A path takes 8
    bytes a row for its numbers and 8 for whatever else it holds; text is kept as the hash of this
    process, 63 keyed bits of which two texts share the same about never.

    Args:
        capacity: rows there is room for.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._columns: dict[str, _Column] = {}
        self._left_out = _LeftOut()

    def put(self, row: int, metadata: Mapping[str, Any]) -> None:
        """Fills a row that is still empty.

        Args:
            row: its number, below the capacity.
            metadata: as JSON has it.
        """
        if not metadata:
            return
        cells: dict[str, Any] = {}
        _flatten("", metadata, cells)
        for path, value in cells.items():
            column = self._columns.get(path)
            if column is None:
                if len(self._columns) >= MAX_PATHS or path in self._left_out:
                    self._left_out.add(path)
                    continue
                column = self._columns[path] = _Column()
            number = _number(value)
            if number is None:
                self._marks(path, column)[row] = _mark(value)
            else:
                self._numbers(path, column)[row] = number

    def grow(self, capacity: int) -> None:
        """Makes room for so many rows; readers keep the old arrays."""
        if capacity == self._capacity:
            return
        self._capacity = capacity
        self._columns = {path: column.grown(capacity) for path, column in self._columns.items()}

    def view(self) -> MetadataView:
        """The columns as they are now, for readers."""
        return MetadataView(dict(self._columns), self._left_out)

    def taken(self, rows: NDArray[np.int64], capacity: int) -> MetadataColumns:
        """See `MetadataView.taken`."""
        return self.view().taken(rows, capacity)

    def _numbers(self, path: str, column: _Column) -> _Numbers:
        numbers = column.numbers
        if numbers is None:
            numbers = _blank_numbers(self._capacity)
            self._columns[path] = column._replace(numbers=numbers)
        return numbers

    def _marks(self, path: str, column: _Column) -> _Marks:
        marks = column.marks
        if marks is None:
            marks = _blank_marks(self._capacity)
            self._columns[path] = column._replace(marks=marks)
        return marks


def _flatten(prefix: str, content: Mapping[str, Any], cells: dict[str, Any]) -> None:
    # In order, so that of `a` holding `b` and a key `a.b` the latter always counts.
    for key in sorted(content):
        value = content[key]
        if value is None:
            continue
        path = prefix + key
        cells[path] = value
        if isinstance(value, dict):
            _flatten(f"{path}.", value, cells)


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")


def _mark(value: object) -> int:
    if isinstance(value, str):
        return hash(value) | 1
    if isinstance(value, bool):
        return _TRUE if value else _FALSE
    return _STRUCTURE


def _blank_numbers(capacity: int) -> _Numbers:
    return np.full(capacity, np.nan)


def _blank_marks(capacity: int) -> _Marks:
    return np.full(capacity, _ABSENT, dtype=np.int64)
