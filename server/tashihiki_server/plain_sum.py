"""What the published recipe, a plain sum of prototypes and embeddings, would have returned.

Computed from what a client fetches, whatever space is in force.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tashihiki import Collection, FailedPreconditionError, ResolvedTerm
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
    """

    ids: Sequence[str]
    attributes: Sequence[Mapping[str, str]]
    rows: NDArray[np.float32]


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
    *,
    admitted: Container[str] | None = None,
    excluded: Container[str] = (),
    keep_negative: bool = False,
) -> list[tuple[int, float]]:
    """The items most similar to the plain sum, by the cosine.

    Args:
        embeddings: of all items.
        terms: of the query, as the service understood them.
        operands: the embeddings (d,) of the terms that are neither values nor facets, by place.
        limit: items wanted.
        admitted: the ids that may be found; None for all.
        excluded: the ids that may not.
        keep_negative: whether negative coordinates of the sum are kept.

    Returns:
        Rows of the embeddings and their similarities, most similar first.

    Raises:
        InvalidArgumentError: ZERO_QUERY_VECTOR.
    """
    if not len(embeddings.ids):
        return []
    codes = _codes(embeddings)
    asked = [_asked(term, operands.get(place), codes) for place, term in enumerate(terms)]
    space = SumSpace(
        embeddings.rows.shape[1], _prototypes(embeddings, codes, _facets(asked)), keep_negative
    )
    similarities = embeddings.rows @ space.compose(asked).vector
    found: list[tuple[int, float]] = []
    for row in np.argsort(-similarities, kind="stable").tolist():
        identifier = embeddings.ids[row]
        if len(found) == limit:
            break
        if identifier not in excluded and (admitted is None or identifier in admitted):
            found.append((row, float(similarities[row])))
    return found


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


def _codes(embeddings: Embeddings) -> dict[tuple[str, str], AttributeKey]:
    codes: dict[tuple[str, str], AttributeKey] = {}
    sizes: dict[str, int] = defaultdict(int)
    for attributes in embeddings.attributes:
        for name, value in attributes.items():
            pair = fold(name), fold(value)
            if pair not in codes:
                codes[pair] = AttributeKey(pair[0], sizes[pair[0]])
                sizes[pair[0]] += 1
    return codes


def _prototypes(
    embeddings: Embeddings,
    codes: Mapping[tuple[str, str], AttributeKey],
    facets: set[str],
) -> Prototypes:
    members: dict[AttributeKey, list[int]] = defaultdict(list)
    for row, attributes in enumerate(embeddings.attributes):
        for name, value in attributes.items():
            if fold(name) in facets:
                members[codes[fold(name), fold(value)]].append(row)
    return Prototypes({key: prototype(embeddings.rows[rows]) for key, rows in members.items()})
