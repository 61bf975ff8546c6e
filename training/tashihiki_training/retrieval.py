"""How well compositions of prototypes find pictures that were not learnt from."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tashihiki_training.labels import MISSING, Codes
from tashihiki_training.prototypes import Vectors

Flags = NDArray[np.bool_]


class Composer(Protocol):
    """What turns combinations (facets,) into queries; MISSING adds nothing."""

    def knows(self, combination: Codes) -> bool:
        """Whether there is a query for the combination."""
        ...

    def compose(self, combination: Codes) -> Vectors:
        """The query, of unit length."""
        ...


@dataclass(frozen=True)
class Gallery:
    """Pictures to search: (pictures, dimension), of unit length, and (pictures, facets)."""

    vectors: Vectors
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

    def of(self, chosen: Flags) -> Outcome:
        """Some of the queries."""
        return Outcome(self.queries[chosen], self.right[chosen], self.precision[chosen])

    def unseen(self, codes: Codes) -> Flags:
        """(queries,): whether none of the pictures (n, facets) carries what is asked for."""
        return np.array([not _matching(codes, query).any() for query in self.queries], dtype=bool)


def pair_queries(codes: Codes) -> Codes:
    """The distinct combinations of two values that pictures carry, for every two facets."""
    queries = [np.empty((0, codes.shape[1]), dtype=np.int64)]
    for pair in combinations(range(codes.shape[1]), 2):
        columns = codes[:, list(pair)]
        found = np.unique(columns[(columns != MISSING).all(axis=1)], axis=0)
        asked = np.full((len(found), codes.shape[1]), MISSING, dtype=np.int64)
        asked[:, list(pair)] = found
        queries.append(asked)
    return np.concatenate(queries)


def single_queries(codes: Codes, facet: int) -> Codes:
    """One query for every value of a facet that some picture carries."""
    values = np.unique(codes[:, facet])
    values = values[values != MISSING]
    queries = np.full((len(values), codes.shape[1]), MISSING, dtype=np.int64)
    queries[:, facet] = values
    return queries


def retrieve(queries: Codes, composer: Composer, gallery: Gallery) -> Outcome:
    """Ranks the whole gallery by cosine for every query that the composer knows."""
    known = queries[[composer.knows(query) for query in queries]] if len(queries) else queries
    right = np.zeros(len(known), dtype=bool)
    precision = np.zeros(len(known))
    for number, query in enumerate(known):
        scores = gallery.vectors @ composer.compose(query)
        ranked = _matching(gallery.codes, query)[np.argsort(-scores, kind="stable")]
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


def _matching(codes: Codes, query: Codes) -> Flags:
    asked = query != MISSING
    matching: Flags = (codes[:, asked] == query[asked]).all(axis=1)
    return matching


def _average_precision(ranked: Flags) -> float:
    if not ranked.any():
        return 0.0
    hits = np.flatnonzero(ranked)
    return float(np.mean(np.arange(1, len(hits) + 1) / (hits + 1)))
