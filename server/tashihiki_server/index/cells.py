"""Rows in cells around centroids: a query is compared with those of the nearest cells only.

Known as an inverted file (Jégou, Douze and Schmid 2011), without compression.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from tashihiki_server.index.base import RowNumbers
from tashihiki_server.index.calibration import COUNTS, Efforts, between
from tashihiki_server.index.principal import Principal
from tashihiki_server.space.base import Vectors


@dataclass(frozen=True)
class Cells:
    """A division of rows by some of their coordinates.

    Attributes:
        columns: the coordinates, start and stop.
        centroids: (cells, width), unit length.
        starts: (cells + 1,), where each cell's rows start, and the number of rows.
        rows: (n,), the rows, one cell after the other; None where they are stored in this order.
        efforts: how many rows to compare.
        principal: the rows, in this order, on axes of these coordinates; they and the centroids
            are compared there. None where all coordinates are compared.
    """

    columns: tuple[int, int]
    centroids: Vectors
    starts: RowNumbers
    rows: RowNumbers | None
    efforts: Efforts
    principal: Principal | None = None

    def seen(self, query: Vectors) -> Vectors:
        """A query (d,) in the coordinates that are compared, (width,)."""
        part: Vectors = query[slice(*self.columns)]
        return part if self.principal is None else self.principal.seen(part)

    def similarities(self, query: Vectors) -> Vectors:
        """The cosines of a query (d,) to all centroids, (cells,), as far as it is seen."""
        found: Vectors = self.centroids @ self.seen(query)
        return found

    def budget(self, similarities: Vectors, count: float) -> float:
        """How many rows must be compared where all are allowed.

        A query that lies among the rows, as an item does, has its neighbours in few cells; a sum
        may lie where there are none, about as far from many. Where one lies farther off than any
        that was sampled, as a picture unlike all items does, nothing is known of it: all.
        """
        nearest = float(similarities.max())
        effort = next((e for e in self.efforts if nearest >= e.similarity), None)
        if effort is None:
            return float(self.starts[-1])
        low, high = (effort.rows[step] for step in COUNTS)
        return max(between((low, high), count), count)

    def allowed_budget(self, similarities: Vectors, count: int, share: float) -> float:
        """How many allowed rows must be compared, where this share of all rows is allowed.

        The best allowed ones are about as far down among all rows as their share says.
        """
        return max(share * self.budget(similarities, count / share), count)

    @cached_property
    def sizes(self) -> RowNumbers:
        """How many rows each cell has."""
        return np.diff(self.starts)

    def nearest(self, similarities: Vectors, rows: float) -> NDArray[np.intp]:
        """As many of the nearest cells as have so many rows, by their numbers."""
        distances = -similarities
        wanted = 8 + int(2 * rows * len(distances) / max(self.starts[-1], 1))
        while wanted < len(distances):
            # Sorting the nearest alone is several times as fast.
            some = np.argpartition(distances, wanted)[:wanted]
            some = some[np.argsort(distances[some])]
            reached = np.cumsum(self.sizes[some])
            if reached[-1] >= rows:
                return np.sort(some[: np.searchsorted(reached, rows) + 1])
            wanted *= 2
        order = np.argsort(distances)
        return np.sort(order[: np.searchsorted(np.cumsum(self.sizes[order]), rows) + 1])

    def places(self, numbers: NDArray[np.intp]) -> RowNumbers:
        """The places of the rows of some cells in the division's order."""
        sizes = self.sizes[numbers]
        stops = np.cumsum(sizes)
        places: RowNumbers = np.repeat(self.starts[numbers] - stops + sizes, sizes)
        places += np.arange(len(places))
        return places

    def rows_at(self, places: RowNumbers) -> RowNumbers:
        """The rows at some places of the division's order."""
        return places if self.rows is None else self.rows[places]

    def arranged(self, vectors: Vectors) -> Vectors:
        """Of rows (n, d), what is compared, in the division's order, (n, width)."""
        if self.principal is not None:
            return self.principal.rows
        if self.rows is None:
            return vectors
        found: Vectors = vectors[:, slice(*self.columns)][self.rows]
        return found

    def fits(self, count: int, dimension: int) -> bool:
        """Whether it is of so many rows of so many coordinates."""
        start, stop = self.columns
        width = stop - start
        if self.principal is not None:
            width = self.principal.axes.shape[1]
            if self.principal.axes.shape[0] != stop - start:
                return False
            if self.principal.rows.shape != (count, width):
                return False
        return (
            0 <= start < stop <= dimension
            and self.centroids.shape[1:] == (width,)
            and self.starts.shape == (len(self.centroids) + 1,)
            and self.starts[0] == 0
            and self.starts[-1] == count
            and bool((np.diff(self.starts) >= 0).all())
            and (self.rows is None or self.rows.shape == (count,))
        )

    def with_efforts(self, efforts: Efforts) -> Cells:
        """The same cells, to be looked through in another measure."""
        return replace(self, efforts=efforts)
