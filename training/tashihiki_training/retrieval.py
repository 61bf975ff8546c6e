"""How well sums of prototypes find pictures that were not learnt from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tashihiki_training.labels import MISSING, Codes, combinations
from tashihiki_training.prototypes import Prototypes, Vectors

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Gallery:
    """Pictures to search: (pictures, dimension) and (pictures, facets)."""

    embeddings: Vectors
    codes: Codes


@dataclass(frozen=True)
class Outcome:
    """What came of some queries.

    Attributes:
        queries: the combinations asked for, (queries, facets).
        right: whether the first hit carries everything asked for.
        precision: average precision of each whole ranking.
    """

    queries: Codes
    right: Flags
    precision: NDArray[np.float64]

    @property
    def recall_at_1(self) -> float:
        """The share of queries whose first hit is right."""
        return float(self.right.mean()) if len(self.right) else 0.0

    @property
    def mean_average_precision(self) -> float:
        """The mean over queries."""
        return float(self.precision.mean()) if len(self.precision) else 0.0


def composed_queries(codes: Codes) -> Codes:
    """The distinct combinations of at least two values that pictures carry."""
    unique, _ = combinations(codes)
    composed: Codes = unique[(unique != MISSING).sum(1) >= 2]
    return composed


def single_queries(codes: Codes, facet: int) -> Codes:
    """One query for every value of a facet that some picture carries."""
    values = np.unique(codes[:, facet])
    values = values[values != MISSING]
    queries = np.full((len(values), codes.shape[1]), MISSING, dtype=np.int64)
    queries[:, facet] = values
    return queries


def retrieve(queries: Codes, prototypes: Prototypes, gallery: Gallery) -> Outcome:
    """Ranks the whole gallery by cosine for every query whose values have prototypes."""
    known = queries[[prototypes.knows(query) for query in queries]] if len(queries) else queries
    right = np.zeros(len(known), dtype=bool)
    precision = np.zeros(len(known))
    for number, query in enumerate(known):
        scores = gallery.embeddings @ prototypes.compose(query)
        asked = query != MISSING
        relevant = (gallery.codes[:, asked] == query[asked]).all(1)
        ranked = relevant[np.argsort(-scores, kind="stable")]
        right[number] = ranked[0]
        precision[number] = _average_precision(ranked)
    return Outcome(known, right, precision)


def bootstrap_interval(
    right: Flags, rng: np.random.Generator, draws: int = 2000
) -> tuple[float, float]:
    """The 95 % percentile interval of the mean, by drawing queries with replacement."""
    if not len(right):
        return 0.0, 0.0
    picks = rng.integers(0, len(right), (draws, len(right)))
    low, high = np.percentile(right[picks].mean(1), [2.5, 97.5])
    return float(low), float(high)


def _average_precision(ranked: Flags) -> float:
    if not ranked.any():
        return 0.0
    hits = np.flatnonzero(ranked)
    return float(np.mean(np.arange(1, len(hits) + 1) / (hits + 1)))
