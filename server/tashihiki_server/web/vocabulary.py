"""The names that completion offers: facets and values with counts, and item ids."""

from __future__ import annotations

import asyncio
import time
from bisect import bisect_left
from collections.abc import Sequence

from cachetools import LRUCache

from tashihiki import AsyncClient, FacetSummary
from tashihiki.errors import TashihikiError

# Listing more would keep the service busy for the sake of a list of four.
MAX_IDS = 20_000
_FRESH_SECONDS = 2.0
_IDS_FRESH_SECONDS = 30.0
_PATIENCE_SECONDS = 0.3


class Names:
    """Facets and ids of the collections, asked for again when they have aged."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client
        self._facets: LRUCache[str, tuple[float, tuple[FacetSummary, ...]]] = LRUCache(64)
        self._ids: LRUCache[str, tuple[float, list[str]]] = LRUCache(16)
        self._loading: dict[str, asyncio.Task[None]] = {}

    async def facets(self, collection: str) -> tuple[FacetSummary, ...]:
        """The facets with their values; at most two seconds old."""
        kept = self._facets.get(collection)
        if kept and time.monotonic() - kept[0] < _FRESH_SECONDS:
            return kept[1]
        found = await self._client.attributes(collection)
        self._facets[collection] = time.monotonic(), found
        return found

    async def ids(self, collection: str) -> Sequence[str]:
        """The first ids of the collection in their order; fewer while they are being listed."""
        kept = self._ids.get(collection)
        if kept is None or time.monotonic() - kept[0] > _IDS_FRESH_SECONDS:
            task = self._loading.get(collection)
            if task is None:
                task = asyncio.create_task(self._load(collection))
                self._loading[collection] = task
            await asyncio.wait([task], timeout=_PATIENCE_SECONDS)
            kept = self._ids.get(collection)
        return kept[1] if kept else []

    async def close(self) -> None:
        """Stops listing."""
        tasks = list(self._loading.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _load(self, collection: str) -> None:
        ids: list[str] = []
        try:
            async for item in self._client.items(collection, page_size=1000):
                ids.append(item.id)
                if len(ids) == MAX_IDS:
                    break
            self._ids[collection] = time.monotonic(), ids
        except TashihikiError:
            # Completion does without; the search itself says what is wrong.
            pass
        finally:
            self._loading.pop(collection, None)


def starting_with(ids: Sequence[str], prefix: str, limit: int) -> tuple[list[str], int]:
    """The first ids that begin so, and how many do; `ids` are in the order of their bytes."""
    key = prefix.encode()
    start = bisect_left(ids, key, key=str.encode)
    stop = start
    while stop < len(ids) and ids[stop].startswith(prefix):
        stop += 1
    return list(ids[start : min(stop, start + limit)]), stop - start
