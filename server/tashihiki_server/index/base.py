"""The seam to a nearest-neighbour index over a frozen set of gallery vectors."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tashihiki_server.space.base import Vectors


class VectorIndex(Protocol):
    """Rows of unit vectors, numbered from 0, built once and then only searched."""

    def __len__(self) -> int:
        """How many rows it holds."""
        ...

    def search(self, vector: Vectors, count: int) -> NDArray[np.int64]:
        """Up to `count` rows near the unit vector (d,), roughly nearest first.

        The answer is approximate; the caller compares exactly.
        """
        ...

    def close(self) -> None:
        """Lets go of memory and files."""
        ...
