"""Rows in cells around centroids: a query is compared with those of the nearest cells only.

Known as an inverted file (Jégou, Douze and Schmid 2011), without compression.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from tashihiki_server.index.base import TIE, Mask, Route, RowNumbers, checked_query
from tashihiki_server.index.calibration import COUNTS, between
from tashihiki_server.space.base import Vectors

# Of the allowed rows: beyond that, comparing all of them is as fast.
_MOST = 0.5
# Of a cell's rows: where fewer are allowed, these are gathered instead of comparing the cell.
_DENSE = 0.3
# Of the share of rows that a filter allows: allowing less near a query, it is against the query.
_THIN = 0.8


@dataclass(frozen=True)
class Cells:
    """A division of rows by some of their coordinates.

    Attributes:
        columns: the coordinates, start and stop.
        centroids: (cells, columns), unit length.
        starts: (cells + 1,), where each cell's rows start, and the number of rows.
        rows: (n,), the rows, one cell after the other; None where they are stored in this order.
        settings: how many rows to compare, by count.
    """

    columns: tuple[int, int]
    centroids: Vectors
    starts: RowNumbers
    rows: RowNumbers | None
    settings: Mapping[int, int]

    def order(self, query: Vectors) -> NDArray[np.intp]:
        """The cells, nearest to a query (d,) first."""
        start, stop = self.columns
        return np.argsort(-(self.centroids @ query[start:stop]))

    def budget(self, count: float) -> float:
        """How many rows must be compared where all are allowed."""
        low, high = (self.settings[step] for step in COUNTS)
        return max(between((low, high), count), count)

    def allowed_budget(self, count: int, share: float) -> float:
        """How many allowed rows must be compared, where this share of all rows is allowed.

        The best allowed ones are about as far down among all rows as their share says.
        """
        return max(share * self.budget(count / share), count)

    @cached_property
    def sizes(self) -> RowNumbers:
        """How many rows each cell has."""
        return np.diff(self.starts)

    def reach(self, order: NDArray[np.intp], rows: float) -> int:
        """How many cells, in this order, have so many rows."""
        return int(np.searchsorted(np.cumsum(self.sizes[order]), rows)) + 1

    def slices(self, numbers: NDArray[np.intp]) -> Iterator[tuple[int, int]]:
        """Where cells start and stop."""
        starts, stops = self.starts[numbers], self.starts[numbers + 1]
        return zip(starts.tolist(), stops.tolist(), strict=True)

    def rows_at(self, numbers: NDArray[np.intp], places: NDArray[np.intp]) -> RowNumbers:
        """Which rows are at these places, where the rows of some cells are put in line."""
        stops = np.cumsum(self.sizes[numbers])
        cell = np.searchsorted(stops, places, side="right")
        rows: RowNumbers = places - stops[cell] + self.starts[numbers[cell] + 1]
        return rows

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

    def with_settings(self, settings: Mapping[int, int]) -> Cells:
        """The same cells, to be looked through in another measure."""
        return replace(self, settings=settings)


class CellsIndex:
    """Rows in cells; see `VectorIndex`.

    One division is by all coordinates. A query that fills the block of one facet only is as near
    to rows of any kind as far as the other blocks go; the cells that tell these apart would all
    have to be looked through. So there may be divisions by single blocks.
    """

    def __init__(self, vectors: Vectors, divisions: Sequence[Cells]) -> None:
        """Looks through cells.

        Args:
            vectors: (n, d).
            divisions: the first one by all coordinates, its rows stored in its order.

        Raises:
            ValueError: where these do not fit together.
        """
        count, dimension = vectors.shape
        if not divisions or not all(cells.fits(count, dimension) for cells in divisions):
            raise ValueError("the cells are not of these rows")
        if divisions[0].columns != (0, dimension) or divisions[0].rows is not None:
            raise ValueError("the first division is not by all coordinates")
        self._vectors = vectors
        self._divisions = divisions

    @property
    def route(self) -> Route:
        """`Route.CELLS`."""
        return Route.CELLS

    def __len__(self) -> int:
        return len(self._vectors)

    def close(self) -> None:
        """Nothing: the rows are the caller's."""

    def candidates(self, vector: Vectors, count: int, allowed: Mask | None) -> RowNumbers | None:
        """See `VectorIndex.candidates`.

        Cells are looked through from the nearest on, until as many allowed rows as the setting
        says were compared. Where a filter allows less near the query than elsewhere, the best
        allowed rows lie farther off than the setting knows of; then all are to be compared.
        """
        query = checked_query(vector, allowed, self._vectors.shape)
        possible = len(self) if allowed is None else int(np.count_nonzero(allowed))
        if not possible or count < 1:
            return np.empty(0, dtype=np.int64)
        cells = self._divisions[division_of(query, self._divisions)]
        share = possible / len(self)
        if cells.allowed_budget(count, share) > _MOST * possible:
            return None
        if allowed is None or possible == len(self):
            return self.compare(query, count)
        if share >= _DENSE and cells.rows is None:
            return self._compare_most(cells, query, count, allowed, share)
        return self._compare_some(cells, query, count, allowed, share)

    def compare(self, query: Vectors, count: int) -> RowNumbers:
        """Candidates where every row is allowed, however many must be compared."""
        cells = self._divisions[division_of(query, self._divisions)]
        order = cells.order(query)
        nearest = order[: cells.reach(order, cells.budget(count))]
        if cells.rows is not None:
            slices = cells.slices(nearest)
            rows = np.concatenate([cells.rows[start:stop] for start, stop in slices])
            return rows[_best(self._vectors[rows] @ query, count)]
        nearest = np.sort(nearest)
        scores = self._scan(cells, query, nearest)
        return cells.rows_at(nearest, _best(scores, count))

    def _scan(self, cells: Cells, query: Vectors, nearest: NDArray[np.intp]) -> Vectors:
        """The scores of the rows of some cells, one cell after the other."""
        scores = np.empty(int(cells.sizes[nearest].sum()), dtype=np.float32)
        place = 0
        for start, stop in cells.slices(nearest):
            np.dot(self._vectors[start:stop], query, out=scores[place : place + stop - start])
            place += stop - start
        return scores

    def _compare_most(
        self, cells: Cells, query: Vectors, count: int, allowed: Mask, share: float
    ) -> RowNumbers | None:
        budget = cells.allowed_budget(count, share)
        order = cells.order(query)
        # A filter that goes with the query must not end the look-up sooner than none.
        wanted = max(budget / share, cells.budget(count))
        while True:
            nearest = np.sort(order[: cells.reach(order, wanted)])
            inside = np.concatenate([allowed[start:stop] for start, stop in cells.slices(nearest)])
            compared = int(np.count_nonzero(inside))
            if compared < _THIN * share * len(inside):
                return None
            if compared >= budget:
                break
            wanted *= 1.05 * budget / compared
        scores = self._scan(cells, query, nearest)
        scores[~inside] = -np.inf
        return cells.rows_at(nearest, _best(scores, count))

    def _compare_some(
        self, cells: Cells, query: Vectors, count: int, allowed: Mask, share: float
    ) -> RowNumbers | None:
        budget = cells.allowed_budget(count, share)
        least = cells.budget(count)
        order = cells.order(query)
        compared = passed = 0
        scores: list[Vectors] = []
        rows: list[RowNumbers] = []
        scattered: list[RowNumbers] = []
        for start, stop in cells.slices(order):
            if cells.rows is not None:
                members = cells.rows[start:stop]
                inside = members[allowed[members]]
                scattered.append(inside)
            else:
                inside = np.flatnonzero(allowed[start:stop])
                if len(inside) < _DENSE * (stop - start):
                    scattered.append(inside + start)
                elif len(inside):
                    scores.append((self._vectors[start:stop] @ query)[inside])
                    rows.append(inside + start)
            compared += len(inside)
            passed += stop - start
            if compared >= budget and passed >= least:
                break
            if passed > least and compared < _THIN * share * passed:
                return None
        gathered = np.concatenate([*scattered, np.empty(0, dtype=np.int64)])
        scores.append(self._vectors[gathered] @ query)
        rows.append(gathered)
        found: RowNumbers = np.concatenate(rows)[_best(np.concatenate(scores), count)]
        return found


def division_of(query: Vectors, divisions: Sequence[Cells]) -> int:
    """The number of the division to look a query (d,) up in: by a block that holds all of it."""
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
