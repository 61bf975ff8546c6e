"""The nearest rows of a view to a vector, by the index where it helps and exactly elsewhere."""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tashihiki_server.collection.rows import RowNumbers, RowsView
from tashihiki_server.index.base import LookUp, OutOfPatienceError, Route, VectorIndex
from tashihiki_server.query.filter import Mask
from tashihiki_server.space.base import Vectors

# Scores in single precision of one vector, computed alone and among others, differ by less.
ROUNDING = 1e-6
# Of the rows, below which they are faster picked out than passed over.
_SPARSE = 0.3
# Rows that are compared in double precision at a time.
_PIECE = 4096


@dataclass(frozen=True)
class Patience:
    """What a look-up may take while others wait for it.

    Attributes:
        seconds: of comparing rows, as estimated.
        row_seconds: of comparing one row that is in no index.
        rows: that may be put in order.
    """

    seconds: float
    row_seconds: float
    rows: int


@dataclass(frozen=True)
class Nearest:
    """What was found.

    Attributes:
        rows: most similar first, equal ones by id.
        similarities: cosine, in [-1, 1].
        route: how; `EXACT` when every admitted row was compared.
    """

    rows: RowNumbers
    similarities: NDArray[np.float64]
    route: Route


def nearest(
    view: RowsView,
    index: VectorIndex | None,
    vector: Vectors,
    limit: int,
    admitted: Mask | None,
    patience: Patience | None = None,
) -> Nearest:
    """Finds the `limit` live, admitted rows most similar to a unit vector (d,).

    There are fewer only where fewer exist.

    Args:
        view: the rows.
        index: over the frozen ones; None compares everything.
        vector: the query.
        limit: how many to return.
        admitted: (rows,), what the filter lets through; None for no filter.
        patience: what it may take; None for whatever it takes.

    Raises:
        OutOfPatienceError: where it takes more.
    """
    allowed = view.alive if admitted is None else view.alive & admitted
    look_up = None if index is None else index.look_up(vector)
    covered = 0 if index is None else len(index)
    if patience is not None:
        seconds = 0.0 if look_up is None else look_up.seconds(limit)
        if seconds + (view.count - covered) * patience.row_seconds > patience.seconds:
            raise OutOfPatienceError
    route = Route.EXACT
    candidates = None
    if look_up is not None:
        most = None if patience is None else patience.rows
        candidates = _by_index(view, look_up, covered, vector, limit, allowed, most)
    if index is not None and candidates is not None:
        route = index.route
    else:
        candidates = _by_comparison(view, vector, limit, allowed)
    if patience is not None and len(candidates) > patience.rows:
        raise OutOfPatienceError
    return Nearest(*by_similarity(view, vector, candidates, limit), route)


def _by_comparison(view: RowsView, vector: Vectors, limit: int, allowed: Mask) -> RowNumbers:
    rows = np.flatnonzero(allowed)
    if len(rows) < _SPARSE * view.count:
        return rows[leading(view.take(rows) @ vector, limit)]
    return rows[leading(view.scores(vector)[rows], limit)]


def _by_index(
    view: RowsView,
    look_up: LookUp,
    covered: int,
    vector: Vectors,
    limit: int,
    allowed: Mask,
    most: int | None,
) -> RowNumbers | None:
    found = look_up.candidates(limit, allowed[:covered], most)
    if found is None:
        return None
    newer = np.flatnonzero(allowed[covered:])
    if not len(newer):
        return found
    best = newer[leading((view.newer @ vector)[newer], limit)]
    return np.concatenate([found, best + covered])


def leading(scores: NDArray[np.float32], limit: int) -> RowNumbers:
    """The places of the `limit` best scores, and of all that may tie with the last of them."""
    if len(scores) <= limit:
        return np.arange(len(scores))
    worst = np.partition(scores, len(scores) - limit)[len(scores) - limit]
    return np.flatnonzero(scores >= worst - ROUNDING)


def by_similarity(
    view: RowsView, vector: Vectors, rows: RowNumbers, limit: int
) -> tuple[RowNumbers, NDArray[np.float64]]:
    """The first `limit` rows in the order of their similarities to a unit vector (d,); and these.

    Equal ones are in the order of their ids. The similarities are rounded, so that equal pictures
    are equal.
    """
    similarities = np.empty(len(rows))
    for start in range(0, len(rows), _PIECE):
        piece = slice(start, start + _PIECE)
        np.dot(
            view.take(rows[piece]).astype(np.float64),
            vector.astype(np.float64),
            out=similarities[piece],
        )
    similarities = np.minimum(np.maximum(np.round(similarities, 9), -1.0), 1.0)
    if len(rows) > limit:
        first = _first(view, rows, similarities, limit)
        rows, similarities = rows[first], similarities[first]
    order = np.argsort(-similarities)
    ordered = similarities[order]
    if (ordered[1:] == ordered[:-1]).any():
        order = np.lexsort((view.ids(rows), -similarities))
    return rows[order], similarities[order]


def _first(
    view: RowsView, rows: RowNumbers, similarities: NDArray[np.float64], limit: int
) -> NDArray[np.intp]:
    """The places of the `limit` most similar rows; of those as similar as the last, by id."""
    last = np.partition(similarities, len(rows) - limit)[len(rows) - limit]
    above = np.flatnonzero(similarities > last)
    equal = np.flatnonzero(similarities == last)
    # Not sorted: a sort of thousands of texts keeps every other thread waiting.
    by_id = zip(view.ids(rows[equal]).tolist(), equal.tolist(), strict=True)
    chosen = [place for _, place in heapq.nsmallest(limit - len(above), by_id)]
    return np.concatenate([above, np.array(chosen, dtype=np.intp)])
