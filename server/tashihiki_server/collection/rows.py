"""A collection's gallery in memory: one row for each version of an item that was written.

Rows are only appended and marked dead, never changed, so a view of the first `count` rows with
its own marks stays true for as long as a search holds it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tashihiki_server.query.filter import Mask
from tashihiki_server.space.base import Vectors
from tashihiki_server.vocabulary import AttributeKey, Vocabulary

_Codes = NDArray[np.int32]
UNLABELLED = -1


@dataclass(frozen=True)
class Row:
    """One item: its gallery vector and the numbers of its values by folded facet."""

    id: str
    version: int
    codes: Mapping[str, int]
    vector: Vectors
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class RowsView:
    """The rows at one moment.

    Attributes:
        count: of rows, dead ones included; the arrays may be longer.
        alive: (count,).
    """

    count: int
    alive: Mask
    _vectors: Vectors
    _ids: list[str]
    _versions: list[int]
    _codes: Mapping[str, _Codes]
    _vocabulary: Vocabulary

    def __len__(self) -> int:
        return self.count

    @property
    def vectors(self) -> Vectors:
        """(count, d)."""
        return self._vectors[: self.count]

    def id(self, row: int) -> str:
        """The item of a row."""
        return self._ids[row]

    def version(self, row: int) -> int:
        """The version of the item of a row."""
        return self._versions[row]

    def attributes(self, row: int) -> dict[str, str]:
        """The labels of a row, in the vocabulary's spelling."""
        names = self._vocabulary
        return {
            names.facet_name(facet): names.value_name(AttributeKey(facet, int(codes[row])))
            for facet, codes in self._codes.items()
            if codes[row] != UNLABELLED
        }

    def members(self, key: AttributeKey) -> NDArray[np.int64]:
        """The live rows that carry the value."""
        codes = self._codes.get(key.facet)
        if codes is None:
            return np.empty(0, dtype=np.int64)
        return np.flatnonzero((codes[: self.count] == key.code) & self.alive)

    def labels(self, facets: Sequence[str]) -> NDArray[np.int64]:
        """The numbers of the values, (count, facets); UNLABELLED where there is none."""
        labels = np.full((self.count, len(facets)), UNLABELLED, dtype=np.int64)
        for number, facet in enumerate(facets):
            if facet in self._codes:
                labels[:, number] = self._codes[facet][: self.count]
        return labels

    def moved(self, numbers: NDArray[np.int64], vectors: Vectors) -> Rows:
        """Some of the rows, in another space.

        Args:
            numbers: of live rows, (n,).
            vectors: their gallery vectors there, (n, dimension).
        """
        return Rows.of(
            [self._ids[number] for number in numbers.tolist()],
            [self._versions[number] for number in numbers.tolist()],
            {facet: codes[numbers] for facet, codes in self._codes.items()},
            vectors,
            self._vocabulary,
        )

    def labelled(self) -> Mask:
        """Which rows carry a value of some facet, (count,)."""
        labelled = np.zeros(self.count, dtype=bool)
        for codes in self._codes.values():
            labelled |= codes[: self.count] != UNLABELLED
        return labelled

    def keys(self) -> set[AttributeKey]:
        """The values that some live row carries."""
        return {
            AttributeKey(facet, int(code))
            for facet, codes in self._codes.items()
            for code in np.unique(codes[: self.count][self.alive])
            if code != UNLABELLED
        }

    def having(self, facet: str, values: tuple[str, ...]) -> Mask:
        """See `LabelledRows.having`."""
        key = self._vocabulary.find_facet(facet, "filter")
        codes = self._codes.get(key)
        wanted = [self._vocabulary.find_value(key, value, "filter").code for value in values]
        if codes is None:
            return np.zeros(self.count, dtype=bool)
        return np.isin(codes[: self.count], wanted)


class Rows:
    """The rows of a collection, for the one thread that writes at a time."""

    def __init__(self, dimension: int, vocabulary: Vocabulary, capacity: int = 64) -> None:
        self._dimension = dimension
        self._vocabulary = vocabulary
        self._count = 0
        self._vectors: Vectors = np.zeros((max(capacity, 1), dimension), dtype=np.float32)
        self._codes: dict[str, _Codes] = {}
        self._ids: list[str] = []
        self._versions: list[int] = []
        self._alive = np.zeros(max(capacity, 1), dtype=bool)
        self._row_of: dict[str, int] = {}

    @classmethod
    def arranged(
        cls,
        rows: Iterable[Row],
        *,
        dimension: int,
        vocabulary: Vocabulary,
        capacity: int,
        ids: Sequence[str] = (),
        versions: Sequence[int] | NDArray[np.int64] = (),
    ) -> Rows:
        """Rows in the order of an index: first what it holds, then the rest.

        A row of the index whose item has since been deleted or changed is dead.
        """
        self = cls(dimension, vocabulary, capacity=len(ids) + capacity)
        self._ids = list(ids)
        self._versions = [int(version) for version in versions]
        self._count = len(ids)
        place = {identifier: row for row, identifier in enumerate(ids)}
        for row in rows:
            at = place.get(row.id)
            if at is not None and self._versions[at] == row.version:
                self._put(at, row)
            else:
                self._append(row)
        return self

    @classmethod
    def of(
        cls,
        ids: list[str],
        versions: list[int],
        codes: Mapping[str, _Codes],
        vectors: Vectors,
        vocabulary: Vocabulary,
    ) -> Rows:
        """Rows from their columns, all of them live."""
        self = cls(vectors.shape[1], vocabulary)
        self._count = len(ids)
        self._vectors = np.array(vectors, dtype=np.float32)
        self._codes = dict(codes)
        self._ids = ids
        self._versions = versions
        self._alive = np.ones(len(ids), dtype=bool)
        self._row_of = {identifier: row for row, identifier in enumerate(ids)}
        return self

    def live(self) -> Iterator[Row]:
        """The rows that count."""
        for row in self._row_of.values():
            yield self.row(row)

    def row(self, number: int) -> Row:
        """A row by its number."""
        codes = {
            facet: int(column[number])
            for facet, column in self._codes.items()
            if column[number] != UNLABELLED
        }
        return Row(self._ids[number], self._versions[number], codes, self._vectors[number])

    def find(self, identifier: str) -> Row | None:
        """The live row of an item."""
        number = self._row_of.get(identifier)
        return None if number is None else self.row(number)

    def __contains__(self, identifier: str) -> bool:
        return identifier in self._row_of

    def __len__(self) -> int:
        """How many items there are."""
        return len(self._row_of)

    def write(self, row: Row) -> None:
        """Adds an item, or replaces the one of its id, which is there throughout."""
        before = self._row_of.get(row.id)
        self._append(row)
        if before is not None:
            self._alive[before] = False

    def remove(self, identifier: str) -> None:
        """Marks an item's row dead, if there is one."""
        number = self._row_of.pop(identifier, None)
        if number is not None:
            self._alive[number] = False

    def view(self) -> RowsView:
        """The rows as they are now, for readers."""
        return RowsView(
            self._count,
            self._alive[: self._count].copy(),
            self._vectors,
            self._ids,
            self._versions,
            dict(self._codes),
            self._vocabulary,
        )

    def _append(self, row: Row) -> None:
        if self._count == len(self._vectors):
            self._grow()
        self._ids.append(row.id)
        self._versions.append(row.version)
        self._count += 1
        self._put(self._count - 1, row)

    def _put(self, number: int, row: Row) -> None:
        self._vectors[number] = row.vector
        for facet, code in row.codes.items():
            if facet not in self._codes:
                self._codes[facet] = np.full(len(self._vectors), UNLABELLED, dtype=np.int32)
            self._codes[facet][number] = code
        self._alive[number] = True
        self._row_of[row.id] = number

    def _grow(self) -> None:
        # Readers keep the old arrays, which stay as they were.
        more = max(len(self._vectors), 64)
        blanks = np.zeros((more, self._dimension), dtype=np.float32)
        self._vectors = np.concatenate([self._vectors, blanks])
        self._alive = np.concatenate([self._alive, np.zeros(more, dtype=bool)])
        blank = np.full(more, UNLABELLED, dtype=np.int32)
        self._codes = {f: np.concatenate([column, blank]) for f, column in self._codes.items()}
