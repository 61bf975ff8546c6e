"""All embeddings of a small collection, fetched once for each of its generations."""

from __future__ import annotations

import asyncio
from datetime import datetime

from cachetools import LRUCache

from tashihiki import AsyncClient, Collection
from tashihiki_server.plain_sum import Embeddings, check_size


class EmbeddingStore:
    """The embeddings of the collections that were compared last."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client
        self._kept: LRUCache[str, tuple[tuple[datetime | None, int, int], Embeddings]] = LRUCache(2)
        self._lock = asyncio.Lock()

    async def of(self, collection: str) -> Embeddings:
        """All embeddings of a collection.

        Raises:
            FailedPreconditionError: COLLECTION_TOO_LARGE.
            NotFoundError: UNKNOWN_COLLECTION.
        """
        state = await self._client.get_collection(collection)
        check_size(state)
        key = state.create_time, state.generation, state.item_count
        async with self._lock:
            kept = self._kept.get(collection)
            if kept is None or kept[0] != key:
                kept = key, await self._fetch(state)
                self._kept[collection] = kept
        return kept[1]

    async def _fetch(self, state: Collection) -> Embeddings:
        items = self._client.items(state.name, include_vectors=True, page_size=500)
        return Embeddings.of(state, [item async for item in items])
