"""A collection's gallery in memory: one row for each version of an item that was written.

The first rows are frozen: their vectors are one block, in the order of the index. Later rows are
only appended, and all are only marked dead, never changed, so a view of the first `count` rows
with its own marks stays true for as long as a search holds it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tashihiki_server.collection.columns import MetadataColumns, MetadataView
from tashihiki_server.query.filter import Bounds, Mask, Scalar
from tashihiki_server.space.base import Vectors
from tashihiki_server.vocabulary import AttributeKey, Vocabulary

_Codes = NDArray[np.int32]
RowNumbers = NDArray[np.int64]
UNLABELLED = -1
_CAPACITY = 64
# Of metadata, about.
_NUMBER_BYTES = 8


@dataclass(frozen=True)
class Row:
    """One item: its gallery vector and the numbers of its values by folded facet.

    A row that is read back has no metadata: only what filters need of it is kept.
    """

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
        frozen: (covered, d), the vectors of the first rows.
    """

    count: int
    alive: Mask
    frozen: Vectors
    _newer: Vectors
    _ids: NDArray[np.object_]
    _versions: NDArray[np.int64]
    _metadata_sizes: NDArray[np.int32]
    _codes: Mapping[str, _Codes]
    _metadata: MetadataView
    _vocabulary: Vocabulary

    def __len__(self) -> int:
        return self.count

    @property
    def newer(self) -> Vectors:
        """(count - covered, d), the vectors of the rows that are not frozen."""
        return self._newer[: self.count - len(self.frozen)]

    def take(self, rows: RowNumbers) -> Vectors:
        """The vectors of some rows, (n, d)."""
        covered = len(self.frozen)
        if covered == self.count or not len(rows) or rows.max() < covered:
            return self.frozen.take(rows, axis=0)
        if rows.min() >= covered:
            return self._newer[rows - covered]
        taken = np.empty((len(rows), self.frozen.shape[1]), dtype=np.float32)
        old = rows < covered
        taken[old] = self.frozen[rows[old]]
        taken[~old] = self._newer[rows[~old] - covered]
        return taken

    def scores(self, vector: Vectors) -> NDArray[np.float32]:
        """The dot products of a vector (d,) with all rows, (count,)."""
        covered = len(self.frozen)
        scores = np.empty(self.count, dtype=np.float32)
        np.dot(self.frozen, vector, out=scores[:covered])
        np.dot(self.newer, vector, out=scores[covered:])
        return scores

    def id(self, row: int) -> str:
        """The item of a row."""
        identifier: str = self._ids[row]
        return identifier

    def ids(self, rows: RowNumbers) -> NDArray[np.object_]:
        """The items of some rows."""
        return self._ids[rows]

    def version(self, row: int) -> int:
        """The version of the item of a row."""
        return int(self._versions[row])

    def versions(self, rows: RowNumbers) -> NDArray[np.int64]:
        """The versions of the items of some rows."""
        return self._versions[rows]

    def metadata_sizes(self, rows: RowNumbers) -> NDArray[np.int32]:
        """About how many bytes of metadata the items of some rows have."""
        return self._metadata_sizes[rows]

    def attributes(self, row: int) -> dict[str, str]:
        """The labels of a row, in the vocabulary's spelling."""
        names = self._vocabulary
        return {
            names.facet_name(facet): names.value_name(AttributeKey(facet, int(codes[row])))
            for facet, codes in self._codes.items()
            if codes[row] != UNLABELLED
        }

    def members(self, key: AttributeKey) -> RowNumbers:
        """The live rows that carry the value."""
        codes = self._codes.get(key.facet)
        if codes is None:
            return np.empty(0, dtype=np.int64)
        return np.flatnonzero((codes[: self.count] == key.code) & self.alive)

    def labels(self, facets: Sequence[str], rows: RowNumbers | None = None) -> NDArray[np.int64]:
        """The numbers of the values, (rows, facets); UNLABELLED where there is none."""
        wanted = slice(0, self.count) if rows is None else rows
        size = self.count if rows is None else len(rows)
        labels = np.full((size, len(facets)), UNLABELLED, dtype=np.int64)
        for number, facet in enumerate(facets):
            if facet in self._codes:
                labels[:, number] = self._codes[facet][wanted]
        return labels

    def moved(self, numbers: RowNumbers, vectors: Vectors) -> Rows:
        """Some of the rows, in another space, all of them frozen.

        Args:
            numbers: of live rows, (n,).
            vectors: theirs there, (n, dimension).
        """
        return self._arranged(numbers, vectors, vectors[:0])

    def refrozen(self, numbers: RowNumbers, vectors: Vectors, seen: int) -> Rows:
        """The rows with other ones frozen.

        Args:
            numbers: of the rows to freeze, in their new order.
            vectors: theirs, (n, d).
            seen: how many rows there were when they were chosen; live ones among the later ones
                follow them.
        """
        later = np.flatnonzero(self.alive[seen:]) + seen
        return self._arranged(np.concatenate([numbers, later]), vectors, self.take(later))

    def _arranged(self, rows: RowNumbers, frozen: Vectors, newer: Vectors) -> Rows:
        capacity = len(rows) + _CAPACITY
        arranged = Rows(frozen.shape[1], self._vocabulary)
        arranged._count = len(rows)
        arranged._frozen = frozen
        arranged._newer = _padded(newer, len(newer) + _CAPACITY, 0.0)
        arranged._alive = _padded(self.alive[rows], capacity, False)
        arranged._ids = _padded(self._ids[rows], capacity, None)
        arranged._versions = _padded(self._versions[rows], capacity, 0)
        arranged._metadata_sizes = _padded(self._metadata_sizes[rows], capacity, 0)
        arranged._codes = {
            facet: _padded(codes[rows], capacity, UNLABELLED)
            for facet, codes in self._codes.items()
        }
        arranged._metadata = self._metadata.taken(rows, capacity)
        live = np.flatnonzero(arranged._alive)
        arranged._row_of = dict(zip(arranged._ids[live].tolist(), live.tolist(), strict=True))
        return arranged

    @property
    def capacity(self) -> int:
        """How many rows there is room for, before the arrays grow."""
        return len(self._ids)

    def readmitting(self) -> MetadataColumns | None:
        """See `MetadataView.readmitting`."""
        return self._metadata.readmitting(self.alive, self.capacity)

    def labelled(self) -> Mask:
        """Which rows carry a value of some facet, (count,)."""
        labelled = np.zeros(self.count, dtype=bool)
        for codes in self._codes.values():
            labelled |= codes[: self.count] != UNLABELLED
        return labelled

    def facets(self) -> list[str]:
        """The folded facets that some live row has a value of, sorted."""
        return sorted({key.facet for key in self.keys()})

    def keys(self) -> set[AttributeKey]:
        """The values that some live row carries."""
        return {
            AttributeKey(facet, int(code))
            for facet, codes in self._codes.items()
            for code in np.unique(codes[: self.count][self.alive])
            if code != UNLABELLED
        }

    # What filters ask; see `LabelledRows`.

    def having(self, facet: str, values: tuple[str, ...]) -> Mask:
        """See `LabelledRows.having`."""
        key = self._vocabulary.find_facet(facet, "filter")
        codes = self._codes.get(key)
        wanted = [self._vocabulary.find_value(key, value, "filter").code for value in values]
        if codes is None:
            return np.zeros(self.count, dtype=bool)
        return np.isin(codes[: self.count], wanted)

    def labelled_in(self, facet: str) -> Mask:
        """See `LabelledRows.labelled_in`."""
        codes = self._codes.get(self._vocabulary.find_facet(facet, "filter"))
        if codes is None:
            return np.zeros(self.count, dtype=bool)
        labelled: Mask = codes[: self.count] != UNLABELLED
        return labelled

    def between(self, path: str, bounds: Bounds) -> Mask:
        """See `LabelledRows.between`."""
        return self._metadata.between(path, bounds, self.count)

    def equal(self, path: str, values: tuple[Scalar, ...]) -> Mask:
        """See `LabelledRows.equal`."""
        return self._metadata.equal(path, values, self.count)

    def present(self, path: str) -> Mask:
        """See `LabelledRows.present`."""
        return self._metadata.present(path, self.count)


class Rows:
    """The rows of a collection, for the one thread that writes at a time."""

    def __init__(self, dimension: int, vocabulary: Vocabulary) -> None:
        """No rows yet, of vectors of this length."""
        self._vocabulary = vocabulary
        self._count = 0
        self._frozen: Vectors = np.zeros((0, dimension), dtype=np.float32)
        self._newer: Vectors = np.zeros((_CAPACITY, dimension), dtype=np.float32)
        self._alive = np.zeros(_CAPACITY, dtype=bool)
        self._ids = np.full(_CAPACITY, None, dtype=object)
        self._versions = np.zeros(_CAPACITY, dtype=np.int64)
        self._metadata_sizes = np.zeros(_CAPACITY, dtype=np.int32)
        self._codes: dict[str, _Codes] = {}
        self._metadata = MetadataColumns(_CAPACITY)
        self._row_of: dict[str, int] = {}

    @classmethod
    def frozen(
        cls,
        ids: Sequence[str],
        versions: Sequence[int] | NDArray[np.int64],
        vectors: Vectors,
        vocabulary: Vocabulary,
    ) -> Rows:
        """Frozen rows, dead until `revive` finds them among the items."""
        self = cls(vectors.shape[1], vocabulary)
        self._frozen = vectors
        self._count = len(ids)
        capacity = len(ids) + _CAPACITY
        self._alive = np.zeros(capacity, dtype=bool)
        self._ids = _padded(np.array(ids, dtype=object), capacity, None)
        self._versions = _padded(np.array(versions, dtype=np.int64), capacity, 0)
        self._metadata_sizes = np.zeros(capacity, dtype=np.int32)
        self._metadata = MetadataColumns(capacity)
        self._row_of = {identifier: row for row, identifier in enumerate(ids)}
        return self

    def revive(
        self, identifier: str, version: int, codes: Mapping[str, int], metadata: Mapping[str, Any]
    ) -> bool:
        """Counts a frozen row in, if it is of this item as it is now."""
        number = self._row_of.get(identifier)
        if number is None or self._versions[number] != version:
            return False
        self._label(number, codes, metadata)
        self._alive[number] = True
        return True

    def forget_dead(self) -> None:
        """Forgets the frozen rows that were not revived; to be called once, before any write."""
        alive = self._alive[: self._count].tolist()
        self._row_of = {i: row for i, row in self._row_of.items() if alive[row]}

    def find(self, identifier: str) -> Row | None:
        """The live row of an item."""
        number = self._row_of.get(identifier)
        if number is None:
            return None
        codes = {
            facet: int(column[number])
            for facet, column in self._codes.items()
            if column[number] != UNLABELLED
        }
        covered = len(self._frozen)
        vector = self._frozen[number] if number < covered else self._newer[number - covered]
        return Row(identifier, int(self._versions[number]), codes, vector)

    def version(self, identifier: str) -> int | None:
        """The version of an item, None where there is none; any thread may ask."""
        number = self._row_of.get(identifier)
        return None if number is None else int(self._versions[number])

    def __contains__(self, identifier: str) -> bool:
        return identifier in self._row_of

    def __len__(self) -> int:
        """How many items there are."""
        return len(self._row_of)

    def write(self, row: Row) -> None:
        """Adds an item, or replaces the one of its id, which is there throughout."""
        before = self._row_of.get(row.id)
        number = self._count
        if number == len(self._alive):
            self._grow()
        if number - len(self._frozen) == len(self._newer):
            more = np.zeros_like(self._newer)
            self._newer = np.concatenate([self._newer, more])
        self._newer[number - len(self._frozen)] = row.vector
        self._ids[number] = row.id
        self._versions[number] = row.version
        self._label(number, row.codes, row.metadata)
        self._count += 1
        self._alive[number] = True
        self._row_of[row.id] = number
        if before is not None:
            self._alive[before] = False

    def remove(self, identifier: str) -> None:
        """Marks an item's row dead, if there is one."""
        number = self._row_of.pop(identifier, None)
        if number is not None:
            self._alive[number] = False

    def readmit(self, columns: MetadataColumns) -> None:
        """Replaces what filters ask of the metadata; every live row is in it."""
        columns.grow(len(self._alive))
        self._metadata = columns

    def view(self) -> RowsView:
        """The rows as they are now, for readers."""
        return RowsView(
            self._count,
            self._alive[: self._count].copy(),
            self._frozen,
            self._newer,
            self._ids,
            self._versions,
            self._metadata_sizes,
            dict(self._codes),
            self._metadata.view(),
            self._vocabulary,
        )

    def _label(self, number: int, codes: Mapping[str, int], metadata: Mapping[str, Any]) -> None:
        for facet, code in codes.items():
            if facet not in self._codes:
                self._codes[facet] = np.full(len(self._alive), UNLABELLED, dtype=np.int32)
            self._codes[facet][number] = code
        if metadata:
            self._metadata.put(number, metadata)
            self._metadata_sizes[number] = _size(metadata)

    def _grow(self) -> None:
        # Readers keep the old arrays, which stay as they were.
        capacity = 2 * len(self._alive)
        self._alive = _padded(self._alive, capacity, False)
        self._ids = _padded(self._ids, capacity, None)
        self._versions = _padded(self._versions, capacity, 0)
        self._metadata_sizes = _padded(self._metadata_sizes, capacity, 0)
        self._codes = {f: _padded(c, capacity, UNLABELLED) for f, c in self._codes.items()}
        self._metadata.grow(capacity)


def _size(content: Any) -> int:
    if isinstance(content, str):
        return len(content)
    if isinstance(content, Mapping):
        return sum(len(key) + _size(value) for key, value in content.items())
    if isinstance(content, list):
        return sum(map(_size, content), _NUMBER_BYTES)
    return _NUMBER_BYTES


def _padded(array: Any, capacity: int, blank: Any) -> Any:
    padded = np.full((capacity, *array.shape[1:]), blank, dtype=array.dtype)
    padded[: len(array)] = array
    return padded
