"""NGT behind a wall: the only module that touches ngtpy.

ngtpy ends the process, hangs or answers wrongly for many inputs (a vector of the wrong length,
rows of zeros or NaN, strided arrays, a size of 0, ids beyond 2³²), so nothing reaches it
unchecked. Rows are numbered in the order in which they were built; nothing is inserted later,
removed or refined.
"""

from __future__ import annotations

from operator import index as integer
from pathlib import Path
from typing import Any

import ngtpy
import numpy as np
from numpy.typing import NDArray

from tashihiki_server.index.base import RowNumbers
from tashihiki_server.space.base import Vectors

# NGT numbers rows by 32 bits and keeps two of the numbers to itself.
MAX_ROWS = 2**32 - 2
MAX_EPSILON = 10.0
# Of a length; L2 puts rows in the order of their cosines only where all are of length 1.
_UNIT_TOLERANCE = 1e-3
_PIECE = 65_536
# NGT takes the numbers for small ones of its own.
_MAX_THREADS = 256
_MAX_EDGES = 1000


def build_ngt(vectors: Vectors, folder: Path, threads: int, *, edges: int = 20) -> None:
    """Builds an index over unit vectors (n, d) and saves it. Holds the GIL throughout.

    Args:
        vectors: the rows; an array that is C-contiguous float32 is not copied.
        folder: that is made.
        threads: how many, from 1 to 256.
        edges: that a new row gets to its nearest ones, from 1 to 1000.

    Raises:
        ValueError: for anything but rows of unit length, and for numbers below 1. Larger numbers
            count as the largest.
    """
    threads = min(_at_least(1, threads, "threads"), _MAX_THREADS)
    edges = min(_at_least(1, edges, "edges"), _MAX_EDGES)
    rows = _array(vectors)
    if rows.ndim != 2 or not rows.size or len(rows) > MAX_ROWS:
        raise ValueError(f"an array of shape {rows.shape} has no rows to index")
    for start in range(0, len(rows), _PIECE):
        _check_unit(rows[start : start + _PIECE])
    ngtpy.create(
        path=str(folder).encode(),
        dimension=rows.shape[1],
        distance_type="L2",
        object_type="Float",
        edge_size_for_creation=edges,
        edge_size_for_search=40,
    )
    index = ngtpy.Index(str(folder).encode())
    try:
        index.batch_insert(rows, num_threads=threads)
        index.save()
    finally:
        index.close()


class NgtIndex:
    """A saved index, opened for searching."""

    def __init__(self, folder: Path, *, count: int, dimension: int) -> None:
        """Opens an index whose files are known to be as they were written.

        Args:
            folder: that `build_ngt` wrote.
            count: the number of its rows.
            dimension: of its vectors.

        Raises:
            ValueError: where it holds something else.
            RuntimeError: where NGT cannot read it.
        """
        self._count = _at_least(1, count, "count")
        self._dimension = _at_least(1, dimension, "dimension")
        self._index = ngtpy.Index(str(folder).encode(), read_only=True)
        try:
            self._check_content()
        except BaseException:
            self.close()
            raise

    def _check_content(self) -> None:
        found = self._index.get_num_of_objects()
        if found != self._count:
            raise ValueError(f"the graph has {found} rows where {self._count} are due")
        first = np.array(self._index.get_object(0), dtype=np.float32)
        # Also the first search, which must not run beside another one.
        if self.search(first, 1, 0.1, 0).tolist() == []:
            raise ValueError("the graph finds nothing")

    def __len__(self) -> int:
        return self._count

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        return self._index is None

    def search(self, vector: Vectors, count: int, epsilon: float, edge_size: int) -> RowNumbers:
        """Up to `count` rows near a unit vector (d,), roughly nearest first.

        Args:
            vector: the query.
            count: how many are wanted; all rows at most, none for numbers below 1.
            epsilon: how far beyond the nearest found NGT looks on, from 0 to `MAX_EPSILON`.
            edge_size: how many edges of a node it follows; 0 for all.

        Raises:
            ValueError: for anything else, and once it is closed.
        """
        query = _array(vector)
        if query.shape != (self._dimension,):
            raise ValueError(f"an array of shape {query.shape} where ({self._dimension},) is due")
        _check_unit(query[None])
        size = min(_at_least(None, count, "count"), self._count)
        edges = min(_at_least(0, edge_size, "edge_size"), self._count)
        if not isinstance(epsilon, (int, float)) or not 0 <= epsilon <= MAX_EPSILON:
            raise ValueError(f"{epsilon!r} is no epsilon")
        if self._index is None:
            raise ValueError("the graph was closed")
        if size < 1:
            return np.empty(0, dtype=np.int64)
        found = self._index.search(
            query, size=size, epsilon=float(epsilon), edge_size=edges, with_distance=False
        )
        return np.asarray(found, dtype=np.int64)

    def close(self) -> None:
        """Lets go of memory; does nothing the second time."""
        index, self._index = self._index, None
        if index is not None:
            index.close()


def _array(content: Any) -> NDArray[np.float32]:
    """Numbers as C-contiguous float32, of the shape that they have.

    Raises:
        ValueError: where they are none.
    """
    try:
        array = np.asarray(content)
        if array.dtype.kind not in "fiu":
            raise ValueError(f"{array.dtype} is no type of numbers")
        with np.errstate(over="ignore"):
            return np.asarray(array, dtype=np.float32, order="C")
    except (TypeError, OverflowError) as error:
        raise ValueError(f"this is no array of numbers: {error}") from error


def _check_unit(rows: NDArray[np.float32]) -> None:
    # In double precision, where the squares of all float32 are finite.
    lengths = np.sqrt(np.einsum("ij,ij->i", rows, rows, dtype=np.float64))
    if not (np.abs(lengths - 1.0) <= _UNIT_TOLERANCE).all():
        raise ValueError("a vector is zero, not finite or not of length 1")


def _at_least(least: int | None, number: Any, name: str) -> int:
    try:
        found = integer(number)
    except TypeError as error:
        raise ValueError(f"{number!r} is no {name}") from error
    if least is not None and found < least:
        raise ValueError(f"{name} must be at least {least}, not {found}")
    return found
