"""The seam between a composition and the vector that is searched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tashihiki_server.vocabulary import AttributeKey

Vectors = NDArray[np.float32]


@dataclass(frozen=True)
class EmbeddingTerm:
    """An item, picture or raw vector: `embedding` is of unit length."""

    weight: float
    embedding: Vectors


@dataclass(frozen=True)
class AttributeTerm:
    """A value of a facet, by its prototype."""

    weight: float
    key: AttributeKey


@dataclass(frozen=True)
class IgnoreTerm:
    """A facet that is to play no part; it has no weight."""

    facet: str


SpaceTerm = EmbeddingTerm | AttributeTerm | IgnoreTerm


@dataclass(frozen=True)
class Composed:
    """A composition as a vector.

    Attributes:
        vector: (dimension,), of unit length.
        norm: of the composition before it was normalised.
        parts: (terms, dimension); they sum to `vector`, so a term's contribution to a hit's
            similarity is the dot product of its part with the hit.
    """

    vector: Vectors
    norm: float
    parts: Vectors


class AttributeSpace(Protocol):
    """Where embeddings and attributes are added and subtracted.

    An implementation is immutable: writes publish a new one.
    """

    @property
    def kind(self) -> str:
        """What it is called; gallery vectors of two kinds never share an index."""
        ...

    @property
    def dimension(self) -> int:
        """Length of a gallery vector."""
        ...

    def project(self, embeddings: Vectors) -> Vectors:
        """Embeddings (n, d) as gallery vectors (n, dimension), each of unit length."""
        ...

    def compose(self, terms: Sequence[SpaceTerm]) -> Composed:
        """Adds the terms up.

        Raises:
            InvalidArgumentError: ZERO_QUERY_VECTOR where they cancel out.
        """
        ...
