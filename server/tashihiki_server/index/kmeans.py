"""Spherical k-means (Dhillon and Modha 2001): unit vectors in cells around unit centroids."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tashihiki_server.space.base import Vectors

ROUNDS = 6
# More make centroids hardly better, and cost in proportion.
_SAMPLED_PER_CENTROID = 32
_PIECE = 8192


def fit_centroids(vectors: Vectors, cells: int, random: np.random.Generator) -> Vectors:
    """Centroids (cells, d) of unit length for rows (n, d), from a sample of them.

    Args:
        vectors: the rows.
        cells: how many, at most n.
        random: draws the sample, the first centroids and those that take an empty one's place.
    """
    size = min(len(vectors), cells * _SAMPLED_PER_CENTROID)
    drawn = np.sort(random.choice(len(vectors), size=size, replace=False))
    sample = np.ascontiguousarray(vectors[drawn])
    centroids: Vectors = sample[random.choice(size, size=cells, replace=False)].copy()
    for _ in range(ROUNDS):
        nearest = assign(sample, centroids)
        order = np.argsort(nearest, kind="stable")
        firsts = np.searchsorted(nearest[order], np.arange(cells))
        filled = np.append(np.diff(firsts), size - firsts[-1]) > 0
        sums = np.add.reduceat(sample[order], firsts[filled], axis=0)
        lengths = np.linalg.norm(sums, axis=1, keepdims=True)
        # Rows that cancel out leave their centroid where it is.
        moved = np.where(lengths > 1e-6, sums / np.maximum(lengths, 1e-6), centroids[filled])
        centroids[filled] = moved
        empty = int((~filled).sum())
        centroids[~filled] = sample[random.choice(size, size=empty, replace=False)]
    return centroids


def assign(vectors: Vectors, centroids: Vectors) -> NDArray[np.int32]:
    """The most similar centroid of every row, (n,)."""
    nearest = np.empty(len(vectors), dtype=np.int32)
    for start in range(0, len(vectors), _PIECE):
        rows = slice(start, start + _PIECE)
        nearest[rows] = (vectors[rows] @ centroids.T).argmax(axis=1)
    return nearest
