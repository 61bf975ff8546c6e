"""The verbs of DiscoveryService, for both clients."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing, closing

from tashihiki import _discovery_calls
from tashihiki._connection import LONG_TIMEOUT, AsyncConnection, Connection
from tashihiki._image import ImageSource
from tashihiki.discovery import DuplicateGroup, LabelSuggestions, Sample
from tashihiki.query import Condition


class DiscoveryVerbs:
    """Looking over a collection without a query, for threads."""

    _connection: Connection

    def find_duplicates(
        self,
        collection: str,
        *,
        where: Condition | None = None,
        min_similarity: float | None = None,
        image: ImageSource | None = None,
        exact_only: bool = False,
        progress: Callable[[int, int], None] | None = None,
        timeout: float = LONG_TIMEOUT,
    ) -> Iterator[DuplicateGroup]:
        """Groups of items that show the same, as the server finds them.

        First those whose picture files are identical, then those that look alike. Each item is
        in one group at most. Leaving the iteration ends the search.

        Args:
            collection: the collection's name.
            where: which items to look among.
            min_similarity: the least cosine to the first item of a group, in (0, 1]; the
                server's 0.995 when None.
            image: only the group of items that show the same as this picture.
            exact_only: only identical files.
            progress: called now and then with how many items were looked at, and of how many.
            timeout: seconds for the whole iteration.
        """
        call = _discovery_calls.find_duplicates(
            collection, where, min_similarity, image, exact_only
        )
        with closing(self._connection.stream(call, timeout)) as events:
            for event in events:
                if isinstance(event, DuplicateGroup):
                    yield event
                elif progress is not None:
                    progress(*event)

    def suggest_labels(
        self,
        collection: str,
        *,
        facet: str = "",
        limit: int = 10,
        where: Condition | None = None,
        include_thumbnails: bool = False,
        timeout: float | None = None,
    ) -> LabelSuggestions:
        """Items to label next: those least like anything labelled, and spread out.

        Args:
            collection: the collection's name.
            facet: the facet whose label is missing; any label at all when empty.
            limit: suggestions wanted, 1 to 1000.
            where: which items may be suggested.
            include_thumbnails: with their thumbnails, JPEG.
        """
        call = _discovery_calls.suggest_labels(collection, facet, limit, where, include_thumbnails)
        return self._connection.run(call, timeout)

    def sample(
        self,
        collection: str,
        count: int = 10,
        *,
        where: Condition | None = None,
        seed: int | None = None,
        include_vectors: bool = False,
        include_thumbnails: bool = False,
        timeout: float | None = None,
    ) -> Sample:
        """Items drawn at random, each as likely as any other.

        Args:
            collection: the collection's name.
            count: items wanted, 1 to 1000; fewer come where there are no more.
            where: which items to draw from.
            seed: the same seed draws the same items as long as the collection does not change;
                drawn anew each time when None.
            include_vectors: with their embeddings, shape (d,).
            include_thumbnails: with their thumbnails, JPEG.
        """
        call = _discovery_calls.sample(
            collection, count, where, seed, include_vectors, include_thumbnails
        )
        return self._connection.run(call, timeout)


class AsyncDiscoveryVerbs:
    """Looking over a collection without a query, for asyncio."""

    _connection: AsyncConnection

    async def find_duplicates(
        self,
        collection: str,
        *,
        where: Condition | None = None,
        min_similarity: float | None = None,
        image: ImageSource | None = None,
        exact_only: bool = False,
        progress: Callable[[int, int], None] | None = None,
        timeout: float = LONG_TIMEOUT,
    ) -> AsyncIterator[DuplicateGroup]:
        """Groups of items that show the same, as the server finds them.

        First those whose picture files are identical, then those that look alike. Each item is
        in one group at most. Leaving the iteration ends the search.

        Args:
            collection: the collection's name.
            where: which items to look among.
            min_similarity: the least cosine to the first item of a group, in (0, 1]; the
                server's 0.995 when None.
            image: only the group of items that show the same as this picture.
            exact_only: only identical files.
            progress: called now and then with how many items were looked at, and of how many.
            timeout: seconds for the whole iteration.
        """
        call = _discovery_calls.find_duplicates(
            collection, where, min_similarity, image, exact_only
        )
        async with aclosing(self._connection.stream(call, timeout)) as events:
            async for event in events:
                if isinstance(event, DuplicateGroup):
                    yield event
                elif progress is not None:
                    progress(*event)

    async def suggest_labels(
        self,
        collection: str,
        *,
        facet: str = "",
        limit: int = 10,
        where: Condition | None = None,
        include_thumbnails: bool = False,
        timeout: float | None = None,
    ) -> LabelSuggestions:
        """Items to label next: those least like anything labelled, and spread out.

        Args:
            collection: the collection's name.
            facet: the facet whose label is missing; any label at all when empty.
            limit: suggestions wanted, 1 to 1000.
            where: which items may be suggested.
            include_thumbnails: with their thumbnails, JPEG.
        """
        call = _discovery_calls.suggest_labels(collection, facet, limit, where, include_thumbnails)
        return await self._connection.run(call, timeout)

    async def sample(
        self,
        collection: str,
        count: int = 10,
        *,
        where: Condition | None = None,
        seed: int | None = None,
        include_vectors: bool = False,
        include_thumbnails: bool = False,
        timeout: float | None = None,
    ) -> Sample:
        """Items drawn at random, each as likely as any other.

        Args:
            collection: the collection's name.
            count: items wanted, 1 to 1000; fewer come where there are no more.
            where: which items to draw from.
            seed: the same seed draws the same items as long as the collection does not change;
                drawn anew each time when None.
            include_vectors: with their embeddings, shape (d,).
            include_thumbnails: with their thumbnails, JPEG.
        """
        call = _discovery_calls.sample(
            collection, count, where, seed, include_vectors, include_thumbnails
        )
        return await self._connection.run(call, timeout)
