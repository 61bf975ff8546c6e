"""Looks rows up in their cells."""

from __future__ import annotations

import math
from collections.abc import Sequence
from copy import copy

import numpy as np
from numpy.typing import NDArray

from tashihiki_server.index.base import (
    GATHERED,
    TIE,
    Mask,
    OutOfPatienceError,
    Route,
    RowNumbers,
    checked_mask,
    checked_query,
)
from tashihiki_server.index.calibration import COUNTS, Efforts
from tashihiki_server.index.cells import Cells
from tashihiki_server.space.base import Vectors

# Of the allowed rows: beyond that, comparing all of them is as fast.
_MOST = 0.5
# Of the share of rows that a filter allows: allowing less near a query, it is against the query.
_THIN = 0.8
# Of a row that is looked up in its cell, however few coordinates are compared.
_PLACE_SECONDS = 1.5e-8
# Candidates on principal axes, to the rows that are wanted, roughly.
_REFINED = 3


class CellsIndex:
    """Rows in cells; see `VectorIndex`.

    One division is by all coordinates, or by their principal axes where they are many. A query that
    fills the blocks of some facets only is as near to rows of any kind as far as the other blocks
    go; the cells that tell these apart would all have to be looked through. So there may be
    divisions by fewer coordinates. Each keeps what it compares once more, in its own order: rows
    that lie all over memory take several times as long to gather.
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
        self.vectors = vectors
        self.row_seconds = row_seconds
        self._divisions = divisions
        self._arranged = [cells.arranged(vectors) for cells in divisions]

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
        return len(self.vectors)

    def close(self) -> None:
        """Nothing: the rows are the caller's."""

    def look_up(self, vector: Vectors) -> CellsLookUp:
        """See `VectorIndex.look_up`."""
        query = checked_query(vector, self.vectors.shape[1])
        number = division_of(query, self._divisions)
        return CellsLookUp(self, self._divisions[number], self._arranged[number], query)


class CellsLookUp:
    """A query's look-up in the division that holds it; see `LookUp`."""

    def __init__(self, index: CellsIndex, cells: Cells, arranged: Vectors, query: Vectors) -> None:
        """Finds out how near the cells are.

        Args:
            index: that has the cells.
            cells: to look through.
            arranged: the coordinates that are compared, in the order of the cells.
            query: (d,).
        """
        self._index = index
        self._cells = cells
        self._arranged = arranged
        self._query = query
        self._seen = cells.seen(query)
        self._similarities: Vectors = cells.centroids @ self._seen

    def seconds(self, count: int) -> float:
        """See `LookUp.seconds`."""
        cells, rows, row_seconds = self._cells, len(self._index), self._index.row_seconds
        width = self._arranged.shape[1] / self._index.vectors.shape[1]
        budget = cells.budget(self._similarities, count)
        if cells.principal is not None:
            refined = GATHERED * row_seconds * _REFINED * count
        elif budget <= _MOST * rows:
            refined = 0.0
        else:
            return row_seconds * rows
        # Cells are looked through whole.
        budget = max(budget, float(cells.sizes[self._similarities.argmax()]))
        each = max(GATHERED * width * row_seconds, _PLACE_SECONDS)
        return float(min(each * budget + refined, row_seconds * rows))

    def candidates(
        self, count: int, allowed: Mask | None, most: int | None = None
    ) -> RowNumbers | None:
        """See `LookUp.candidates`.

        Cells are looked through from the nearest on, until as many allowed rows as the setting
        says were compared. Where a filter allows less near the query than elsewhere, the best
        allowed rows lie farther off than the setting knows of; then all are to be compared. On
        principal axes that is done here, where all coordinates would take several times as long.
        """
        rows = len(self._index)
        allowed = checked_mask(allowed, rows)
        possible = rows if allowed is None else int(np.count_nonzero(allowed))
        if not possible or count < 1:
            return np.empty(0, dtype=np.int64)
        share = possible / rows
        budget = self._cells.budget(self._similarities, count)
        if self._cells.allowed_budget(self._similarities, count, share) > _MOST * possible:
            places = None
        elif allowed is None:
            places = self._places(budget)
        else:
            places = self._allowed_places(count, allowed, share)
            if places is None and most is not None:
                raise OutOfPatienceError
        if places is None:
            # So many were never measured: there is no margin that does.
            unreached = budget > rows * max(1.0, count / COUNTS[-1])
            if self._cells.principal is None or unreached:
                return None
            places = self._every(allowed)
        near = self._near(places, count)
        if most is not None and len(near) > most:
            raise OutOfPatienceError
        if self._cells.principal is None:
            return near
        # Of so many candidates each takes longer than in a comparison of all.
        return None if GATHERED * len(near) > possible else self._refined(near, count)

    def compare(self, count: int) -> RowNumbers:
        """Candidates where every row is allowed, however many must be compared."""
        places = self._places(self._cells.budget(self._similarities, count))
        return self._refined(self._near(places, count), count)

    def _places(self, rows: float) -> RowNumbers:
        return self._cells.places(self._cells.nearest(self._similarities, rows))

    def _every(self, allowed: Mask | None) -> RowNumbers:
        places = np.arange(len(self._index))
        return places if allowed is None else places[allowed[self._cells.rows_at(places)]]

    def _allowed_places(self, count: int, allowed: Mask, share: float) -> RowNumbers | None:
        """The places to compare; None where all allowed ones are."""
        cells, similarities = self._cells, self._similarities
        most = _MOST * share * len(self._index)
        budget = cells.allowed_budget(similarities, count, share)
        # A filter that goes with the query must not end the look-up sooner than none.
        wanted = max(budget / share, cells.budget(similarities, count))
        while True:
            places = self._places(wanted)
            inside = places[allowed[cells.rows_at(places)]]
            expected = share * len(places)
            if len(inside) < _THIN * expected:
                return None
            # What is missing near the query moves the best allowed rows as much farther down.
            missing = max(0.0, expected - math.sqrt(expected) - len(inside))
            budget = cells.allowed_budget(similarities, count + int(missing), share)
            if budget > most:
                return None
            if len(inside) >= budget:
                return inside
            wanted *= 1.05 * budget / len(inside)

    def _near(self, places: RowNumbers, count: int) -> RowNumbers:
        """The rows at some places that may be the `count` best, by what is compared there."""
        cells, arranged = self._cells, self._arranged
        # Gathered and compared at once: the interpreter, which every product of a cell would let
        # go of, may be long in coming back on a busy server.
        if len(places) < len(arranged):
            arranged = np.take(arranged, places, axis=0, mode="clip")
        scores = arranged @ self._seen
        if cells.principal is None:
            return cells.rows_at(places[_best(scores, count)])
        return cells.rows_at(places[cells.principal.near(places, scores, self._seen, count)])

    def _refined(self, near: RowNumbers, count: int) -> RowNumbers:
        if self._cells.principal is None:
            return near
        return near[_best(self._index.vectors[near] @ self._query, count)]


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
