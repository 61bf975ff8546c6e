"""What the published recipe, a plain sum of prototypes and embeddings, would have returned."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tashihiki import AsyncClient, ResolvedTerm, Search
from tashihiki_server.names import fold
from tashihiki_server.space.base import AttributeTerm, EmbeddingTerm, IgnoreTerm, SpaceTerm, Vectors
from tashihiki_server.space.prototype import Prototypes, prototype
from tashihiki_server.space.sum import SumSpace
from tashihiki_server.vocabulary import AttributeKey
from tashihiki_server.web.answers import thumbnail_address
from tashihiki_server.web.embeddings import Embeddings, EmbeddingStore


class PlainSum:
    """Answers queries by the plain sum, whatever space is in force."""

    def __init__(self, client: AsyncClient, store: EmbeddingStore) -> None:
        self._client = client
        self._store = store

    async def hits(
        self, collection: str, terms: Sequence[ResolvedTerm], search: Search
    ) -> list[dict[str, Any]]:
        """The most similar items by the cosine to the plain sum.

        Args:
            collection: the collection's name.
            terms: of the query, as the service understood them.
            search: their filter, pictures and limit.

        Raises:
            FailedPreconditionError: COLLECTION_TOO_LARGE.
            InvalidArgumentError: ZERO_QUERY_VECTOR.
        """
        embeddings = await self._store.of(collection)
        admitted = await self._admitted(collection, search, terms)
        codes = _codes(embeddings)
        operands = [await self._operand(collection, term, search, codes) for term in terms]
        found = await asyncio.to_thread(
            _nearest, embeddings, operands, codes, admitted, search.limit
        )
        return [
            {
                "id": embeddings.ids[row],
                "similarity": similarity,
                "attributes": [
                    {"facet": name, "value": value}
                    for name, value in sorted(embeddings.attributes[row].items())
                ],
                "thumbnail": {
                    "address": thumbnail_address(collection, embeddings.ids[row]),
                    "width": 1,
                    "height": 1,
                },
            }
            for row, similarity in found
        ]

    async def _admitted(
        self, collection: str, search: Search, terms: Sequence[ResolvedTerm]
    ) -> set[str] | None:
        operands = {term.name for term in terms if term.kind == "item"}
        if search.where is None:
            return None if not operands else set((await self._store.of(collection)).ids) - operands
        items = self._client.items(collection, where=search.where, page_size=1000)
        return {item.id async for item in items} - operands

    async def _operand(
        self,
        collection: str,
        term: ResolvedTerm,
        search: Search,
        codes: Mapping[tuple[str, str], AttributeKey],
    ) -> SpaceTerm:
        if term.kind == "attribute":
            return AttributeTerm(term.weight, codes[fold(term.facet), fold(term.value)])
        if term.kind == "facet":
            return IgnoreTerm(fold(term.facet))
        if term.kind == "item":
            item = await self._client.get_item(collection, term.name, include_vector=True)
            assert item.vector is not None
            return EmbeddingTerm(term.weight, item.vector)
        assert search.this_image is not None
        rows = await self._client.embed(collection, [search.this_image])
        return EmbeddingTerm(term.weight, rows[0])


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


def _nearest(
    embeddings: Embeddings,
    terms: Sequence[SpaceTerm],
    codes: Mapping[tuple[str, str], AttributeKey],
    admitted: set[str] | None,
    limit: int,
) -> list[tuple[int, float]]:
    facets = {term.key.facet for term in terms if isinstance(term, AttributeTerm)}
    facets |= {term.facet for term in terms if isinstance(term, IgnoreTerm)}
    prototypes = _prototypes(embeddings, codes, facets)
    space = SumSpace(embeddings.rows.shape[1], prototypes)
    vector: Vectors = space.compose(terms).vector
    similarities = embeddings.rows @ vector
    order = np.argsort(-similarities, kind="stable")
    chosen = (int(row) for row in order if admitted is None or embeddings.ids[int(row)] in admitted)
    return [(row, float(similarities[row])) for row, _ in zip(chosen, range(limit), strict=False)]
