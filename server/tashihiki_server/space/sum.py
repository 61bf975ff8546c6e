"""The published recipe: prototypes and embeddings are added and subtracted as they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tashihiki.errors import FailedPreconditionError, InvalidArgumentError
from tashihiki_server.space.base import (
    AttributeTerm,
    Composed,
    EmbeddingTerm,
    IgnoreTerm,
    SpaceTerm,
    Vectors,
)
from tashihiki_server.space.prototype import Prototypes

# Relative to the sum of the weights' magnitudes, so that scaling them changes nothing.
NORM_FLOOR = 1e-4

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

    def project(self, embeddings: Vectors) -> Vectors:
        """The embeddings as they are."""
        return embeddings

    def compose(self, terms: Sequence[SpaceTerm]) -> Composed:
        """Adds the terms up; see `AttributeSpace.compose`.

        An ignored facet f takes out of the rest of the sum s, whose weights add up to W, its
        deviation along the directions D_f in which f's prototypes differ: with several facets,
        D D⁺ (s − W m), D = [D_f …] and m the mean of their mean prototypes, which is shared out
        among them by the rows of D⁺.
        """
        weights = np.array([0.0 if isinstance(t, IgnoreTerm) else t.weight for t in terms])
        # The squares of very small weights would vanish in the norm.
        largest = float(np.abs(weights).max(initial=0.0)) or 1.0
        weights /= largest
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
        norm = float(np.linalg.norm(vector))
        if not norm > NORM_FLOOR * np.abs(weights).sum():
            raise _zero(self.keep_negative)
        unit = (vector / norm).astype(np.float32)
        return Composed(unit, norm * largest, (parts / norm).astype(np.float32))

    def _operand(self, term: EmbeddingTerm | AttributeTerm) -> Vectors:
        if isinstance(term, EmbeddingTerm):
            return term.embedding
        try:
            return self.prototypes.vectors[term.key]
        except KeyError:
            raise FailedPreconditionError(
                "the prototype of a value that is new is still being computed",
                reason="PROTOTYPE_PENDING",
                remedy="Ask again in a moment.",
            ) from None

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
        shares = np.linalg.pinv(directions) @ deviation
        start = 0
        for number, span in zip(ignored.values(), spans, strict=True):
            stop = start + span.directions.shape[1]
            parts[number] = -span.directions @ shares[start:stop]
            start = stop


def _zero(keep_negative: bool) -> InvalidArgumentError:
    clipped = "" if keep_negative else " once negative coordinates are set to 0"
    return InvalidArgumentError(
        f"the terms cancel out: their sum is zero{clipped}",
        reason="ZERO_QUERY_VECTOR",
        field="query",
        remedy="Add a term, or weigh what is subtracted less.",
    )
