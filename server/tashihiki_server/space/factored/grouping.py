"""Sums over groups of rows, a piece at a time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]

_PIECE = 2048
# Groups, up to which a product with their indicators is faster than sorting.
_FEW = 64


class Grouping:
    """Rows by the group that they belong to."""

    def __init__(self, codes: Codes, count: int) -> None:
        """Sorts the rows by group; within a group they stay in their order.

        Args:
            codes: (n,) number of each row's group, negative for none.
            count: of groups.
        """
        ranked = np.argsort(codes, kind="stable")
        self._rows = ranked[np.searchsorted(codes[ranked], 0) :]
        self.sizes = np.bincount(codes[self._rows], minlength=count).astype(np.int64)
        self._ends = np.concatenate([[0], np.cumsum(self.sizes)])

    def sums(self, rows: NDArray[np.floating], first: int = 0, last: int | None = None) -> Floats:
        """Sums (last - first, d) of the rows (n, d) of each group, in double precision.

        Args:
            rows: of any precision; they are gathered a piece at a time.
            first, last: the range of groups; all by default.
        """
        last = len(self.sizes) if last is None else last
        sums = np.zeros((last - first, rows.shape[1]))
        start, stop = self._ends[first], self._ends[last]
        for at in range(start, stop, _PIECE):
            found = self._rows[at : min(at + _PIECE, stop)]
            groups = np.searchsorted(self._ends, np.arange(at, at + len(found)), "right") - 1
            begins = np.flatnonzero(np.diff(groups, prepend=-1))
            piece = rows[found].astype(np.float64)
            sums[groups[begins] - first] += np.add.reduceat(piece, begins, axis=0)
        return sums


def add_by_group(sums: Floats, codes: Codes, rows: Floats) -> None:
    """Adds rows (n, d) to the sums (groups, d) of their groups; negative codes are left out."""
    if len(sums) > _FEW:
        sums += Grouping(codes, len(sums)).sums(rows)
    else:
        sums += (np.arange(len(sums))[:, None] == codes).astype(np.float64) @ rows
