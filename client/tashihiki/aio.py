"""The client for asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tashihiki import _batches, _calls
from tashihiki._address import default_address
from tashihiki._channel import ChannelOptions
from tashihiki._connection import AsyncConnection, Settings
from tashihiki._discovery import AsyncDiscoveryVerbs
from tashihiki._image import ImageSource
from tashihiki._maintenance import AsyncMaintenanceVerbs
from tashihiki.catalog import (
    Collection,
    DeleteResult,
    FacetSummary,
    Item,
    Space,
    SpaceKind,
    StoredItem,
    UpsertResult,
)
from tashihiki.composition import item
from tashihiki.config import KeepAliveConfig, RetryConfig, TLSConfig
from tashihiki.errors import TashihikiError
from tashihiki.query import Condition, GroupBy, MissingItems, Mode, Query, Search
from tashihiki.results import ComposeResult, HealthStatus, SearchResult


class AsyncClient(AsyncDiscoveryVerbs, AsyncMaintenanceVerbs):
    """Calls a Tashihiki server from asyncio; made inside or outside a running loop.

        async with AsyncClient("localhost:50051") as client:
            hits = await client.search("faces", "person KR + HAPPY")

    Every verb takes `timeout`, the seconds for this call instead of the client's; those that go
    over a whole collection, `find_duplicates`, `create_snapshot` and `restore_snapshot`, have an
    hour of their own.

    Every verb raises a subclass of `TashihikiError`: InvalidArgumentError, NotFoundError,
    AlreadyExistsError, FailedPreconditionError (also after `close()`), AbortedError,
    ResourceExhaustedError, UnavailableError (after the retries), DeadlineExceededError,
    CancelledError, InternalError, UnknownError.
    """

    def __init__(
        self,
        target: str | None = None,
        *,
        timeout: float = 10.0,
        tls: TLSConfig | None = None,
        retry: RetryConfig | None = None,
        keep_alive: KeepAliveConfig | None = None,
        wait_for_ready: bool = False,
        options: ChannelOptions = (),
    ) -> None:
        """Opens no connection yet; the first call does.

        Args:
            target: `host:port` (port 50051 when left out), or any gRPC name; calls go round
                its addresses in turn. None for the environment's TASHIHIKI_SERVER, else
                localhost:50051.
            timeout: seconds for each call, its retries included.
            tls: encryption; none when None.
            retry: retries of UNAVAILABLE, and of what a busy server refused.
            keep_alive: pings while calls are under way.
            wait_for_ready: let calls wait for a server that is not up yet, until their
                deadline, instead of failing with UnavailableError.
            options: gRPC channel arguments that override the client's own.
        """
        self._connection = AsyncConnection(
            Settings(
                default_address() if target is None else target,
                timeout,
                tls,
                retry or RetryConfig(),
                keep_alive or KeepAliveConfig(),
                wait_for_ready,
                options,
            )
        )

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Cancels what is under way and hangs up; closing again does nothing."""
        await self._connection.close()

    async def search(
        self,
        collection: str,
        query: Query,
        *,
        limit: int = 10,
        where: Condition | None = None,
        this_item: str | None = None,
        this_image: ImageSource | None = None,
        images: Mapping[str, ImageSource] | None = None,
        vectors: Mapping[str, ArrayLike] | None = None,
        include_operands: bool = False,
        missing_items: MissingItems = "fail",
        include_vector: bool = False,
        include_thumbnails: bool = False,
        mode: Mode = "replace",
        rerank: bool | None = None,
        min_similarity: float | None = None,
        group_by: GroupBy | None = None,
        diversity: float | None = None,
        page_token: str = "",
        timings: bool = False,
        timeout: float | None = None,
    ) -> SearchResult:
        """The items most similar to a composition.

            hits = await client.search(
                "items", image("mug.jpg") - facet("background") + attribute("red"), limit=5
            )
            for hit in hits:
                print(hit.id, hit.similarity, hit.attributes)

        Args:
            collection: the collection's name.
            query: a composition, or expression text such as `person KR + HAPPY`.
            limit: hits wanted, 1 to 1000.
            where: which items may be hits: a filter, or text such as `colour in (red, blue)`.
            this_item: the id that `this item` stands for.
            this_image: the picture that `this image` stands for.
            images: the pictures that `image(NAME)` stands for, by name.
            vectors: the vectors that `vector(NAME)` stands for, by name; shape (d,).
            include_operands: let items of the query be hits too.
            missing_items: fail for item ids that are not there, or skip and report them.
            include_vector: also return the composed vector, shape (d,).
            include_thumbnails: also return the hits' thumbnails, JPEG.
            mode: whether an attribute takes the place of what items and pictures show in its
                facet, or is added to it; alike in the sum.
            rerank: order the first 100 (or `limit`, where that is more) by how probably they
                show the attributes asked for; None leaves it to the server.
            min_similarity: only hits at least as similar, in [-1, 1].
            group_by: at most one hit for each value of this facet, or of a pair of facet and
                number at most so many: `("colour", 2)`. Items without a label are not limited.
            diversity: choose hits that differ, by maximal marginal relevance: the share of
                similarity in each choice, in (0, 1]; 1 is similarity alone.
            page_token: `next_page_token` of the page before, to go on after it; all else but
                `limit` must be the same.
            timings: also tell where the time went in the server.
        """
        call = _calls.search(
            Search(
                collection=collection,
                query=query,
                limit=limit,
                where=where,
                this_item=this_item,
                this_image=this_image,
                images=images or {},
                vectors=vectors or {},
                include_operands=include_operands,
                missing_items=missing_items,
                include_vector=include_vector,
                include_thumbnails=include_thumbnails,
                mode=mode,
                rerank=rerank,
                min_similarity=min_similarity,
                group_by=group_by,
                diversity=diversity,
                page_token=page_token,
                timings=timings,
            )
        )
        return await self._connection.run(call, timeout)

    async def search_pages(
        self,
        collection: str,
        query: Query,
        *,
        page_size: int = 100,
        where: Condition | None = None,
        this_item: str | None = None,
        this_image: ImageSource | None = None,
        images: Mapping[str, ImageSource] | None = None,
        vectors: Mapping[str, ArrayLike] | None = None,
        include_operands: bool = False,
        missing_items: MissingItems = "fail",
        include_thumbnails: bool = False,
        mode: Mode = "replace",
        rerank: bool | None = None,
        min_similarity: float | None = None,
        timeout: float | None = None,
    ) -> AsyncIterator[SearchResult]:
        """All hits of a search, page by page as they are asked for.

        An item that does not change meanwhile is on exactly one page, however many others are
        written. FailedPreconditionError, reason PAGE_TOKEN_EXPIRED, when the server can no
        longer go on: begin again.

            async for page in client.search_pages("items", "mug + red", page_size=200):
                print([hit.id for hit in page])

        Args:
            collection: the collection's name.
            query: a composition or expression text.
            page_size: hits on a page, 1 to 1000.
            where: which items may be hits.
            this_item: the id that `this item` stands for.
            this_image: the picture that `this image` stands for.
            images: the pictures that `image(NAME)` stands for, by name.
            vectors: the vectors that `vector(NAME)` stands for, by name; shape (d,).
            include_operands: let items of the query be hits too.
            missing_items: fail for item ids that are not there, or skip and report them.
            include_thumbnails: also return the hits' thumbnails, JPEG.
            mode: whether an attribute replaces what items and pictures show, or is added to it.
            rerank: as in `search`; hits after the first 100, or the first page where that is
                more, are in the order of similarity.
            min_similarity: only hits at least as similar, in [-1, 1].
            timeout: seconds for each page.
        """
        call = _calls.search(
            Search(
                collection=collection,
                query=query,
                limit=page_size,
                where=where,
                this_item=this_item,
                this_image=this_image,
                images=images or {},
                vectors=vectors or {},
                include_operands=include_operands,
                missing_items=missing_items,
                include_thumbnails=include_thumbnails,
                mode=mode,
                rerank=rerank,
                min_similarity=min_similarity,
            )
        )
        while True:
            page = await self._connection.run(call, timeout)
            yield page
            if not page.next_page_token:
                return
            call = _calls.next_page(call, page.next_page_token)

    async def similar(
        self,
        collection: str,
        item_id: str,
        *,
        limit: int = 10,
        where: Condition | None = None,
        min_similarity: float | None = None,
        group_by: GroupBy | None = None,
        diversity: float | None = None,
        include_thumbnails: bool = False,
        timeout: float | None = None,
    ) -> SearchResult:
        """The items most similar to an item of the collection, which is not among them.

            hits = await client.similar("items", "mug_7", where="colour:red")

        Args:
            collection: the collection's name.
            item_id: the item's id; NotFoundError when it is not there.
            limit: hits wanted, 1 to 1000.
            where: which items may be hits.
            min_similarity: only hits at least as similar, in [-1, 1].
            group_by: as in `search`.
            diversity: as in `search`.
            include_thumbnails: also return the hits' thumbnails, JPEG.
        """
        call = _calls.search(
            Search(
                collection=collection,
                query=item(item_id),
                limit=limit,
                where=where,
                include_thumbnails=include_thumbnails,
                min_similarity=min_similarity,
                group_by=group_by,
                diversity=diversity,
            )
        )
        return await self._connection.run(call, timeout)

    async def batch_search(
        self, searches: Sequence[Search], *, timeout: float | None = None
    ) -> list[SearchResult | TashihikiError]:
        """Up to 100 searches in one call, answered in the same order.

        A search that fails has its error in the list; it is not raised.

            searches = [Search("items", f"mug + {colour}") for colour in ("red", "blue")]
            for answer in await client.batch_search(searches):
                print(answer.reason if isinstance(answer, TashihikiError) else answer[0].id)
        """
        return await self._connection.run(_calls.batch_search(searches), timeout)

    async def compose(
        self,
        collection: str,
        query: Query,
        *,
        this_item: str | None = None,
        this_image: ImageSource | None = None,
        images: Mapping[str, ImageSource] | None = None,
        vectors: Mapping[str, ArrayLike] | None = None,
        missing_items: MissingItems = "fail",
        mode: Mode = "replace",
        timings: bool = False,
        timeout: float | None = None,
    ) -> ComposeResult:
        """The composed vector, and how each term was understood, without a search.

        The arguments are those of `search`.

            composed = await client.compose("items", "this item - background", this_item="mug_7")
            print([term.label for term in composed.terms], composed.norm)
        """
        call = _calls.compose(
            collection, query, this_item, this_image, images, vectors, missing_items, mode, timings
        )
        return await self._connection.run(call, timeout)

    async def create_collection(
        self,
        name: str,
        *,
        encoder: str = "",
        space: Space | SpaceKind = "auto",
        aliases: Mapping[str, Mapping[str, str]] | None = None,
        target_recall: float | None = None,
        timeout: float | None = None,
    ) -> Collection:
        """Makes an empty collection; AlreadyExistsError when the name is taken.

            await client.create_collection("mugs", aliases={"colour": {"crimson": "red"}})

        Args:
            name: 1 to 63 of a-z, 0-9, `-` and `_`, starting with a letter or digit.
            encoder: an encoder's name or fingerprint; the server's default when empty.
            space: how compositions become vectors: `sum`, `factored`, or `auto`, the sum until
                two facets have two values each and factored from then on; see `Space`.
            aliases: per facet, other names of values: `{"expression": {"HA": "HAPPY"}}`.
            target_recall: the share of the ten most similar items that searches shall find,
                from 0.5 to 1, which compares every item; the server's 0.99 when None.
        """
        call = _calls.create_collection(name, encoder, space, aliases, target_recall)
        return await self._connection.run(call, timeout)

    async def get_collection(self, name: str, *, timeout: float | None = None) -> Collection:
        """One collection; NotFoundError when it is not there."""
        return await self._connection.run(_calls.get_collection(name), timeout)

    async def list_collections(self, *, timeout: float | None = None) -> list[Collection]:
        """All collections; `timeout` is for each page."""
        found: list[Collection] = []
        token = ""
        while True:
            page = await self._connection.run(_calls.list_collections(token), timeout)
            found.extend(page.entries)
            token = page.next_token
            if not token:
                return found

    async def delete_collection(
        self, name: str, *, allow_missing: bool = False, timeout: float | None = None
    ) -> None:
        """Deletes a collection and every item in it.

        Args:
            name: the collection's name.
            allow_missing: no NotFoundError when there is no such collection.
        """
        await self._connection.run(_calls.delete_collection(name, allow_missing), timeout)

    async def upsert(
        self,
        collection: str,
        items: Iterable[Item],
        *,
        batch_size: int = 100,
        on_error: Literal["raise", "collect"] = "raise",
        timeout: float | None = None,
    ) -> UpsertResult:
        """Adds or replaces items, in batches; each is durable once it is answered.

        Items that are as they were given already are not written, and pictures that are the
        same files as before are not encoded again, so a long upsert that was cut short may
        simply be repeated.

            red = Item("mug_7", image="mug.jpg", attributes={"colour": "red"})
            result = await client.upsert("items", [red])
            print(result.count, result.etags)

        `items` is read in another thread, so that pictures on disk do not hold up the loop.

        Args:
            collection: the collection's name.
            items: the items; pictures are read when their batch is sent.
            batch_size: items in one call, 1 to 1000; fewer when they are large.
            on_error: `raise` stops at the first batch that holds a bad item and writes none
                of it, though the batches before it stay; `collect` writes all sound items
                and returns an error for each of the others.
            timeout: seconds for each batch.
        """
        if on_error not in ("raise", "collect"):
            raise ValueError(f"on_error is 'raise' or 'collect', not {on_error!r}")
        collect = on_error == "collect"
        answers: list[UpsertResult] = []
        batches = _batches.item_batches(items, batch_size, collect)
        while (batch := await asyncio.to_thread(next, batches, None)) is not None:
            answer = UpsertResult(0)
            if batch.messages:
                call = _calls.upsert(collection, batch.messages, collect)
                answer = await self._connection.run(call, timeout)
            answers.append(batch.settle(answer))
        return _batches.total(answers)

    async def get_item(
        self,
        collection: str,
        item_id: str,
        *,
        include_vector: bool = False,
        include_thumbnail: bool = False,
        timeout: float | None = None,
    ) -> StoredItem:
        """One item; NotFoundError when it is not there.

        Args:
            collection: the collection's name.
            item_id: the item's id.
            include_vector: with its embedding, shape (d,).
            include_thumbnail: with its thumbnail, JPEG.
        """
        call = _calls.get_item(collection, item_id, include_vector, include_thumbnail)
        return await self._connection.run(call, timeout)

    async def items(
        self,
        collection: str,
        *,
        where: Condition | None = None,
        include_vectors: bool = False,
        include_thumbnails: bool = False,
        page_size: int = 100,
        timeout: float | None = None,
    ) -> AsyncIterator[StoredItem]:
        """The items in the order of their ids, fetched page by page as they are asked for.

            async for item in client.items("items", where="metadata.price < 20"):
                print(item.id, item.attributes, item.metadata)

        Args:
            collection: the collection's name.
            where: only the items that meet a filter or filter text.
            include_vectors: with their embeddings, shape (d,).
            include_thumbnails: with their thumbnails, JPEG.
            page_size: items in one call, 1 to 1000.
            timeout: seconds for each page.
        """
        token = ""
        while True:
            call = _calls.list_items(
                collection, where, include_vectors, include_thumbnails, page_size, token
            )
            page = await self._connection.run(call, timeout)
            for entry in page.entries:
                yield entry
            token = page.next_token
            if not token:
                return

    async def delete_items(
        self,
        collection: str,
        ids: Iterable[str],
        *,
        missing_items: MissingItems = "fail",
        timeout: float | None = None,
    ) -> DeleteResult:
        """Deletes items by id, a thousand in one call.

            result = await client.delete_items("items", ["mug_7", "mug_8"], missing_items="skip")
            print(result.count, result.missing_ids)

        Args:
            collection: the collection's name.
            ids: the items' ids.
            missing_items: NotFoundError for ids that are not there, with nothing of that
                call deleted, or skip and report them.
            timeout: seconds for each call.
        """
        count = 0
        missing: list[str] = []
        for batch in _batches.id_batches(ids):
            call = _calls.delete_items(collection, batch, missing_items)
            answer = await self._connection.run(call, timeout)
            count += answer.count
            missing.extend(answer.missing_ids)
        return DeleteResult(count, tuple(missing))

    async def attributes(
        self, collection: str, *, facet: str = "", timeout: float | None = None
    ) -> tuple[FacetSummary, ...]:
        """The facets with their values and member counts.

            for summary in await client.attributes("items"):
                print(summary.facet, [value.value for value in summary.values])

        Args:
            collection: the collection's name.
            facet: only this one; all of them when empty.
        """
        return await self._connection.run(_calls.attributes(collection, facet), timeout)

    async def embed(
        self, collection: str, images: Iterable[ImageSource], *, timeout: float | None = None
    ) -> NDArray[np.float32]:
        """The embeddings of pictures by the collection's encoder.

            embeddings = await client.embed("items", ["mug.jpg"])
            hits = await client.search("items", vector(embeddings[0]) + attribute("red"))

        Returns:
            Shape (n, d), unit rows, in the order of the pictures; (0, 0) for none.
        """
        rows: list[NDArray[np.float32]] = []
        batches = _batches.image_batches(images)
        while (batch := await asyncio.to_thread(next, batches, None)) is not None:
            rows.append(await self._connection.run(_calls.embed(collection, batch), timeout))
        return np.concatenate(rows) if rows else np.empty((0, 0), dtype=np.float32)

    async def health(self, *, timeout: float | None = None) -> HealthStatus:
        """What the server's health service says about the whole server."""
        return await self._connection.run(_calls.health(), timeout)
