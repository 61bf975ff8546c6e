"""All embeddings of a small collection, fetched once for each of its generations."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from cachetools import LRUCache
from numpy.typing import NDArray

from tashihiki import AsyncClient, FailedPreconditionError

MAX_ITEMS = 5000


@dataclass(frozen=True, eq=False)
class Embeddings:
    """Items in the order of their ids.

    Attributes:
        ids: of the items.
        attributes: facet to value, for each.
        rows: (n, d), unit length, float32.
    """

    ids: Sequence[str]
    attributes: Sequence[Mapping[str, str]]
    rows: NDArray[np.float32]


class EmbeddingStore:
    """The embeddings of the collections that were compared last."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client
        self._kept: LRUCache[str, tuple[tuple[int, int], Embeddings]] = LRUCache(2)
        self._lock = asyncio.Lock()

    async def of(self, collection: str) -> Embeddings:
        """All embeddings of a collection.

        Raises:
            FailedPreconditionError: COLLECTION_TOO_LARGE over MAX_ITEMS items.
            NotFoundError: UNKNOWN_COLLECTION.
        """
        state = await self._client.get_collection(collection)
        if state.item_count > MAX_ITEMS:
            raise FailedPreconditionError(
                f"a plain sum is compared in collections of up to {MAX_ITEMS} items;"
                f" {collection} has {state.item_count}",
                reason="COLLECTION_TOO_LARGE",
                field="collection",
                remedy="`tashihiki evaluate` compares the two on your own labels.",
            )
        key = state.generation, state.item_count
        async with self._lock:
            kept = self._kept.get(collection)
            if kept is None or kept[0] != key:
                kept = key, await self._fetch(collection)
                self._kept[collection] = kept
        return kept[1]

    async def _fetch(self, collection: str) -> Embeddings:
        ids: list[str] = []
        attributes: list[Mapping[str, str]] = []
        rows: list[NDArray[np.float32]] = []
        items = self._client.items(collection, include_vectors=True, page_size=500)
        async for item in items:
            if item.vector is not None:
                ids.append(item.id)
                attributes.append(item.attributes)
                rows.append(item.vector)
        return Embeddings(ids, attributes, np.array(rows, dtype=np.float32))
