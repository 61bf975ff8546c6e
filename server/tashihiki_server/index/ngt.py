"""NGT behind a wall: the only module that touches ngtpy.

ngtpy ends the process, hangs or answers wrongly for many inputs (a vector of the wrong length,
rows of zeros or NaN, strided arrays, a size of 0), so nothing reaches it unchecked.
"""

from __future__ import annotations

from pathlib import Path

import ngtpy
import numpy as np
from numpy.typing import NDArray

from tashihiki_server.space.base import Vectors

_MAX_COUNT = 1_000_000
# Fewer save time per step and cost more in recall, on composed queries above all.
_ALL_EDGES = 0


def build_ngt(vectors: Vectors, folder: Path, threads: int) -> None:
    """Builds an index over unit vectors (n, d) and saves it. Holds the GIL throughout.

    Raises:
        ValueError: for anything but finite rows that are not zero.
    """
    if vectors.ndim != 2 or not len(vectors):
        raise ValueError(f"an array of shape {vectors.shape} has no rows to index")
    rows = _checked(vectors, 2, vectors.shape[1])
    ngtpy.create(
        path=str(folder).encode(),
        dimension=rows.shape[1],
        distance_type="L2",
        object_type="Float",
        edge_size_for_creation=20,
        edge_size_for_search=40,
    )
    index = ngtpy.Index(str(folder).encode())
    try:
        index.batch_insert(rows, num_threads=threads)
        index.save()
    finally:
        index.close()


class NgtIndex:
    """A saved index, opened for searching; see `VectorIndex`."""

    def __init__(self, folder: Path, *, count: int, dimension: int, epsilon: float) -> None:
        """Opens an index whose files are known to be sound.

        Args:
            folder: that `build_ngt` wrote.
            count: its number of rows.
            dimension: of its vectors.
            epsilon: how far beyond the nearest found NGT looks on; more finds more.
        """
        self._count = count
        self._dimension = dimension
        self._epsilon = epsilon
        self._index = ngtpy.Index(str(folder).encode(), read_only=True)

    def __len__(self) -> int:
        return self._count

    def search(self, vector: Vectors, count: int) -> NDArray[np.int64]:
        """See `VectorIndex.search`."""
        return self.search_at(vector, count, self._epsilon)

    def search_at(self, vector: Vectors, count: int, epsilon: float) -> NDArray[np.int64]:
        """The same with an epsilon of the caller's."""
        query = _checked(vector, 1, self._dimension)
        size = min(count, self._count, _MAX_COUNT)
        if size < 1:
            return np.empty(0, dtype=np.int64)
        found = self._index.search(
            query, size=size, epsilon=epsilon, edge_size=_ALL_EDGES, with_distance=False
        )
        return np.asarray(found, dtype=np.int64)

    def close(self) -> None:
        """See `VectorIndex.close`."""
        self._index.close()


def _checked(vectors: Vectors, dimensions: int, length: int) -> Vectors:
    array = np.ascontiguousarray(vectors, dtype=np.float32)
    if array.ndim != dimensions or array.shape[-1] != length or length < 1:
        raise ValueError(f"an array of shape {array.shape} where vectors of {length} are due")
    if not np.isfinite(array).all() or not array.any(axis=-1).all():
        raise ValueError("a vector is zero or not finite")
    return array
