"""Prototypes: what the members of an attribute have in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tashihiki_server.space.base import Vectors
from tashihiki_server.vocabulary import AttributeKey

MAX_RANK = 64


def prototype(members: Vectors) -> Vectors:
    """The coordinate-wise median of the members (n, d), of unit length.

    Sparse members can have a median of nothing but zeros; their mean then stands in. Where
    that is zero too, so is the prototype.
    """
    centre = np.median(members, axis=0)
    if not centre.any():
        centre = members.mean(axis=0)
    norm = float(np.linalg.norm(centre)) or 1.0
    unit: Vectors = (centre / norm).astype(np.float32)
    return unit


@dataclass(frozen=True)
class FacetSpan:
    """The directions in which the prototypes of a facet differ.

    Attributes:
        mean: (d,), of the prototypes, every value counted once.
        directions: (d, rank), orthonormal; rank is at most the number of values less one.
    """

    mean: NDArray[np.float64]
    directions: NDArray[np.float64]


@dataclass(frozen=True)
class Prototypes:
    """The prototypes of a collection at one moment."""

    vectors: Mapping[AttributeKey, Vectors] = field(default_factory=dict)
    _spans: dict[str, FacetSpan] = field(default_factory=dict, compare=False, repr=False)

    def replaced(self, changes: Mapping[AttributeKey, Vectors | None]) -> Prototypes:
        """A copy with some prototypes set or, where None, dropped."""
        vectors = {**self.vectors, **changes}
        return Prototypes({key: vector for key, vector in vectors.items() if vector is not None})

    def knows(self, facet: str) -> bool:
        """Whether any value of the facet has a prototype."""
        return any(key.facet == facet for key in self.vectors)

    def span(self, facet: str) -> FacetSpan:
        """What tells the facet's values apart, largest differences first."""
        if facet not in self._spans:
            self._spans[facet] = self._measure(facet)
        return self._spans[facet]

    def _measure(self, facet: str) -> FacetSpan:
        ours = np.array(
            [vector for key, vector in self.vectors.items() if key.facet == facet], dtype=np.float64
        )
        mean = ours.mean(axis=0)
        _, singular, rows = np.linalg.svd(ours - mean, full_matrices=False)
        rank = int((singular > 1e-6 * max(singular[0], 1e-12)).sum())
        rank = min(rank, len(ours) - 1, MAX_RANK)
        return FacetSpan(mean, rows[:rank].T)
