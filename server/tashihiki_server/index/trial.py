"""Queries whose nearest rows are known, to measure recall and time by."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tashihiki_server.index.base import TIE, RowNumbers
from tashihiki_server.index.calibration import COUNTS
from tashihiki_server.space.base import Vectors

TIMED = 60
_WARMING = 3
_PIECE = 16_384

_Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Trial:
    """Queries, and what an exact search finds.

    Attributes:
        vectors: (n, d).
        queries: (m, d).
        kinds: of the queries, (m,).
        nearest: (m, largest of `COUNTS`), most similar rows first; -1 where there are no more.
        scores: of these, (m, largest of `COUNTS`).
    """

    vectors: Vectors
    queries: Vectors
    kinds: NDArray[np.int64]
    nearest: RowNumbers
    scores: Vectors

    @classmethod
    def of(cls, vectors: Vectors, queries: Vectors, kinds: NDArray[np.int64]) -> Trial:
        """Searches exactly, in pieces."""
        count = COUNTS[-1]
        scores = np.full((len(queries), count), -np.inf, dtype=np.float32)
        rows = np.full((len(queries), count), -1, dtype=np.int64)
        for start in range(0, len(vectors), _PIECE):
            piece = queries @ np.asarray(vectors[start : start + _PIECE]).T
            numbers = np.broadcast_to(np.arange(start, start + piece.shape[1]), piece.shape)
            piece = np.concatenate([scores, piece], axis=1)
            numbers = np.concatenate([rows, numbers], axis=1)
            best = np.argpartition(-piece, count - 1, axis=1)[:, :count]
            scores = np.take_along_axis(piece, best, axis=1)
            rows = np.take_along_axis(numbers, best, axis=1)
        order = np.argsort(-scores, axis=1)
        scores = np.take_along_axis(scores, order, axis=1)
        rows = np.where(np.isfinite(scores), np.take_along_axis(rows, order, axis=1), -1)
        return cls(vectors, queries, kinds, rows, scores)

    def recalls(self, search: Callable[[Vectors], RowNumbers], count: int) -> _Floats:
        """The share of each query's `count` nearest rows that a search finds, (queries,)."""
        return np.array(
            [
                min(1.0, float((self.vectors[search(query)] @ query >= worst - TIE).sum()) / count)
                for query, worst in zip(self.queries, self.scores[:, count - 1], strict=True)
            ]
        )


def assured(recalls: _Floats) -> float:
    """The mean less its standard error: a sample's luck shall not pass for recall."""
    return float(recalls.mean() - recalls.std() / np.sqrt(len(recalls)))


def least_reaching(needed: NDArray[np.generic], recall: float) -> float:
    """The least of what neighbours need that reaches a recall, as far as the sample assures it.

    Args:
        needed: (m, count), of each query's neighbours; m is 1 at least.
        recall: below 1.
    """
    steps = np.unique(needed)
    low, high = 0, len(steps) - 1
    while low < high:
        middle = (low + high) // 2
        if assured((needed <= steps[middle]).mean(axis=1)) >= recall:
            high = middle
        else:
            low = middle + 1
    return float(steps[low])


def median_seconds(search: Callable[[Vectors], object], queries: Vectors) -> float:
    """Of one call."""
    for query in queries[:_WARMING]:
        search(query)
    taken = []
    for query in queries[:TIMED]:
        began = time.perf_counter()
        search(query)
        taken.append(time.perf_counter() - began)
    return float(np.median(taken))
