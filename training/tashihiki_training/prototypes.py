"""Prototypes and their sums, as the search computes them in the space `sum`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tashihiki_training.labels import MISSING, Codes

Vectors = NDArray[np.float32]


@dataclass(frozen=True)
class Prototypes:
    """Per facet: (values, dimension), unit rows; a row of zeros where a value has no member."""

    facets: tuple[Vectors, ...]

    def compose(self, combination: Codes) -> Vectors:
        """The unit sum of the prototypes of a combination, (facets,); MISSING adds nothing."""
        chosen = [
            rows[code]
            for rows, code in zip(self.facets, combination, strict=True)
            if code != MISSING
        ]
        return unit(np.sum(chosen, axis=0))

    def knows(self, combination: Codes) -> bool:
        """Whether every value of the combination has a prototype."""
        return all(
            bool(rows[code].any())
            for rows, code in zip(self.facets, combination, strict=True)
            if code != MISSING
        )


def prototypes(embeddings: Vectors, codes: Codes, counts: list[int]) -> Prototypes:
    """The normalised median of the members of every value.

    Args:
        embeddings: (pictures, dimension).
        codes: (pictures, facets).
        counts: number of values of every facet.
    """
    return Prototypes(
        tuple(
            np.stack([_prototype(embeddings[codes[:, facet] == code]) for code in range(count)])
            for facet, count in enumerate(counts)
        )
    )


def unit(vectors: Vectors) -> Vectors:
    """Rows of length 1; zero stays zero."""
    norms = np.linalg.norm(vectors, axis=-1, keepdims=True)
    divided: Vectors = (vectors / np.maximum(norms, 1e-12)).astype(np.float32)
    return divided


def _prototype(members: Vectors) -> Vectors:
    if not len(members):
        return np.zeros(members.shape[1], dtype=np.float32)
    return unit(np.median(members, axis=0).astype(np.float32))
