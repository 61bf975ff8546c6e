"""The look-up alone: NGT over the vectors that the server searches, without a server."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np

from benchmarks.floors.built_index import best
from tashihiki_server.index.ngt import NgtIndex, build_ngt
from tashihiki_server.space.base import Vectors

RECALL = 0.99
_EPSILONS = (0.0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.6, 1.0)
_EDGES = (0, 20, 40)
# Neighbours as near as the last one count as found.
_TIE = 1e-6


class BareNgt:
    """A graph, asked with the fastest setting that reaches RECALL on given queries."""

    def __init__(self, vectors: Vectors, folder: Path, queries: Vectors, count: int) -> None:
        """Builds and tries settings.

        Args:
            vectors: (n, d) of unit length.
            folder: that is made.
            queries: (q, d) of unit length.
            count: of neighbours.

        Raises:
            RuntimeError: where no setting reaches it.
        """
        # In no order, as items come: ours is that of our cells, in which a graph grows badly.
        vectors = vectors[np.random.default_rng(0).permutation(len(vectors))]
        build_ngt(vectors, folder, len(os.sched_getaffinity(0)))
        self._vectors = vectors
        self._index = NgtIndex(folder, count=len(vectors), dimension=vectors.shape[1])
        self.tune(queries, count)

    def tune(self, queries: Vectors, count: int) -> None:
        """Chooses the setting for other queries or another count."""
        self._count = count
        least = [
            float(np.sort((self._vectors @ query)[best(self._vectors @ query, count)])[0])
            for query in queries
        ]
        found: list[tuple[float, float, float, int]] = []
        for edges in _EDGES:
            for epsilon in _EPSILONS:
                recall, seconds = self._tried(queries, least, epsilon, edges)
                if recall >= RECALL:
                    found.append((seconds, recall, epsilon, edges))
                    break
        if not found:
            raise RuntimeError(f"no setting reaches a recall of {RECALL}")
        _, self.recall, self._epsilon, self._edges = min(found)

    def search(self, query: Vectors) -> None:
        """Looks a unit vector (d,) up."""
        self._index.search(query, self._count, self._epsilon, self._edges)

    @property
    def setting(self) -> str:
        """What was chosen, in words."""
        return f"epsilon {self._epsilon:g}, edges {self._edges or 'all'}"

    def _tried(
        self, queries: Vectors, least: list[float], epsilon: float, edges: int
    ) -> tuple[float, float]:
        hits, seconds = 0, []
        for query, worst in zip(queries, least, strict=True):
            begin = time.perf_counter()
            rows = self._index.search(query, self._count, epsilon, edges)
            seconds.append(time.perf_counter() - begin)
            hits += min(self._count, int((self._vectors[rows] @ query >= worst - _TIE).sum()))
        return hits / (len(queries) * self._count), float(np.median(seconds))

    def close(self) -> None:
        """Lets go of memory."""
        self._index.close()
