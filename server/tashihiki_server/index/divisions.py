"""Divides rows into cells: around centroids fitted to them, or around those of the last index.

Fitting is most of a build. Rows that come and go leave the centroids about where they were, so
the last ones do until a search has to compare a larger share of the rows for the same recall.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from tashihiki_server.index.base import RowNumbers
from tashihiki_server.index.calibration import Calibration, Efforts, Fitted
from tashihiki_server.index.cells import Cells
from tashihiki_server.index.kmeans import assign, fit_centroids
from tashihiki_server.index.opening import read_cells
from tashihiki_server.index.principal import Principal, fit_axes, is_wide, on_axes
from tashihiki_server.index.request import Request
from tashihiki_server.space.base import Block, Vectors

logger = logging.getLogger(__name__)

CELLS_PER_ROOT = 8
# Rows for which centroids do, to those that they were fitted to.
_LEAST, _MOST = 0.6, 1.6
# A row that is shorter on the axes has no direction there.
_SHORTEST = 1e-6
# Share of the rows that must be compared, to that just after the fit. Another sample of
# compositions alone makes it differ by a tenth or two.
_WORN = 1.4


def cell_count(rows: int) -> int:
    """Into how many cells so many rows go.

    Small cells leave out more, until looking for the nearest ones takes as long.
    """
    return max(1, round(CELLS_PER_ROOT * math.sqrt(rows)))


@dataclass(frozen=True)
class Divider:
    """Divides rows by all coordinates, and by those of facets.

    Attributes:
        random: what is fitted is drawn by it.
        fitted: what the given centroids were worth when they were fitted; None to fit.
        centroids: of each division of the last index.
        axes: of its first division, (d, r); None where that has none.
    """

    random: np.random.Generator
    fitted: Fitted | None = None
    centroids: Sequence[Vectors] = ()
    axes: Vectors | None = None

    @classmethod
    def like(cls, request: Request, rows: int, random: np.random.Generator) -> Divider:
        """With the centroids of the last index, where they may do for so many rows."""
        previous, folder = request.previous, request.previous_folder
        if previous is None or previous.fitted is None or folder is None:
            return cls(random)
        if not _LEAST <= rows / previous.fitted.rows <= _MOST:
            return cls(random)
        try:
            read = [read_cells(folder, n, (), {}) for n in range(len(previous.fitted.cells))]
        except (OSError, ValueError) as error:
            logger.warning("the last index cannot be read again: %s", error)
            return cls(random)
        wanted = [(0, request.blocks[-1].stop), *facet_columns(request.blocks)]
        if [cells.columns for cells in read] != wanted:
            return cls(random)
        principal = read[0].principal
        if (principal is None) == is_wide(request.blocks[-1].stop):
            return cls(random)
        axes = None if principal is None else principal.axes
        return cls(random, previous.fitted, [cells.centroids for cells in read], axes)

    def whole(self, vectors: Vectors) -> tuple[Cells, RowNumbers]:
        """Cells of rows (n, d) without efforts, and the order that puts each cell's together.

        Where the rows are wide, on principal axes without margins.
        """
        if not is_wide(vectors.shape[1]):
            return self._divide(vectors, 0)
        axes = fit_axes(vectors, self.random) if self.axes is None else self.axes
        rows = on_axes(vectors, axes)
        # Around centroids of unit length, to which long rows would seem nearer.
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        cells, order = self._divide(rows / np.maximum(lengths, _SHORTEST), 0)
        columns = (0, vectors.shape[1])
        return replace(cells, columns=columns, principal=Principal(axes, rows[order])), order

    def by_columns(self, vectors: Vectors, columns: tuple[int, int], number: int) -> Cells:
        """Cells of some coordinates, start and stop, the division of this number."""
        cells, rows = self._divide(np.ascontiguousarray(vectors[:, slice(*columns)]), number)
        return replace(cells, columns=columns, rows=rows)

    def _divide(self, vectors: Vectors, number: int) -> tuple[Cells, RowNumbers]:
        centroids = (
            self.centroids[number]
            if self.fitted
            else fit_centroids(vectors, cell_count(len(vectors)), self.random)
        )
        cells = assign(vectors, centroids)
        order = np.argsort(cells, kind="stable")
        sizes = np.bincount(cells, minlength=len(centroids))
        starts = np.append(0, np.cumsum(sizes[sizes > 0]))
        return Cells((0, vectors.shape[1]), centroids[sizes > 0], starts, None, ()), order

    def worn(self, calibration: Calibration) -> bool:
        """Whether centroids that are used again make searches compare too much."""
        if self.fitted is None:
            return False
        now = _compared(calibration.cells, calibration.rows)
        return not now or now > _WORN * _compared(self.fitted.cells, self.fitted.rows)


def _compared(cells: Sequence[Efforts], count: int) -> float:
    """The shares of the rows that are compared, of all divisions together.

    One by itself is measured on few compositions; one that was measured on none compares all.
    """
    return sum(
        min(rows, count) / count / len(efforts)
        for efforts in cells
        for effort in efforts
        for rows in effort.rows.values()
    )


def facet_columns(blocks: Sequence[Block]) -> list[tuple[int, int]]:
    """The coordinates of the divisions by facets: by each one, and by all where more is left.

    Attributes alone fill none of the rest, by which rows would lie in cells too.
    """
    facets = [(block.start, block.stop) for block in blocks if block.facet]
    together = [(facets[0][0], facets[-1][1])] if 1 < len(facets) < len(blocks) else []
    return facets + together
