"""Rows in the order in which they are returned."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tashihiki_server.collection.nearest import Nearest


@dataclass(frozen=True)
class Ranking:
    """Rows of one state, in order.

    Attributes:
        rows: (n,).
        similarities: (n,), cosines to the composed vector.
        posteriors: (n,), in [0, 1]; NaN where the order is that of the similarities.
    """

    rows: NDArray[np.int64]
    similarities: NDArray[np.float64]
    posteriors: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.rows)

    @classmethod
    def of(cls, found: Nearest) -> Ranking:
        """Rows in the order of their similarities."""
        return cls(found.rows, found.similarities, np.full(len(found.rows), np.nan))

    def at(self, places: NDArray[np.int64] | slice) -> Ranking:
        """Some of the rows."""
        return Ranking(self.rows[places], self.similarities[places], self.posteriors[places])

    def followed_by(self, other: Ranking) -> Ranking:
        """Both, one after the other."""
        return Ranking(
            np.concatenate([self.rows, other.rows]),
            np.concatenate([self.similarities, other.similarities]),
            np.concatenate([self.posteriors, other.posteriors]),
        )
