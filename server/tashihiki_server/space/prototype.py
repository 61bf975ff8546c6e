"""Prototypes: what the members of an attribute have in common."""

from __future__ import annotations

import threading
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
class FacetPrototypes:
    """The prototypes of a facet.

    Attributes:
        rows: of `vectors`, by the values that these are the prototypes of.
        vectors: (values, d).
    """

    rows: Mapping[AttributeKey, int]
    vectors: Vectors
    _blocks: dict[tuple[int, int], NDArray[np.float64]] = field(
        default_factory=dict, compare=False, repr=False
    )

    def block(self, start: int, stop: int) -> NDArray[np.float64]:
        """Their coordinates in a block, (stop - start, values), as products take them."""
        found = self._blocks.get((start, stop))
        if found is None:
            found = np.ascontiguousarray(self.vectors[:, start:stop].T, dtype=np.float64)
            self._blocks[start, stop] = found
        return found


@dataclass(frozen=True)
class Prototypes:
    """The prototypes of a collection at one moment."""

    vectors: Mapping[AttributeKey, Vectors] = field(default_factory=dict)
    _spans: dict[str, FacetSpan] = field(default_factory=dict, compare=False, repr=False)
    _facets: dict[str, FacetPrototypes] = field(default_factory=dict, compare=False, repr=False)
    # Queries that ignore the same facet at once shall measure it once.
    _measuring: threading.Lock = field(default_factory=threading.Lock, compare=False, repr=False)

    def replaced(self, changes: Mapping[AttributeKey, Vectors | None]) -> Prototypes:
        """A copy with some prototypes set or, where None, dropped."""
        vectors = {**self.vectors, **changes}
        touched = {key.facet for key in changes}
        return Prototypes(
            {key: vector for key, vector in vectors.items() if vector is not None},
            {facet: span for facet, span in list(self._spans.items()) if facet not in touched},
            {facet: found for facet, found in list(self._facets.items()) if facet not in touched},
        )

    def knows(self, facet: str) -> bool:
        """Whether any value of the facet has a prototype."""
        return any(key.facet == facet for key in self.vectors)

    def of(self, facet: str) -> FacetPrototypes:
        """Those of the values of a facet."""
        if facet not in self._facets:
            found = {key: vector for key, vector in self.vectors.items() if key.facet == facet}
            self._facets[facet] = FacetPrototypes(
                {key: row for row, key in enumerate(found)},
                np.array(list(found.values()), dtype=np.float32),
            )
        return self._facets[facet]

    def span(self, facet: str) -> FacetSpan:
        """What tells the facet's values apart, largest differences first."""
        with self._measuring:
            if facet not in self._spans:
                self._spans[facet] = self._measure(facet)
            return self._spans[facet]

    def _measure(self, facet: str) -> FacetSpan:
        ours = self.of(facet).vectors.astype(np.float64)
        mean = ours.mean(axis=0)
        return FacetSpan(mean, _leading_directions(ours - mean))


def _leading_directions(deviations: NDArray[np.float64]) -> NDArray[np.float64]:
    """Orthonormal directions (d, rank) of the largest variance of centred rows (n, d).

    By the smaller of the two Gram matrices: many times faster than a singular value
    decomposition where a facet has thousands of values.
    """
    wide = len(deviations) <= deviations.shape[1]
    gram = deviations @ deviations.T if wide else deviations.T @ deviations
    variances, vectors = np.linalg.eigh(gram)
    order = np.argsort(-variances)[: min(len(deviations) - 1, MAX_RANK)]
    kept = order[variances[order] > 1e-10 * max(float(variances.max()), 1e-24)]
    directions = deviations.T @ vectors[:, kept] if wide else vectors[:, kept]
    # Once more, since the root of a Gram matrix loses half of the digits.
    orthonormal, _ = np.linalg.qr(directions)
    return orthonormal
