"""The labels of a fit in a form that neither their order nor their numbers affect."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tashihiki_server.space.base import Vectors
from tashihiki_server.space.factored.grouping import Codes, Grouping
from tashihiki_server.space.factored.settings import MISSING

# Of the values of the finer of two facets, how many must go with one value of the other only.
NESTED_SHARE = 0.95

_Hashes = NDArray[np.uint64]


@dataclass(frozen=True)
class Labels:
    """Labels of the facets that have two values and more, their values numbered without gaps.

    Attributes:
        codes: (n, F) of the items, `MISSING` where there is none.
        sizes: number of values of each facet.
        combinations: (m, F), the distinct rows of `codes`.
        combination: (n,), the row of `combinations` of each item.
    """

    codes: Codes
    sizes: tuple[int, ...]
    combinations: Codes
    combination: Codes

    @classmethod
    def of(cls, codes: Codes, sizes: tuple[int, ...]) -> Labels:
        """Finds the combinations."""
        combinations, inverse = np.unique(codes, axis=0, return_inverse=True)
        return cls(codes, sizes, combinations, inverse.ravel().astype(np.int64))

    def subset(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> Labels:
        """Some of the items; values keep their numbers, so there may be gaps."""
        return Labels.of(self.codes[rows], self.sizes)

    def head(self, count: int) -> Labels:
        """The first items, their values numbered without gaps in the same order."""
        columns = []
        sizes = []
        for column in self.codes[:count].T:
            values, inverse = np.unique(column, return_inverse=True)
            missing = int(len(values) > 0 and values[0] == MISSING)
            columns.append(inverse.ravel() - missing)
            sizes.append(len(values) - missing)
        return Labels.of(np.stack(columns, axis=1).astype(np.int64), tuple(sizes))

    def weights(self) -> NDArray[np.float64]:
        """(n,) of the items, such that every combination weighs 1."""
        counts = np.bincount(self.combination, minlength=len(self.combinations))
        weights: NDArray[np.float64] = 1.0 / counts[self.combination]
        return weights

    def nested(self, one: int, other: int) -> bool:
        """Whether a facet's value all but follows from the other's, either way."""
        both = self.combinations[:, [one, other]]
        pairs = np.unique(both[(both >= 0).all(axis=1)], axis=0)
        if not len(pairs):
            return False
        singles = [np.unique(pairs[:, side], return_counts=True)[1] == 1 for side in (0, 1)]
        return any(float(single.mean()) >= NESTED_SHARE for single in singles)


def fingerprints(embeddings: Vectors) -> _Hashes:
    """A number (n,) for each row that depends on nothing but its content."""
    words = np.ascontiguousarray(embeddings).view(np.uint32)
    factors = np.random.default_rng(0).integers(1, 2**63, words.shape[1], dtype=np.uint64) | 1
    found = np.empty(len(words), dtype=np.uint64)
    for start in range(0, len(words), 4096):
        piece = words[start : start + 4096].astype(np.uint64)
        found[start : start + len(piece)] = (piece * factors).sum(axis=1, dtype=np.uint64)
    return _mixed(found)


def _mixed(numbers: _Hashes) -> _Hashes:
    # The finaliser of SplitMix64, so that order by these numbers is as good as chance.
    numbers = (numbers ^ (numbers >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    numbers = (numbers ^ (numbers >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: _Hashes = numbers ^ (numbers >> np.uint64(31))
    return mixed


def renumbered(codes: Codes, prints: _Hashes) -> tuple[Codes, int]:
    """A facet's labels (n,) with its values numbered by their members' content; their count."""
    labelled = codes != MISSING
    values, inverse = np.unique(codes[labelled], return_inverse=True)
    totals = np.zeros(len(values), dtype=np.uint64)
    np.add.at(totals, inverse, prints[labelled])
    places = np.empty(len(values), dtype=np.int64)
    places[np.argsort(_mixed(totals), kind="stable")] = np.arange(len(values))
    result = np.full(len(codes), MISSING, dtype=np.int64)
    result[labelled] = places[inverse]
    return result, len(values)


def grouped(labels: Labels, facet: int) -> Grouping:
    """The items by their values of a facet."""
    return Grouping(labels.codes[:, facet], labels.sizes[facet])
