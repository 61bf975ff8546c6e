"""What the published recipe, a plain sum of prototypes and embeddings, would have returned.

Computed from what a client fetches, whatever space is in force.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tashihiki import (
    Collection,
    FailedPreconditionError,
    InvalidArgumentError,
    ResolvedTerm,
    StoredItem,
)
from tashihiki_server.names import fold
from tashihiki_server.space.base import AttributeTerm, EmbeddingTerm, IgnoreTerm, SpaceTerm, Vectors
from tashihiki_server.space.prototype import Prototypes, prototype
from tashihiki_server.space.sum import SumSpace
from tashihiki_server.vocabulary import AttributeKey

MAX_ITEMS = 5000


@dataclass(frozen=True, eq=False)
class Embeddings:
    """All items of a collection.

    Attributes:
        ids: of the items.
        attributes: facet to value, for each.
        rows: (n, d), unit length, float32.
        aliases: per facet, other names of values, as the collection has them.
        keep_negative: whether the collection keeps negative coordinates of a sum.
    """

    ids: Sequence[str]
    attributes: Sequence[Mapping[str, str]]
    rows: NDArray[np.float32]
    aliases: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    keep_negative: bool = False

    @classmethod
    def of(cls, collection: Collection, items: Iterable[StoredItem]) -> Embeddings:
        """Those of a collection's items, which come with their vectors."""
        pairs = [(item, item.vector) for item in items if item.vector is not None]
        return cls(
            [item.id for item, _ in pairs],
            [item.attributes for item, _ in pairs],
            np.array([vector for _, vector in pairs], dtype=np.float32),
            collection.aliases,
            collection.space.keep_negative,
        )

    def folded(self) -> Iterator[dict[str, str]]:
        """Facet to value of each item, both folded and aliases replaced by what they stand for."""
        meant = {
            (fold(facet), fold(alias)): fold(value)
            for facet, names in self.aliases.items()
            for alias, value in names.items()
        }
        for attributes in self.attributes:
            pairs = ((fold(facet), fold(value)) for facet, value in attributes.items())
            yield {facet: meant.get((facet, value), value) for facet, value in pairs}


@dataclass(frozen=True)
class PlainAnswer:
    """What a plain sum finds.

    Attributes:
        hits: rows of the embeddings and their similarities, most similar first.
        note: why there is nothing to find; "" for a sum that asks for something.
    """

    hits: Sequence[tuple[int, float]]
    note: str = ""


def check_size(collection: Collection) -> None:
    """Whether all embeddings of a collection may be fetched.

    Raises:
        FailedPreconditionError: COLLECTION_TOO_LARGE over MAX_ITEMS items.
    """
    if collection.item_count > MAX_ITEMS:
        raise FailedPreconditionError(
            f"a plain sum is compared in collections of up to {MAX_ITEMS:,} items;"
            f" {collection.name} has {collection.item_count:,}",
            reason="COLLECTION_TOO_LARGE",
            field="collection",
            remedy="`tashihiki evaluate` compares the two on your own labels.",
        )


def nearest(
    embeddings: Embeddings,
    terms: Sequence[ResolvedTerm],
    operands: Mapping[int, Vectors],
    limit: int,
    admitted: Container[str] | None = None,
) -> PlainAnswer:
    """The items most similar to the plain sum, by the cosine.

    An item of the query is no hit of it. A sum of which nothing is left finds nothing: other
    spaces answer queries that only subtract, of which a sum without negative coordinates is zero.

    Args:
        embeddings: of all items.
        terms: of the query, as the service understood them.
        operands: the embeddings (d,) of the terms that are neither values nor facets, by place.
        limit: items wanted.
        admitted: the ids that may be found; None for all.
    """
    if not len(embeddings.ids):
        return PlainAnswer([])
    labels = list(embeddings.folded())
    codes = _codes(labels)
    asked = [_asked(term, operands.get(place), codes) for place, term in enumerate(terms)]
    prototypes = _prototypes(embeddings.rows, labels, codes, _facets(asked))
    space = SumSpace(embeddings.rows.shape[1], prototypes, embeddings.keep_negative)
    try:
        composed = space.compose(asked)
    except InvalidArgumentError as error:
        if error.reason != "ZERO_QUERY_VECTOR":
            raise
        return PlainAnswer([], error.message)
    similarities = embeddings.rows @ composed.vector
    named = {term.name for term in terms if term.kind == "item"}
    found: list[tuple[int, float]] = []
    for row in np.argsort(-similarities, kind="stable").tolist():
        identifier = embeddings.ids[row]
        if len(found) == limit:
            break
        if identifier not in named and (admitted is None or identifier in admitted):
            found.append((row, float(similarities[row])))
    return PlainAnswer(found)


def _asked(
    term: ResolvedTerm, operand: Vectors | None, codes: Mapping[tuple[str, str], AttributeKey]
) -> SpaceTerm:
    if term.kind == "attribute":
        return AttributeTerm(term.weight, codes[fold(term.facet), fold(term.value)])
    if term.kind == "facet":
        return IgnoreTerm(fold(term.facet))
    assert operand is not None
    return EmbeddingTerm(term.weight, operand)


def _facets(terms: Sequence[SpaceTerm]) -> set[str]:
    named = {term.key.facet for term in terms if isinstance(term, AttributeTerm)}
    return named | {term.facet for term in terms if isinstance(term, IgnoreTerm)}


def _codes(labels: Sequence[Mapping[str, str]]) -> dict[tuple[str, str], AttributeKey]:
    codes: dict[tuple[str, str], AttributeKey] = {}
    sizes: dict[str, int] = defaultdict(int)
    for attributes in labels:
        for pair in attributes.items():
            if pair not in codes:
                codes[pair] = AttributeKey(pair[0], sizes[pair[0]])
                sizes[pair[0]] += 1
    return codes


def _prototypes(
    rows: NDArray[np.float32],
    labels: Sequence[Mapping[str, str]],
    codes: Mapping[tuple[str, str], AttributeKey],
    facets: set[str],
) -> Prototypes:
    members: dict[AttributeKey, list[int]] = defaultdict(list)
    for row, attributes in enumerate(labels):
        for facet, value in attributes.items():
            if facet in facets:
                members[codes[facet, value]].append(row)
    return Prototypes({key: prototype(rows[chosen]) for key, chosen in members.items()})
