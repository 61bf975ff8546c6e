"""Rows by a few principal axes, which tell near ones from far ones at a fraction of the cost.

A search in two steps (Seidl and Kriegel 1998): few coordinates leave a small number of candidates,
all coordinates put these in order. What the axes leave out of a query and of a row makes a score on
the axes uncertain, by no more than the product of the two lengths and as a rule by far less. So a
row is a candidate down to a margin below the last one wanted that is in proportion to this product:
a query that the axes hardly hold has more candidates rather than worse ones, and rows of a rare
look that no axis holds are not lost.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from tashihiki_server.index.base import TIE, RowNumbers
from tashihiki_server.index.calibration import COUNTS
from tashihiki_server.index.trial import Trial, least_reaching
from tashihiki_server.space.base import Vectors

AXES = 128
# Coordinates, to the axes, from which on these are worth a pass of their own.
_WIDE = 4
# Rows that axes are fitted to.
_SAMPLED = 2048
_PIECE = 8192
# Of a squared length in single precision.
_ROUNDING = 1e-6
# Of the recall that may be missing, what the margins may take.
_PART = 0.25


@dataclass(frozen=True)
class Principal:
    """Rows on principal axes.

    Attributes:
        axes: (d, r), orthonormal.
        rows: (n, r), the rows' coordinates on them.
        margins: by how much a candidate's score on the axes may be below that of the last one
            wanted, to the product of the lengths of what the axes leave out of it and of the
            query; by count.
    """

    axes: Vectors
    rows: Vectors
    margins: Mapping[int, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # Now, rather than while the first search waits for it.
        _ = self.left_out

    def seen(self, query: Vectors) -> Vectors:
        """A query (d,) on the axes, (r,)."""
        found: Vectors = query @ self.axes
        return found

    @cached_property
    def left_out(self) -> Vectors:
        """The length of what the axes leave out of each row, which is of unit length, (n,)."""
        squares = 1.0 - np.einsum("ij,ij->i", self.rows, self.rows)
        lengths: Vectors = np.sqrt(np.maximum(squares, np.float32(_ROUNDING)))
        return lengths

    def near(
        self, rows: RowNumbers, scores: Vectors, seen: Vectors, count: int
    ) -> NDArray[np.intp]:
        """Which of some rows are candidates, by their places among these.

        Args:
            rows: by number, (m,).
            scores: theirs on the axes, (m,).
            seen: the query, of unit length before, on the axes.
            count: how many rows are wanted.
        """
        # Of fewer, the last one would say less than the margins were measured by.
        wanted = max(count, COUNTS[0])
        if len(scores) <= wanted:
            return np.arange(len(scores))
        last = np.partition(scores, len(scores) - wanted)[len(scores) - wanted]
        low, high = (self.margins[step] for step in COUNTS)
        margin = low if wanted == COUNTS[0] else high if wanted >= COUNTS[1] else max(low, high)
        slack = np.float32(margin * _left_out(seen)) * self.left_out[rows]
        return np.flatnonzero(scores + slack >= last - TIE)

    def measured(
        self, trial: Trial, parts: Sequence[NDArray[np.intp]], target: float
    ) -> tuple[Principal, NDArray[np.bool_]]:
        """The same with margins, and which of some queries' neighbours these let through.

        Args:
            trial: queries, and their neighbours among the rows.
            parts: the numbers of those that are compared on the axes, easy and hard ones apart, as
                each part is to reach the target.
            target: recall that is wanted in all.

        Returns:
            The second is (queries, largest of `COUNTS`), for one part after the other. Without a
            query margins let everything through.
        """
        asked = np.concatenate(parts)
        # Below the score of the last one of each count, to what is left out of both.
        below = {c: np.full((len(asked), c), -np.inf) for c in COUNTS}
        for number, query in enumerate(trial.queries[asked]):
            seen = self.seen(query)
            scores = self.rows @ seen
            neighbours = trial.nearest[asked[number]]
            beside = _left_out(seen)
            for count, needed in below.items():
                if len(scores) <= count:
                    continue
                last = np.partition(scores, len(scores) - count)[len(scores) - count]
                there = neighbours[:count] >= 0
                some = neighbours[:count][there]
                needed[number, there] = (last - scores[some]) / (beside * self.left_out[some])
        recall = 1.0 - _PART * (1.0 - target)
        margins = dict.fromkeys(COUNTS, math.inf)
        if len(asked):
            ends = np.cumsum([len(part) for part in parts])[:-1]
            margins = {
                c: max(0.0, *(least_reaching(part, recall) for part in np.split(needed, ends)))
                for c, needed in below.items()
            }
        low, high = COUNTS
        passed = below[high] <= margins[high]
        passed[:, :low] &= below[low] <= margins[low]
        return replace(self, margins=margins), passed


def is_wide(dimension: int) -> bool:
    """Whether rows of so many coordinates are worth comparing on axes first."""
    return dimension >= _WIDE * AXES


def fit_axes(vectors: Vectors, random: np.random.Generator) -> Vectors:
    """The axes (d, `AXES`) that most of a sample of rows (n, d) lies on, from `AXES` rows on.

    Principal axes without centring (Eckart and Young 1936): products are compared, not distances
    from the mean. By the products of the sampled rows, of which there are fewer than coordinates
    or not many more.
    """
    size = min(len(vectors), _SAMPLED)
    drawn = np.sort(random.choice(len(vectors), size=size, replace=False))
    sample = np.asarray(vectors[drawn], dtype=np.float64)
    _, weights = np.linalg.eigh(sample @ sample.T)
    # Orthonormal also where the sample spans fewer dimensions.
    axes, _ = np.linalg.qr(sample.T @ weights[:, : -AXES - 1 : -1])
    found: Vectors = np.ascontiguousarray(axes, dtype=np.float32)
    return found


def on_axes(vectors: Vectors, axes: Vectors) -> Vectors:
    """Rows (n, d) on axes, (n, r); in pieces, since they may lie in a file."""
    found = np.empty((len(vectors), axes.shape[1]), dtype=np.float32)
    for start in range(0, len(vectors), _PIECE):
        rows = slice(start, start + _PIECE)
        np.matmul(vectors[rows], axes, out=found[rows])
    return found


def _left_out(seen: Vectors) -> float:
    """The length of what the axes leave out of a query of unit length; never less than rounding."""
    return math.sqrt(max(1.0 - float(seen @ seen), _ROUNDING))
