"""The nearest rows of a view to a vector, by the index where it helps and exactly elsewhere."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tashihiki_server.collection.rows import RowsView
from tashihiki_server.index.base import VectorIndex
from tashihiki_server.query.filter import Mask
from tashihiki_server.space.base import Vectors

# A filtered subset of this size is compared faster than a graph is searched around it.
EXACT_SUBSET = 2000

_RowNumbers = NDArray[np.int64]


@dataclass(frozen=True)
class Nearest:
    """What was found.

    Attributes:
        rows: most similar first, equal ones by id.
        similarities: cosine, in [-1, 1].
        exact: every admitted row was compared.
    """

    rows: _RowNumbers
    similarities: NDArray[np.float64]
    exact: bool


def nearest(
    view: RowsView,
    index: VectorIndex | None,
    vector: Vectors,
    limit: int,
    admitted: Mask | None,
) -> Nearest:
    """Finds the `limit` live, admitted rows most similar to a unit vector (d,).

    There are fewer only where fewer exist.

    Args:
        view: the rows.
        index: over the first of them; None compares everything.
        vector: the query.
        limit: how many to return.
        admitted: (rows,), what the filter lets through; None for no filter.
    """
    allowed = view.alive if admitted is None else view.alive & admitted
    candidates = None
    if index is not None and not (admitted is not None and allowed.sum() <= EXACT_SUBSET):
        candidates = _by_index(index, vector, limit, allowed)
    exact = candidates is None
    if candidates is None:
        candidates = np.flatnonzero(allowed)
    rows, similarities = _best(view, vector, candidates, limit, exact=exact)
    return Nearest(rows, similarities, exact)


def _by_index(index: VectorIndex, vector: Vectors, limit: int, allowed: Mask) -> _RowNumbers | None:
    covered = len(index)
    possible = int(allowed[:covered].sum())
    newer = np.flatnonzero(allowed[covered:]) + covered
    if not possible:
        return newer
    wanted = min(limit, possible)
    count = int(1.2 * wanted * covered / possible) + 10
    # Beyond a quarter of the rows the graph is slower than comparing them all.
    while count <= max(covered // 4, limit + 10):
        found = index.search(vector, count)
        found = found[allowed[found]]
        if len(found) >= wanted:
            return np.concatenate([found, newer])
        count *= 3
    return None


def _best(
    view: RowsView, vector: Vectors, candidates: _RowNumbers, limit: int, *, exact: bool
) -> tuple[_RowNumbers, NDArray[np.float64]]:
    # The index gives its rows out of order, so they must be taken one by one.
    everything = exact and len(candidates) == view.count
    rough = (view.vectors if everything else view.vectors[candidates]) @ vector
    if len(candidates) > limit:
        # Equal pictures may differ in the last bit here; keep every row that may tie.
        worst = np.partition(rough, len(rough) - limit)[len(rough) - limit]
        candidates = candidates[rough >= worst - 1e-6]
    similarities = view.vectors[candidates].astype(np.float64) @ vector.astype(np.float64)
    similarities = np.clip(np.round(similarities, 9), -1.0, 1.0)
    ids = np.array([view.id(row) for row in candidates], dtype=object)
    order = np.lexsort((ids, -similarities))[:limit]
    return candidates[order], similarities[order]
