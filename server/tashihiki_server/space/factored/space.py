"""The factored space: a block of coordinates for every facet, and one for the rest."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tashihiki.errors import FailedPreconditionError
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
from tashihiki_server.space.composition import checked_norm, length, prototype_of, scaled_weights
from tashihiki_server.space.factored.fit import FactoredFit
from tashihiki_server.space.factored.grouping import Floats
from tashihiki_server.space.factored.posteriors import DEFAULT_CONCENTRATION
from tashihiki_server.space.posterior import log_agreement, named_attributes, softmax
from tashihiki_server.space.prototype import Prototypes, prototype
from tashihiki_server.vocabulary import AttributeKey

# Cosines to the nearest prototype, from which on an item has none of the values, or that one.
NEW_VALUE = 0.7
KNOWN_VALUE = 0.9
# Of the similarity beside the facets' logarithms.
SIMILARITY_WEIGHT = 3.0
_PIECE = 4096


@dataclass(frozen=True)
class FactoredSpace:
    """Adds and replaces facets one by one.

    A gallery vector is the concatenation of unit vectors, one for each facet and one for the
    rest, over the root of their number. A query's blocks are sums of the operands' blocks:

    - An item, picture or raw vector is in every block; in the rest by `rest_weight`.
    - An attribute is in its facet's block only. With `AttributeMode.REPLACE` the items and
      pictures leave that block, so that `item - blue + red` has red less blue in it; with `ADD`
      they stay. A lone `- wood` means away from wood. An attribute of weight 0 is as good as
      absent.
    - Items and pictures leave the block of an ignored facet; its attributes stay.

    A hit's similarity is that of its blocks to the query's, weighted by the lengths of the
    query's: 1 where it agrees with all of them.

    Attributes:
        fit: what was learned from labelled embeddings.
        prototypes: of the attributes, as `prototype` makes them.
    """

    fit: FactoredFit
    prototypes: Prototypes = field(default_factory=Prototypes)

    @property
    def kind(self) -> str:
        """`factored`."""
        return "factored"

    @property
    def identity(self) -> str:
        """`factored-` and a hash of the fit."""
        return f"factored-{self.fit.identity}"

    @property
    def clips(self) -> bool:
        """Never."""
        return False

    @property
    def rest_weight(self) -> float:
        """As it was fitted."""
        return self.fit.rest_weight

    @property
    def dimension(self) -> int:
        """Length of a gallery vector."""
        return self.blocks[-1].stop

    @property
    def blocks(self) -> Sequence[Block]:
        """The facets' blocks and the rest, if there is any."""
        return self.fit.blocks

    def project(self, embeddings: Vectors) -> Vectors:
        """Embeddings (n, d) as gallery vectors (n, dimension).

        An embedding that lies at the mean in some block has no direction there; it gets the
        block's first axis, so that every gallery vector is of unit length.
        """
        vectors = np.empty((len(embeddings), self.dimension), dtype=np.float32)
        for start in range(0, len(embeddings), _PIECE):
            rows = slice(start, start + _PIECE)
            np.matmul(embeddings[rows] - self.fit.mean, self.fit.matrix, out=vectors[rows])
        share = np.float32(1 / np.sqrt(len(self.blocks)))
        for block in self.blocks:
            part = vectors[:, block.start : block.stop]
            lengths = np.linalg.norm(part, axis=1)
            nowhere = ~(lengths > 0)
            if nowhere.any():
                part[nowhere] = 0.0
                part[nowhere, 0] = 1.0
                lengths[nowhere] = 1.0
            part *= (share / lengths)[:, None]
        return vectors

    def prototype(self, facet: str, members: Vectors) -> Vectors:
        """The median of the members' block of the facet, of unit length; 0 elsewhere.

        All 0 where the facet has no block.
        """
        vector = np.zeros(self.dimension, dtype=np.float32)
        for block in self.blocks:
            if block.facet == facet:
                vector[block.start : block.stop] = prototype(members[:, block.start : block.stop])
        return vector

    def with_prototypes(self, prototypes: Prototypes) -> FactoredSpace:
        """The same space with other prototypes."""
        return FactoredSpace(self.fit, prototypes)

    def compose(
        self, terms: Sequence[SpaceTerm], mode: AttributeMode = AttributeMode.REPLACE
    ) -> Composed:
        """Adds the terms up, block by block; see `AttributeSpace.compose`.

        An ignored facet's part is 0: it takes the others' parts out.
        """
        weights, largest = scaled_weights(terms)
        ignored = {term.facet for term in terms if isinstance(term, IgnoreTerm)}
        named = {key.facet for key in named_attributes(terms)}
        for facet in ignored:
            self._check_ignored(facet)
        closed = ignored | named if mode is AttributeMode.REPLACE else ignored
        parts = np.zeros((len(terms), self.dimension))
        for number, term in enumerate(terms):
            if isinstance(term, EmbeddingTerm):
                gallery = self.project(term.embedding[None])[0]
                parts[number] = self._embedding_shares(closed) * gallery
            elif isinstance(term, AttributeTerm):
                parts[number] = self._attribute(term.key)
        parts *= weights[:, None]
        vector = parts.sum(axis=0)
        norm = checked_norm(vector, weights)
        lengths = sum(length(vector[block.start : block.stop]) for block in self.blocks)
        scale = norm * math.sqrt(len(self.blocks)) / lengths
        return Composed(
            (vector / norm).astype(np.float32),
            norm * largest,
            (parts / norm).astype(np.float32),
            scale,
        )

    def _embedding_shares(self, closed: set[str]) -> NDArray[np.float64]:
        """(dimension,): what of an embedding's gallery vector goes into a query."""
        shares = np.empty(self.dimension)
        for block in self.blocks:
            share = 0.0 if block.facet in closed else 1.0
            if block.facet == "":
                share = self.fit.rest_weight
            # The blocks of a gallery vector are not of unit length, those of a query are.
            shares[block.start : block.stop] = share * np.sqrt(len(self.blocks))
        return shares

    def _attribute(self, key: AttributeKey) -> Vectors:
        self._check_block(key.facet)
        return prototype_of(self.prototypes, key)

    def _check_ignored(self, facet: str) -> None:
        # Where nothing could be told apart, nothing has to be left out.
        if facet not in self.fit.facets and not self._lacks_contrast(facet):
            raise _pending(facet)

    def _check_block(self, facet: str) -> None:
        if facet in self.fit.facets:
            return
        if self._lacks_contrast(facet):
            raise FailedPreconditionError(
                f"nothing tells the values of {facet} apart: it has one only, or their items "
                "look the same",
                reason="FACET_WITHOUT_CONTRAST",
                remedy="Label items with a second value, or use a filter.",
                details={"facet": facet},
            )
        raise _pending(facet)

    def _lacks_contrast(self, facet: str) -> bool:
        values = sum(key.facet == facet for key in self.prototypes.vectors)
        if facet in self.fit.without_contrast:
            return values <= self.fit.values[facet]
        return values < 2

    def agreement(
        self, terms: Sequence[SpaceTerm], composed: Composed, vectors: Vectors
    ) -> NDArray[np.float64]:
        """See `AttributeSpace.agreement`.

        P(value) is the softmax over the facet's values of κ times the cosine of item and
        prototype; κ was fitted to held-out items, so that the probabilities are calibrated.

        Embeddings, summed, have a direction b in every facet that is neither named nor ignored.
        Times its length, at most 1, that facet adds to a hit h

            s log(sum over values of P(value | b) P(value | h)) + (1 - s) c (cos(b, h) - 1),

        where s says how far b is one of the values: 0 to 1 as its largest cosine to a prototype
        goes from `NEW_VALUE` to `KNOWN_VALUE`. Thus what no label ever named is compared as it
        is. The rest speaks through the similarity less 1, which is added times
        `SIMILARITY_WEIGHT`.
        """
        weights, largest = scaled_weights(terms)
        found = np.zeros(len(vectors))
        named = named_attributes(terms)
        for key, weight in named.items():
            row = self.prototypes.of(key.facet).rows[key]
            found += log_agreement(self._scores(vectors, key.facet), row, weight / largest)
        if not any(isinstance(term, EmbeddingTerm) for term in terms):
            return found
        shown = np.zeros(self.dimension)
        for term, weight in zip(terms, weights, strict=True):
            if isinstance(term, EmbeddingTerm):
                shown += weight * self.project(term.embedding[None])[0]
        if not shown.any():
            return found
        closed = {key.facet for key in named}
        closed |= {term.facet for term in terms if isinstance(term, IgnoreTerm)}
        for block in self.blocks:
            if block.facet and block.facet not in closed:
                found += self._shared(shown, vectors, block)
        similarities = composed.scale * (vectors.astype(np.float64) @ composed.vector)
        found += SIMILARITY_WEIGHT * np.minimum(similarities - 1.0, 0.0)
        return found

    def ranks_by_agreement(self, terms: Sequence[SpaceTerm], mode: AttributeMode) -> bool:
        """Wherever attributes are named.

        The product of the probabilities finds more than the mean of the cosines. Beside an item
        or picture of a value that no label ever named it finds a little less, and far more
        beside the others (docs/evaluation.md, P3 and P4). Where attributes are added to what an
        item shows, their probability alone would leave nothing of that.
        """
        mixed = mode is AttributeMode.ADD and any(
            isinstance(term, EmbeddingTerm) and term.weight for term in terms
        )
        return bool(named_attributes(terms)) and not mixed

    def _scores(self, vectors: NDArray[np.floating], facet: str) -> Floats:
        """κ times the cosines (n, values) of gallery vectors to the prototypes of a facet."""
        number = self.fit.facets.index(facet)
        block = self.blocks[number]
        # Prototypes are zero outside their facet's block, and of unit length; the blocks of a
        # gallery vector are not.
        scale = self.fit.concentrations[number] * math.sqrt(len(self.blocks))
        ours = self.prototypes.of(facet).block(block.start, block.stop)
        scores: Floats = (scale * vectors[:, block.start : block.stop].astype(np.float64)) @ ours
        return scores

    def _shared(self, shown: Floats, hits: Vectors, block: Block) -> Floats:
        """What hits (n, dimension) have in common with embeddings in the block of a facet."""
        part = slice(block.start, block.stop)
        root = math.sqrt(len(self.blocks))
        size = root * length(shown[part])
        if size == 0:
            return np.zeros(len(hits))
        # As long in the block as a gallery vector is.
        ours = shown / size
        cosines = root**2 * (hits[:, part].astype(np.float64) @ ours[part])
        apart: Floats = DEFAULT_CONCENTRATION * np.minimum(cosines - 1.0, 0.0)
        if self.prototypes.of(block.facet).rows:
            scores = self._scores(ours[None], block.facet)
            kappa = self.fit.concentrations[self.fit.facets.index(block.facet)]
            nearest = float(scores.max()) / kappa
            known = float(np.clip((nearest - NEW_VALUE) / (KNOWN_VALUE - NEW_VALUE), 0.0, 1.0))
            alike = softmax(self._scores(hits, block.facet)) @ softmax(scores)[0]
            tiny = np.finfo(np.float64).tiny
            apart = known * np.log(np.clip(alike, tiny, 1.0)) + (1.0 - known) * apart
        return min(size, 1.0) * apart


def _pending(facet: str) -> FailedPreconditionError:
    return FailedPreconditionError(
        f"the facet {facet} is new, and the space that has it is still being fitted",
        reason="FACET_PENDING",
        remedy="Ask again in a moment.",
        details={"facet": facet},
    )
