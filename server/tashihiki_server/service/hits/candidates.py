"""The look-ups of one search."""

from __future__ import annotations

from collections.abc import Iterator, Set

import numpy as np
from numpy.typing import NDArray

from tashihiki_server.collection.collection import Collection, State
from tashihiki_server.collection.nearest import Nearest, Patience
from tashihiki_server.deadline import check_deadline
from tashihiki_server.index.base import Route
from tashihiki_server.query.filter import Mask
from tashihiki_server.service.hits.grouping import Quota
from tashihiki_server.space.base import Composed
from tashihiki_server.stopwatch import stage

GROWTH = 4


class Candidates:
    """The rows of a state that may be hits, most similar first.

    Attributes:
        route: how they were found; EXACT only where every look-up was.
    """

    def __init__(
        self,
        collection: Collection,
        state: State,
        composed: Composed,
        mask: Mask | None,
        excluded: Set[str],
        min_similarity: float,
        patience: Patience | None = None,
    ) -> None:
        """Rows to be looked up.

        Args:
            collection: that the state is of.
            state: whose rows they are.
            composed: what they are compared with.
            mask: (rows,), what the filter admits; None for no filter.
            excluded: ids of items that may not be hits.
            min_similarity: of a hit.
            patience: what a look-up may take; None for whatever it takes.
        """
        self._collection = collection
        self._state = state
        self._composed = composed
        self._mask = mask
        self._excluded = excluded
        self._min_similarity = min_similarity
        self._patience = patience
        self.route = Route.EXACT

    def nearest(self, count: int) -> Nearest:
        """The `count` most similar; fewer only where fewer exist.

        Raises:
            OutOfPatienceError: where it takes more than it may.
        """
        return self._look_up(count, self._mask)

    def batches(self, size: int, quota: Quota | None) -> Iterator[Nearest]:
        """All of them by and by: first `size`, then `GROWTH` times as many each time.

        Rows of values that are full when a batch is asked for are left out.
        """
        mask = self._mask
        while True:
            found = self._look_up(size, mask)
            yield found
            if len(found.rows) < size or quota is None:
                return
            check_deadline()
            mask = np.ones(self._state.rows.count, dtype=bool) if mask is None else mask.copy()
            mask[found.rows] = False
            mask &= quota.open_rows()
            size *= GROWTH

    def _look_up(self, count: int, mask: Mask | None) -> Nearest:
        with stage("look_up"):
            found = self._collection.nearest(
                self._state, self._composed.vector, count, mask, self._excluded, self._patience
            )
        if found.route is not Route.EXACT:
            self.route = found.route
        # Most similar first: where the last one is similar enough, all are.
        if not len(found.rows) or self._admits(float(found.similarities[-1])):
            return found
        similar = reported(self._composed, found.similarities) >= self._min_similarity
        return Nearest(found.rows[similar], found.similarities[similar], found.route)

    def _admits(self, cosine: float) -> bool:
        return max(self._composed.scale * cosine, -1.0) >= self._min_similarity


def reported(composed: Composed, cosines: NDArray[np.float64]) -> NDArray[np.float64]:
    """The similarities of hits, in [-1, 1], from their cosines to the composed vector."""
    # On few numbers, `np.clip` takes twice as long.
    return np.minimum(np.maximum(composed.scale * cosines, -1.0), 1.0)
