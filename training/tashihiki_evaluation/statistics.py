"""How sure a figure is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

DRAWS = 2000
_Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A mean over queries with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Comparison:
    """A row against the plain sum, on the queries that both answer.

    Attributes:
        difference: of the means, row less plain sum.
        wins: queries that only the row gets right.
        losses: queries that only the plain sum gets right.
        p: two-sided sign test over the clusters that differ: how often chance alone would
            favour one side as much or more.
    """

    difference: Estimate
    wins: int
    losses: int
    p: float


def estimate(values: _Floats, clusters: NDArray[np.int64], seed: int) -> Estimate:
    """The mean, and its percentile bootstrap interval over clusters.

    Queries for the same combination stand or fall together, so whole clusters are drawn.

    Args:
        values: (queries,).
        clusters: (queries,), the cluster of each.
        seed: of the draws.
    """
    if not len(values):
        return Estimate(0.0, 0.0, 0.0)
    _, number = np.unique(clusters, return_inverse=True)
    number = number.reshape(-1)
    totals = np.bincount(number, weights=values)
    sizes = np.bincount(number)
    rng = np.random.default_rng(seed)
    share = np.full(len(sizes), 1 / len(sizes))
    drawn = rng.multinomial(len(sizes), share, size=DRAWS).astype(np.float64)
    low, high = np.percentile((drawn @ totals) / (drawn @ sizes), [2.5, 97.5])
    return Estimate(float(values.mean()), float(low), float(high))


def compare(row: _Floats, plain: _Floats, clusters: NDArray[np.int64], seed: int) -> Comparison:
    """Compares two rows on the same queries; values are 0 or 1."""
    difference = row - plain
    _, number = np.unique(clusters, return_inverse=True)
    per_cluster = np.bincount(number.reshape(-1), weights=difference)
    better, worse = int((per_cluster > 0).sum()), int((per_cluster < 0).sum())
    p = binomtest(better, better + worse).pvalue if better + worse else 1.0
    return Comparison(
        estimate(difference, clusters, seed),
        int((difference > 0).sum()),
        int((difference < 0).sum()),
        float(p),
    )
