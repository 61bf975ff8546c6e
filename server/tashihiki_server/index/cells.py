"""Rows in cells around centroids: a query is compared with those of the nearest cells only.

Known as an inverted file (Jégou, Douze and Schmid 2011), without compression.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from tashihiki_server.index.base import GATHERED, TIE, Mask, Route, RowNumbers, checked_query
from tashihiki_server.index.calibration import COUNTS, Efforts, between
from tashihiki_server.space.base import Vectors

# Of the allowed rows: beyond that, comparing all of them is as fast.
_MOST = 0.5
# Of the share of rows that a filter allows: allowing less near a query, it is against the query.
_THIN = 0.8
# Of a row that is looked up in its cell, however few coordinates are compared.
_PLACE_SECONDS = 1.5e-8


@dataclass(frozen=True)
class Cells:
    """A division of rows by some of their coordinates.

    Attributes:
        columns: the coordinates, start and stop.
        centroids: (cells, columns), unit length.
        starts: (cells + 1,), where each cell's rows start, and the number of rows.
        rows: (n,), the rows, one cell after the other; None where they are stored in this order.
        efforts: how many rows to compare.
    """

    columns: tuple[int, int]
    centroids: Vectors
    starts: RowNumbers
    rows: RowNumbers | None
    efforts: Efforts

    def similarities(self, query: Vectors) -> Vectors:
        """The cosines of a query (d,) to all centroids, (cells,)."""
        start, stop = self.columns
        found: Vectors = self.centroids @ query[start:stop]
        return found

    def budget(self, similarities: Vectors, count: float) -> float:
        """How many rows must be compared where all are allowed.

        A query that lies among the rows, as an item does, has its neighbours in few cells; a sum
        may lie where there are none, about as far from many. Where one lies farther off than any
        that was sampled, as a picture unlike all items does, nothing is known of it: all.
        """
        nearest = float(similarities.max())
        effort = next((e for e in self.efforts if nearest >= e.similarity), None)
        if effort is None:
            return float(self.starts[-1])
        low, high = (effort.rows[step] for step in COUNTS)
        return max(between((low, high), count), count)

    def allowed_budget(self, similarities: Vectors, count: int, share: float) -> float:
        """How many allowed rows must be compared, where this share of all rows is allowed.

        The best allowed ones are about as far down among all rows as their share says.
        """
        return max(share * self.budget(similarities, count / share), count)

    @cached_property
    def sizes(self) -> RowNumbers:
        """How many rows each cell has."""
        return np.diff(self.starts)

    def nearest(self, similarities: Vectors, rows: float) -> NDArray[np.intp]:
        """As many of the nearest cells as have so many rows, by their numbers."""
        distances = -similarities
        wanted = 8 + int(2 * rows * len(distances) / max(self.starts[-1], 1))
        while wanted < len(distances):
            # Sorting the nearest alone is several times as fast.
            some = np.argpartition(distances, wanted)[:wanted]
            some = some[np.argsort(distances[some])]
            reached = np.cumsum(self.sizes[some])
            if reached[-1] >= rows:
                return np.sort(some[: np.searchsorted(reached, rows) + 1])
            wanted *= 2
        order = np.argsort(distances)
        return np.sort(order[: np.searchsorted(np.cumsum(self.sizes[order]), rows) + 1])

    def places(self, numbers: NDArray[np.intp]) -> RowNumbers:
        """The places of the rows of some cells in the division's order."""
        sizes = self.sizes[numbers]
        stops = np.cumsum(sizes)
        places: RowNumbers = np.repeat(self.starts[numbers] - stops + sizes, sizes)
        places += np.arange(len(places))
        return places

    def rows_at(self, places: RowNumbers) -> RowNumbers:
        """The rows at some places of the division's order."""
        return places if self.rows is None else self.rows[places]

    def arranged(self, vectors: Vectors) -> Vectors:
        """Of rows (n, d), the division's coordinates in its order, (n, columns)."""
        if self.rows is None:
            return vectors
        found: Vectors = vectors[:, slice(*self.columns)][self.rows]
        return found

    def fits(self, count: int, dimension: int) -> bool:
        """Whether it is of so many rows of so many coordinates."""
        start, stop = self.columns
        return (
            0 <= start < stop <= dimension
            and self.centroids.shape[1:] == (stop - start,)
            and self.starts.shape == (len(self.centroids) + 1,)
            and self.starts[0] == 0
            and self.starts[-1] == count
            and bool((np.diff(self.starts) >= 0).all())
            and (self.rows is None or self.rows.shape == (count,))
        )

    def with_efforts(self, efforts: Efforts) -> Cells:
        """The same cells, to be looked through in another measure."""
        return replace(self, efforts=efforts)


class CellsIndex:
    """Rows in cells; see `VectorIndex`.

    One division is by all coordinates. A query that fills the blocks of some facets only is as near
    to rows of any kind as far as the other blocks go; the cells that tell these apart would all
    have to be looked through. So there may be divisions by fewer coordinates. Each keeps these
    coordinates once more, in its own order: rows that lie all over memory take several times as
    long to gather.
    """

    def __init__(
        self, vectors: Vectors, divisions: Sequence[Cells], row_seconds: float = 0.0
    ) -> None:
        """Looks through cells.

        Args:
            vectors: (n, d).
            divisions: the first one by all coordinates, its rows stored in its order.
            row_seconds: of comparing one row where all are compared.

        Raises:
            ValueError: where these do not fit together.
        """
        count, dimension = vectors.shape
        if not divisions or not all(cells.fits(count, dimension) for cells in divisions):
            raise ValueError("the cells are not of these rows")
        if divisions[0].columns != (0, dimension) or divisions[0].rows is not None:
            raise ValueError("the first division is not by all coordinates")
        self._divisions = divisions
        self._arranged = [cells.arranged(vectors) for cells in divisions]
        self._row_seconds = row_seconds

    @property
    def divisions(self) -> Sequence[Cells]:
        """Those that it looks through."""
        return self._divisions

    def with_efforts(self, efforts: Sequence[Efforts]) -> CellsIndex:
        """The same rows, to be looked through in another measure, one for each division."""
        other = copy(self)
        other._divisions = [
            cells.with_efforts(effort)
            for cells, effort in zip(self._divisions, efforts, strict=True)
        ]
        return other

    @property
    def route(self) -> Route:
        """`Route.CELLS`."""
        return Route.CELLS

    def __len__(self) -> int:
        return len(self._arranged[0])

    def close(self) -> None:
        """Nothing: the rows are the caller's."""

    def candidates(self, vector: Vectors, count: int, allowed: Mask | None) -> RowNumbers | None:
        """See `VectorIndex.candidates`.

        Cells are looked through from the nearest on, until as many allowed rows as the setting
        says were compared. Where a filter allows less near the query than elsewhere, the best
        allowed rows lie farther off than the setting knows of; then all are to be compared.
        """
        query = checked_query(vector, allowed, self._arranged[0].shape)
        possible = len(self) if allowed is None else int(np.count_nonzero(allowed))
        if not possible or count < 1:
            return np.empty(0, dtype=np.int64)
        number = division_of(query, self._divisions)
        cells = self._divisions[number]
        similarities = cells.similarities(query)
        share = possible / len(self)
        if cells.allowed_budget(similarities, count, share) > _MOST * possible:
            return None
        if allowed is None or possible == len(self):
            return self._compare_all(number, similarities, query, count)
        return self._compare_allowed(number, similarities, query, count, allowed, share)

    def seconds(self, vector: Vectors, count: int) -> float:
        """See `VectorIndex.seconds`."""
        cells = self._divisions[division_of(vector, self._divisions)]
        similarities = cells.similarities(vector)
        budget = cells.budget(similarities, count)
        if budget > _MOST * len(self):
            return self._row_seconds * len(self)
        # Cells are looked through whole.
        budget = max(budget, float(cells.sizes[similarities.argmax()]))
        start, stop = cells.columns
        width = (stop - start) / self._divisions[0].columns[1]
        each = max(GATHERED * width * self._row_seconds, _PLACE_SECONDS)
        return min(each * budget, self._row_seconds * len(self))

    def compare(self, query: Vectors, count: int) -> RowNumbers:
        """Candidates where every row is allowed, however many must be compared."""
        number = division_of(query, self._divisions)
        return self._compare_all(number, self._divisions[number].similarities(query), query, count)

    def _compare_all(
        self, number: int, similarities: Vectors, query: Vectors, count: int
    ) -> RowNumbers:
        cells = self._divisions[number]
        places = cells.places(cells.nearest(similarities, cells.budget(similarities, count)))
        return cells.rows_at(places[_best(self._scores(number, places, query), count)])

    def _scores(self, number: int, places: RowNumbers, query: Vectors) -> Vectors:
        # Gathered and compared at once: the interpreter, which every product of a cell would let
        # go of, may be long in coming back on a busy server.
        gathered = np.take(self._arranged[number], places, axis=0, mode="clip")
        return gathered @ query[slice(*self._divisions[number].columns)]

    def _compare_allowed(
        self,
        number: int,
        similarities: Vectors,
        query: Vectors,
        count: int,
        allowed: Mask,
        share: float,
    ) -> RowNumbers | None:
        cells = self._divisions[number]
        budget = cells.allowed_budget(similarities, count, share)
        # A filter that goes with the query must not end the look-up sooner than none.
        wanted = max(budget / share, cells.budget(similarities, count))
        while True:
            places = cells.places(cells.nearest(similarities, wanted))
            inside = places[allowed[cells.rows_at(places)]]
            expected = share * len(places)
            if len(inside) < _THIN * expected:
                return None
            # What is missing near the query moves the best allowed rows as much farther down.
            missing = max(0.0, expected - math.sqrt(expected) - len(inside))
            budget = cells.allowed_budget(similarities, count + int(missing), share)
            if budget > _MOST * np.count_nonzero(allowed):
                return None
            if len(inside) >= budget:
                best = inside[_best(self._scores(number, inside, query), count)]
                return cells.rows_at(best)
            wanted *= 1.05 * budget / len(inside)


def division_of(query: Vectors, divisions: Sequence[Cells]) -> int:
    """The number of the division to look a query (d,) up in: by the first that holds all of it."""
    filled = np.flatnonzero(query)
    for number, cells in enumerate(divisions[1:], 1):
        start, stop = cells.columns
        if start <= filled[0] and filled[-1] < stop:
            return number
    return 0


def _best(scores: Vectors, count: int) -> NDArray[np.intp]:
    """Places of the `count` largest scores, and of those that may be equal to the least of them."""
    if len(scores) <= count:
        return np.arange(len(scores))
    worst = np.partition(scores, len(scores) - count)[len(scores) - count]
    return np.flatnonzero(scores >= worst - TIE)
