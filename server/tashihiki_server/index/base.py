"""The seam to a nearest-neighbour index over a frozen set of gallery vectors."""

from __future__ import annotations

from enum import Enum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tashihiki_server.space.base import Vectors

Mask = NDArray[np.bool_]
RowNumbers = NDArray[np.int64]

# Rows whose scores differ by less may be equal pictures, which the caller puts in order.
TIE = 1e-6
# Comparing a row that must be gathered takes so many times as long as one in its place.
GATHERED = 2.5


class OutOfPatienceError(Exception):
    """A look-up takes longer than it may: it is hard, or many rows are equal."""


class Route(Enum):
    """How rows are looked up."""

    EXACT = "exact"
    """All of them are compared."""
    CELLS = "cells"
    """Those of the cells nearest to the query are compared."""
    GRAPH = "graph"
    """Along the edges of an NGT graph."""


class LookUp(Protocol):
    """What is known of a query before its nearest rows are."""

    def seconds(self, count: int) -> float:
        """About how long `candidates` takes where all rows are allowed."""
        ...

    def candidates(
        self, count: int, allowed: Mask | None, most: int | None = None
    ) -> RowNumbers | None:
        """Rows among which the `count` nearest allowed ones are, or most of them.

        How many of them, the calibration says. There are at least `count` rows where so many are
        allowed, in no order, and not many more. The caller compares exactly.

        Args:
            count: how many are wanted.
            allowed: (rows,), which may be answers; None for all.
            most: rows that may be candidates; None for any number.

        Returns:
            None where comparing all allowed rows takes no longer.

        Raises:
            ValueError: for a mask of another shape.
            OutOfPatienceError: given `most`, where there are more, or where it takes much longer
                than `seconds` says.
        """
        ...


class VectorIndex(Protocol):
    """Rows of unit vectors, numbered from 0, built once and then only searched."""

    @property
    def route(self) -> Route:
        """How it looks rows up."""
        ...

    def __len__(self) -> int:
        """How many rows it holds."""
        ...

    def look_up(self, vector: Vectors) -> LookUp:
        """Begins to look a unit vector (d,) up.

        Raises:
            ValueError: for another shape, for no finite vector and for one of zeros.
        """
        ...

    def close(self) -> None:
        """Lets go of memory and files."""
        ...


def checked_query(vector: Vectors, dimension: int) -> Vectors:
    """The query as it may be compared.

    Args:
        vector: see `VectorIndex.look_up`, as is
        dimension: of the rows.

    Raises:
        ValueError: for another shape, for no finite vector and for one of zeros.
    """
    query = np.ascontiguousarray(vector, dtype=np.float32)
    if np.shape(vector) != (dimension,):
        raise ValueError(f"a query of shape {np.shape(vector)} for rows of {dimension}")
    if not np.isfinite(query).all() or not query.any():
        raise ValueError("a query is zero or not finite")
    return query


def checked_mask(allowed: Mask | None, rows: int) -> Mask | None:
    """A mask of so many rows; None where it allows all.

    Raises:
        ValueError: for another shape.
    """
    if allowed is None:
        return None
    if allowed.shape != (rows,) or allowed.dtype != np.bool_:
        raise ValueError(f"a mask of shape {allowed.shape} for {rows} rows")
    return None if allowed.all() else allowed
