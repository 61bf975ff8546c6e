"""The published recipe: prototypes and embeddings are added and subtracted as they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tashihiki_server.space.base import (
    AttributeMode,
    AttributeTerm,
    Block,
    Composed,
    EmbeddingTerm,
    IgnoreTerm,
    SpaceTerm,
    Vectors,
)
from tashihiki_server.space.composition import checked_norm, prototype_of, scaled_weights
from tashihiki_server.space.posterior import log_agreement, named_attributes
from tashihiki_server.space.prototype import Prototypes, prototype

# Of probabilities. Cosines of non-negative vectors differ by a few hundredths, which no data are
# at hand to weigh.
CONCENTRATION = 50.0

_Floats = NDArray[np.float64]


@dataclass(frozen=True)
class SumSpace:
    """Weighted sum of the operands, negative coordinates set to 0, unit length.

    Attributes:
        dimension: length of an embedding; gallery vectors are the embeddings themselves.
        prototypes: of the attributes.
        keep_negative: leave negative coordinates as they are.
    """

    dimension: int
    prototypes: Prototypes
    keep_negative: bool = False

    @property
    def kind(self) -> str:
        """`sum`."""
        return "sum"

    @property
    def identity(self) -> str:
        """`sum`."""
        return "sum"

    @property
    def clips(self) -> bool:
        """Unless they are kept."""
        return not self.keep_negative

    @property
    def rest_weight(self) -> float:
        """1: everything is the rest."""
        return 1.0

    @property
    def blocks(self) -> Sequence[Block]:
        """One, of everything."""
        return (Block("", 0, self.dimension),)

    def project(self, embeddings: Vectors) -> Vectors:
        """The embeddings as they are."""
        return embeddings

    def prototype(self, facet: str, members: Vectors) -> Vectors:
        """The normalised median of the members, whatever the facet."""
        return prototype(members)

    def with_prototypes(self, prototypes: Prototypes) -> SumSpace:
        """The same space with other prototypes."""
        return SumSpace(self.dimension, prototypes, self.keep_negative)

    def compose(
        self, terms: Sequence[SpaceTerm], mode: AttributeMode = AttributeMode.REPLACE
    ) -> Composed:
        """Adds the terms up; see `AttributeSpace.compose`.

        An ignored facet f takes out of the rest of the sum s, whose weights add up to W, its
        deviation along the directions D_f in which f's prototypes differ: with several facets,
        D D⁺ (s − W m), D = [D_f …] and m the mean of their mean prototypes, which is shared out
        among them by the rows of D⁺.
        """
        weights, largest = scaled_weights(terms)
        parts = np.zeros((len(terms), self.dimension))
        for number, term in enumerate(terms):
            if not isinstance(term, IgnoreTerm):
                parts[number] = weights[number] * self._operand(term).astype(np.float64)
        self._ignore(terms, weights, parts)
        vector = parts.sum(axis=0)
        if not self.keep_negative:
            # Masking the parts instead of clipping their sum keeps them adding up to it.
            parts *= vector > 0
            vector = np.maximum(vector, 0.0)
        clipped = "" if self.keep_negative else " once negative coordinates are set to 0"
        norm = checked_norm(vector, weights, clipped)
        unit = (vector / norm).astype(np.float32)
        return Composed(unit, norm * largest, (parts / norm).astype(np.float32))

    def _operand(self, term: EmbeddingTerm | AttributeTerm) -> Vectors:
        if isinstance(term, EmbeddingTerm):
            return term.embedding
        return prototype_of(self.prototypes, term.key)

    def _ignore(self, terms: Sequence[SpaceTerm], weights: _Floats, parts: _Floats) -> None:
        # A facet whose last label has just gone has nothing that could be ignored.
        ignored = {
            t.facet: n
            for n, t in enumerate(terms)
            if isinstance(t, IgnoreTerm) and self.prototypes.knows(t.facet)
        }
        if not ignored:
            return
        spans = [self.prototypes.span(facet) for facet in ignored]
        directions = np.hstack([span.directions for span in spans])
        # A value asked for by name stays, although the rest of its facet is ignored.
        rest = [
            n
            for n, t in enumerate(terms)
            if isinstance(t, EmbeddingTerm)
            or (isinstance(t, AttributeTerm) and t.key.facet not in ignored)
        ]
        mean = np.mean([span.mean for span in spans], axis=0)
        deviation = parts[rest].sum(axis=0) - weights[rest].sum() * mean
        # One facet's directions are orthonormal. Several facets may have some in common.
        inverse = directions.T if len(spans) == 1 else np.linalg.pinv(directions)
        shares = inverse @ deviation
        start = 0
        for number, span in zip(ignored.values(), spans, strict=True):
            stop = start + span.directions.shape[1]
            parts[number] = -span.directions @ shares[start:stop]
            start = stop

    def agreement(
        self, terms: Sequence[SpaceTerm], composed: Composed, vectors: Vectors
    ) -> NDArray[np.float64]:
        """See `AttributeSpace.agreement`.

        Probabilities are the softmax over a facet's values of the cosines to their prototypes,
        times a constant. With embeddings, the cosine to the whole composition less 1 is added,
        times the same constant.
        """
        weights, largest = scaled_weights(terms)
        rows = vectors.astype(np.float64)
        found = np.zeros(len(rows))
        for key, weight in named_attributes(terms).items():
            facet = self.prototypes.of(key.facet)
            scores = CONCENTRATION * (rows @ facet.vectors.T)
            found += log_agreement(scores, facet.rows[key], weight / largest)
        if any(isinstance(t, EmbeddingTerm) and w for t, w in zip(terms, weights, strict=True)):
            found += CONCENTRATION * np.minimum(rows @ composed.vector - 1.0, 0.0)
        return found

    def ranks_by_agreement(self, terms: Sequence[SpaceTerm], mode: AttributeMode) -> bool:
        """Never: the published order is that of the cosines."""
        return False
