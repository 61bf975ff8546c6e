"""The seam between a composition and the vector that is searched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from tashihiki_server.vocabulary import AttributeKey

if TYPE_CHECKING:
    from tashihiki_server.space.prototype import Prototypes

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


class AttributeMode(Enum):
    """What an attribute does to an item or picture that it is added to."""

    REPLACE = "replace"
    """It takes the place of what the item shows in that facet."""
    ADD = "add"
    """It is added to what the item shows."""


@dataclass(frozen=True)
class Block:
    """A facet's part of a gallery vector.

    Attributes:
        facet: folded name of the facet, or "" for the rest: what no facet accounts for, or, in
            a space without facets' blocks, everything.
        start: first coordinate.
        stop: one past the last coordinate.
    """

    facet: str
    start: int
    stop: int


@dataclass(frozen=True)
class Composed:
    """A composition as a vector.

    Attributes:
        vector: (dimension,), of unit length.
        norm: of the composition before it was normalised.
        parts: (terms, dimension); they sum to `vector`, so a term's contribution to a hit's
            similarity is `scale` times the dot product of its part with the hit.
        scale: a hit's similarity is its cosine to `vector` times this. It is the same for all
            hits, and such that 1 is full agreement in all blocks that the query fills.
    """

    vector: Vectors
    norm: float
    parts: Vectors
    scale: float = 1.0


class AttributeSpace(Protocol):
    """Where embeddings and attributes are added and subtracted.

    An implementation is immutable: writes publish a new one.
    """

    @property
    def kind(self) -> str:
        """What it is called: `sum` or `factored`."""
        ...

    @property
    def identity(self) -> str:
        """What made its gallery vectors; those of two identities never share an index."""
        ...

    @property
    def clips(self) -> bool:
        """Whether compositions lose their negative coordinates."""
        ...

    @property
    def rest_weight(self) -> float:
        """What an embedding weighs in the rest, where it weighs 1 in a facet's block."""
        ...

    @property
    def dimension(self) -> int:
        """Length of a gallery vector."""
        ...

    @property
    def blocks(self) -> Sequence[Block]:
        """The parts of a gallery vector, in order, without gaps."""
        ...

    def project(self, embeddings: Vectors) -> Vectors:
        """Embeddings (n, d) as gallery vectors (n, dimension), each of unit length."""
        ...

    def prototype(self, facet: str, members: Vectors) -> Vectors:
        """The prototype (dimension,) of a value of the facet.

        Args:
            facet: folded name.
            members: (n, dimension), the gallery vectors of the items that have the value.
        """
        ...

    def with_prototypes(self, prototypes: Prototypes) -> AttributeSpace:
        """The same space with other prototypes."""
        ...

    def compose(
        self, terms: Sequence[SpaceTerm], mode: AttributeMode = AttributeMode.REPLACE
    ) -> Composed:
        """Adds the terms up.

        The embeddings of `EmbeddingTerm` are raw embeddings (d,), not gallery vectors. A space
        without blocks has nothing that an attribute could replace and takes both modes alike.

        Raises:
            InvalidArgumentError: ZERO_QUERY_VECTOR where they cancel out.
            FailedPreconditionError: PROTOTYPE_PENDING; in a factored space also FACET_PENDING
                and FACET_WITHOUT_CONTRAST.
        """
        ...

    def agreement(
        self, terms: Sequence[SpaceTerm], composed: Composed, vectors: Vectors
    ) -> NDArray[np.float64]:
        """How probably items are what the terms ask for: (n,) logarithms, at most 0.

        Added up over the attributes, each by the logarithm of the probability that an item shows
        it, or does not where it is subtracted, times its share of the largest weight; and over
        what embeddings are asked to share with an item.

        Args:
            terms: of a query.
            composed: what `compose` makes of them.
            vectors: (n, dimension), gallery vectors.
        """
        ...

    def ranks_by_agreement(self, terms: Sequence[SpaceTerm], mode: AttributeMode) -> bool:
        """Whether, unless told otherwise, the best hits are put in the order of agreement."""
        ...
