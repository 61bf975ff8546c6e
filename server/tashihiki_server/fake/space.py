"""Arithmetic on labels: every value of a facet has a coordinate of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tashihiki.errors import FailedPreconditionError
from tashihiki_server.collection.rows import UNLABELLED, RowNumbers, RowsView
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
from tashihiki_server.space.composition import checked_norm, scaled_weights
from tashihiki_server.space.posterior import named_attributes
from tashihiki_server.vocabulary import AttributeKey, Tally, Vocabulary

# As in `collection/refit.py`.
_AUTO_FACETS = 2
_MIN_ITEMS = 8

_Floats = NDArray[np.float64]


@dataclass(frozen=True)
class FakeSpace:
    """Adds labels instead of what pictures look like.

    A gallery vector has a unit vector for the label in each facet, nothing where there is none,
    and the embedding as the rest, over the root of their number. In the sum the rest is longer
    where labels are missing, so that the whole is of unit length.

    Attributes:
        factored: whether facets are added and replaced one by one, or everything is summed up.
        keep_negative: of the sum.
        widths: how many coordinates each folded facet has.
        dimension: of an embedding.
    """

    factored: bool
    keep_negative: bool
    widths: tuple[tuple[str, int], ...]
    dimension: int

    @classmethod
    def of(
        cls, vocabulary: Vocabulary, kind: str, keep_negative: bool, dimension: int
    ) -> FakeSpace:
        """The space of a collection at this moment; `kind` is `auto`, `sum` or `factored`."""
        tally = vocabulary.tally()
        factored = _is_factored(kind, tally)
        widths = tuple(
            (facet, 1 + max(key.code for key in vocabulary.keys(facet)))
            for facet, counts in sorted(tally.items())
            if counts.values > 1 or not factored
        )
        return cls(factored, keep_negative, widths, dimension)

    @property
    def blocks(self) -> Sequence[Block]:
        """The facets' and the rest; in the sum a single one."""
        if not self.factored:
            return (Block("", 0, self._length),)
        places = self._places
        return (
            *(Block(facet, place.start, place.stop) for facet, place in places.items()),
            Block("", self._length - self.dimension, self._length),
        )

    @property
    def _length(self) -> int:
        return sum(width for _, width in self.widths) + self.dimension

    @property
    def _places(self) -> dict[str, slice]:
        places, start = {}, 0
        for facet, width in self.widths:
            places[facet] = slice(start, start + width)
            start += width
        return places

    @property
    def _root(self) -> float:
        return float(np.sqrt(len(self.widths) + 1))

    def gallery(self, rows: RowsView, numbers: RowNumbers) -> _Floats:
        """The gallery vectors (n, dimension) of some rows."""
        vectors = np.zeros((len(numbers), self._length))
        missing = np.zeros(len(numbers))
        for facet, place in self._places.items():
            codes = rows.labels([facet], numbers)[:, 0]
            labelled = np.flatnonzero(codes != UNLABELLED)
            vectors[labelled, place.start + codes[labelled]] = 1.0
            missing[codes == UNLABELLED] += 1
        rest = rows.take(numbers).astype(np.float64)
        if not self.factored:
            rest *= np.sqrt(1 + missing)[:, None]
        vectors[:, self._length - self.dimension :] = rest
        scaled: _Floats = vectors / self._root
        return scaled

    def shown(self, embedding: Vectors, keys: Sequence[AttributeKey]) -> _Floats:
        """The gallery vector (dimension,) of a picture that shows these values."""
        vector = np.zeros(self._length)
        places = self._places
        known = [key for key in keys if key.facet in places]
        for key in known:
            vector[places[key.facet].start + key.code] = 1.0
        missing = 0 if self.factored else len(places) - len(known)
        vector[self._length - self.dimension :] = embedding * np.sqrt(1 + missing)
        scaled: _Floats = vector / self._root
        return scaled

    def compose(self, terms: Sequence[SpaceTerm], mode: AttributeMode) -> Composed:
        """Adds the terms up; embeddings are gallery vectors.

        Raises:
            InvalidArgumentError: ZERO_QUERY_VECTOR where they cancel out.
            FailedPreconditionError: FACET_WITHOUT_CONTRAST.
        """
        weights, largest = scaled_weights(terms)
        closed = {term.facet for term in terms if isinstance(term, IgnoreTerm)}
        if self.factored and mode is AttributeMode.REPLACE:
            closed |= {key.facet for key in named_attributes(terms)}
        parts = np.zeros((len(terms), self._length))
        for number, term in enumerate(terms):
            if isinstance(term, EmbeddingTerm):
                parts[number] = weights[number] * self._operand(term, closed)
            elif isinstance(term, AttributeTerm):
                parts[number, self._coordinate(term.key)] = weights[number]
        vector = parts.sum(axis=0)
        if not (self.factored or self.keep_negative):
            why = " once negative coordinates are set to 0"
            checked_norm(np.maximum(vector, 0.0), weights, why)
            # Real values have much in common, of which a subtraction takes its part; these have
            # nothing, so that of what is subtracted nothing would be left.
            rest = slice(self._length - self.dimension, self._length)
            parts[:, rest] *= vector[rest] > 0
            vector[rest] = np.maximum(vector[rest], 0.0)
        norm = checked_norm(vector, weights)
        return Composed(
            (vector / norm).astype(np.float32),
            norm * largest,
            (parts / norm).astype(np.float32),
            self._scale(vector, norm),
        )

    def _operand(self, term: EmbeddingTerm, closed: set[str]) -> _Floats:
        vector = term.embedding.astype(np.float64)
        if self.factored:
            # The blocks of a gallery vector are not of unit length, those of a query are.
            vector *= self._root
        for facet, place in self._places.items():
            if facet in closed:
                vector[place] = 0.0
        return vector

    def _scale(self, vector: _Floats, norm: float) -> float:
        if not self.factored:
            return 1.0
        lengths = sum(float(np.linalg.norm(vector[b.start : b.stop])) for b in self.blocks)
        return norm * self._root / lengths

    def _coordinate(self, key: AttributeKey) -> int:
        place = self._places.get(key.facet)
        if place is None:
            raise FailedPreconditionError(
                f"nothing tells the values of {key.facet} apart: it has one only, or their items "
                "look the same",
                reason="FACET_WITHOUT_CONTRAST",
                remedy="Label items with a second value, or use a filter.",
                details={"facet": key.facet},
            )
        return int(place.start) + key.code


def _is_factored(kind: str, tally: dict[str, Tally]) -> bool:
    contrasts = sum(facet.values > 1 for facet in tally.values())
    labelled = max((facet.items for facet in tally.values()), default=0)
    needed = {"auto": _AUTO_FACETS, "factored": 1}.get(kind)
    return needed is not None and contrasts >= needed and labelled >= _MIN_ITEMS
