"""An NGT graph as an index: allowed rows are taken out of more than are wanted."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

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
from tashihiki_server.index.calibration import COUNTS, GraphSetting, between
from tashihiki_server.index.ngt import NgtIndex
from tashihiki_server.space.base import Vectors


class GraphIndex:
    """Rows along a graph; see `VectorIndex`."""

    def __init__(
        self,
        graph: NgtIndex,
        vectors: Vectors,
        settings: Mapping[int, GraphSetting],
        row_seconds: float,
    ) -> None:
        """Searches a graph.

        Args:
            graph: over the rows, in the order that they have in
            vectors: (n, d).
            settings: by count.
            row_seconds: of comparing one row where all are compared.

        Raises:
            ValueError: where the graph is of another number of rows.
        """
        if len(graph) != len(vectors):
            raise ValueError("the graph is not of these rows")
        self._graph = graph
        self.vectors = vectors
        self._settings = settings
        self.row_seconds = row_seconds

    @property
    def route(self) -> Route:
        """`Route.GRAPH`."""
        return Route.GRAPH

    def __len__(self) -> int:
        return len(self._graph)

    def close(self) -> None:
        """See `VectorIndex.close`."""
        self._graph.close()

    def look_up(self, vector: Vectors) -> GraphLookUp:
        """See `VectorIndex.look_up`."""
        return GraphLookUp(self, checked_query(vector, self.vectors.shape[1]))

    def search(self, query: Vectors, size: int) -> RowNumbers:
        """So many rows near a query, (size,) at most."""
        setting = self._settings[COUNTS[0] if size < COUNTS[1] else COUNTS[1]]
        return self._graph.search(query, size, setting.epsilon, setting.edge_size)

    def size_seconds(self, size: int) -> float:
        """About how long that takes."""
        low, high = (self._settings[count].seconds for count in COUNTS)
        return between((low, max(low, high)), size)


class GraphLookUp:
    """A query that is followed along the graph; see `LookUp`."""

    def __init__(self, index: GraphIndex, query: Vectors) -> None:
        """Does nothing yet.

        Args:
            index: that has the graph.
            query: (d,).
        """
        self._index = index
        self._query = query

    def seconds(self, count: int) -> float:
        """See `LookUp.seconds`."""
        index = self._index
        return min(index.size_seconds(look_up_size(count)), index.row_seconds * len(index))

    def candidates(
        self, count: int, allowed: Mask | None, most: int | None = None
    ) -> RowNumbers | None:
        """See `LookUp.candidates`.

        A first search asks for as many rows as should hold enough allowed ones, each further
        one for three times as many; it ends where comparing the allowed rows is as fast.
        """
        index, query = self._index, self._query
        allowed = checked_mask(allowed, len(index))
        possible = len(index) if allowed is None else int(np.count_nonzero(allowed))
        wanted = min(max(count, 0), possible)
        if not wanted:
            return np.empty(0, dtype=np.int64)
        exact = index.row_seconds * possible
        if allowed is not None:
            exact = min(GATHERED * exact, index.row_seconds * len(index))
        size = look_up_size(wanted * len(index) / possible)
        first, spent = index.size_seconds(size), 0.0
        while True:
            spent += index.size_seconds(size)
            if spent >= exact or size >= len(index):
                if most is not None and spent > first:
                    raise OutOfPatienceError
                return None
            found = index.search(query, size)
            if allowed is not None:
                found = found[allowed[found]]
            if len(found) > wanted:
                scores = index.vectors[found] @ query
                worst = np.partition(scores, -wanted)[-wanted]
                kept = scores >= worst - TIE
                # Equal rows up to the last one found: there may be more of them.
                if not kept.all():
                    best: RowNumbers = found[kept]
                    return best
            elif len(found) == wanted == possible:
                return found
            size *= 3


def look_up_size(wanted: float) -> int:
    """How many rows to ask a graph for where so many are wanted.

    Some more, since the last ones are the ones it misses; and never fewer than calibrated, since
    a smaller look-up turns back earlier.
    """
    return int(1.2 * max(wanted, COUNTS[0])) + 10
