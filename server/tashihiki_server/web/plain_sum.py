"""The plain sum beside the service's answer, as the page shows it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from tashihiki import AsyncClient, ResolvedTerm, Search
from tashihiki_server.plain_sum import nearest
from tashihiki_server.space.base import Vectors
from tashihiki_server.web.answers import Json, thumbnail_address
from tashihiki_server.web.embeddings import EmbeddingStore


class PlainSum:
    """Answers queries by the plain sum, whatever space is in force."""

    def __init__(self, client: AsyncClient, store: EmbeddingStore) -> None:
        self._client = client
        self._store = store

    async def answer(self, collection: str, terms: Sequence[ResolvedTerm], search: Search) -> Json:
        """The most similar items by the cosine to the plain sum, or a note why there are none.

        Args:
            collection: the collection's name.
            terms: of the query, as the service understood them.
            search: their filter, pictures and limit.

        Raises:
            FailedPreconditionError: COLLECTION_TOO_LARGE.
        """
        embeddings = await self._store.of(collection)
        operands = {
            place: await self._operand(collection, term, search)
            for place, term in enumerate(terms)
            if term.kind not in ("attribute", "facet")
        }
        admitted = await self._admitted(collection, search)
        found = await asyncio.to_thread(
            nearest, embeddings, terms, operands, search.limit, admitted
        )
        hits = [
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
            for row, similarity in found.hits
        ]
        return {"hits": hits, "note": found.note}

    async def _admitted(self, collection: str, search: Search) -> set[str] | None:
        if search.where is None:
            return None
        items = self._client.items(collection, where=search.where, page_size=1000)
        return {item.id async for item in items}

    async def _operand(self, collection: str, term: ResolvedTerm, search: Search) -> Vectors:
        if term.kind == "item":
            item = await self._client.get_item(collection, term.name, include_vector=True)
            assert item.vector is not None
            return item.vector
        assert search.this_image is not None
        embedded: Vectors = (await self._client.embed(collection, [search.this_image]))[0]
        return embedded
