"""The rows that come after a place in the order of similarity, which is how pages are turned."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tashihiki_server.collection.nearest import Nearest, by_similarity, leading
from tashihiki_server.collection.rows import RowsView
from tashihiki_server.index.base import Route
from tashihiki_server.query.filter import Mask
from tashihiki_server.space.base import Vectors

# Scores in single precision are nearer than this to the similarities.
MARGIN = 1e-5


@dataclass(frozen=True)
class Place:
    """Where an item stands: after all that are more similar, or as similar with a smaller id."""

    similarity: float
    id: str


def following(
    view: RowsView,
    vector: Vectors,
    scores: NDArray[np.float32],
    allowed: Mask,
    after: Place | None,
    count: int,
) -> Nearest:
    """The first `count` allowed rows after a place; fewer only where fewer exist.

    Every row is compared: what an index misses would be on no page.

    Args:
        view: the rows.
        vector: (d,), of unit length.
        scores: (rows,), of all rows with the vector.
        allowed: (rows,).
        after: None for the first ones.
        count: how many.
    """
    rows = np.flatnonzero(allowed)
    rough = scores[rows]
    beside = 0
    if after is not None:
        behind = rough <= after.similarity + MARGIN
        rows, rough = rows[behind], rough[behind]
        # On which side of the place these are, the scores do not tell.
        beside = int((rough >= after.similarity - MARGIN).sum())
    rows, similarities = by_similarity(
        view, vector, rows[leading(rough, count + beside)], count + beside
    )
    start = 0
    if after is not None:
        end = (-after.similarity, after.id)
        keys = zip((-similarities[:beside]).tolist(), view.ids(rows[:beside]), strict=True)
        start = sum(key <= end for key in keys)
    places = slice(start, start + count)
    return Nearest(rows[places], similarities[places], Route.EXACT)
