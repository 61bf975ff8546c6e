"""CatalogService, apart from its transport."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from tashihiki.errors import NotFoundError, TashihikiError
from tashihiki.v1 import catalog_pb2
from tashihiki_server.bounds import bounded, check_batch
from tashihiki_server.collection.collection import Collection
from tashihiki_server.encoder.embedder import Embedder
from tashihiki_server.library import Library
from tashihiki_server.query.filter import admitted, filter_from_message
from tashihiki_server.service.collection_messages import (
    collection_message,
    diagnostics_message,
    faulty_message,
)
from tashihiki_server.service.creation import aliases_of, space_of, target_recall_of
from tashihiki_server.service.facet_summaries import facet_summaries
from tashihiki_server.service.index_status import index_status
from tashihiki_server.service.item_page import fill_page
from tashihiki_server.service.item_writes import ItemWrites
from tashihiki_server.service.messages import (
    item_message,
    page_token,
    read_page_token,
    vector_message,
)
from tashihiki_server.service.repeated import check_request_id

DEFAULT_PAGE = 100
MAX_ITEMS = 1000
MAX_IMAGES = 100
_CHUNK = 1000


class CatalogApi:
    """One method for each RPC: request in, response out, `TashihikiError` raised."""

    def __init__(self, library: Library, embedder: Embedder) -> None:
        self._library = library
        self._embedder = embedder
        self._writes = ItemWrites(embedder)

    # Collections

    def create_collection(
        self, request: catalog_pb2.CreateCollectionRequest
    ) -> catalog_pb2.CreateCollectionResponse:
        """Makes an empty collection."""
        wanted = request.collection
        check_request_id(request.request_id)
        collection = self._library.create(
            wanted.name,
            encoder=wanted.encoder,
            space=space_of(wanted.space),
            keep_negative=wanted.space.keep_negative,
            aliases=aliases_of(wanted),
            target_recall=target_recall_of(wanted.target_recall),
            request_id=request.request_id,
        )
        return catalog_pb2.CreateCollectionResponse(collection=collection_message(collection))

    def get_collection(
        self, request: catalog_pb2.GetCollectionRequest
    ) -> catalog_pb2.GetCollectionResponse:
        """A collection's settings and figures, and how well its space fits."""
        collection = self._library.collection(request.name)
        message = collection_message(collection)
        if (diagnostics := diagnostics_message(collection)) is not None:
            message.space_diagnostics.CopyFrom(diagnostics)
        message.index.CopyFrom(index_status(collection))
        return catalog_pb2.GetCollectionResponse(collection=message)

    def list_collections(
        self, request: catalog_pb2.ListCollectionsRequest
    ) -> catalog_pb2.ListCollectionsResponse:
        """Collections by name."""
        size = bounded(request.page_size, DEFAULT_PAGE, "page_size")
        after = read_page_token(request.page_token, "collections")
        messages = [
            *(collection_message(collection) for collection in self._library.collections()),
            *(faulty_message(name, fault) for name, fault in self._library.faults().items()),
        ]
        rest = sorted((m for m in messages if m.name > after), key=lambda message: message.name)
        page = rest[:size]
        return catalog_pb2.ListCollectionsResponse(
            collections=page,
            next_page_token=page_token("collections", page[-1].name) if len(rest) > size else "",
        )

    def delete_collection(
        self, request: catalog_pb2.DeleteCollectionRequest
    ) -> catalog_pb2.DeleteCollectionResponse:
        """Deletes a collection with its items."""
        self._library.delete(request.name, missing_ok=request.allow_missing)
        return catalog_pb2.DeleteCollectionResponse()

    # Items

    def upsert_items(
        self, request: catalog_pb2.UpsertItemsRequest
    ) -> catalog_pb2.UpsertItemsResponse:
        """Adds or replaces items."""
        check_batch(len(request.items), MAX_ITEMS, "items")
        return self._writes.upsert(self._library.collection(request.collection), request)

    def get_item(self, request: catalog_pb2.GetItemRequest) -> catalog_pb2.GetItemResponse:
        """One item."""
        collection = self._library.collection(request.collection)
        found = collection.items(
            [request.id], embeddings=request.include_vector, thumbnails=request.include_thumbnail
        )
        if request.id not in found:
            raise NotFoundError(
                f"no item {request.id!r}",
                reason="UNKNOWN_ITEM",
                field="id",
                remedy="Check the id; ListItems returns those that are there.",
            )
        return catalog_pb2.GetItemResponse(item=item_message(*found[request.id]))

    def list_items(self, request: catalog_pb2.ListItemsRequest) -> catalog_pb2.ListItemsResponse:
        """Items by id, those that the filter admits."""
        size = bounded(request.page_size, DEFAULT_PAGE, "page_size")
        collection = self._library.collection(request.collection)
        scope = f"items/{collection.settings.name}"
        after = read_page_token(request.page_token, scope)
        ids = _take(_ids(collection, after, _admits(collection, request)), size + 1)
        response = catalog_pb2.ListItemsResponse()
        last = fill_page(response, ids, size, lambda some: _page(collection, some, request))
        if last:
            response.next_page_token = page_token(scope, last)
        return response

    def delete_items(
        self, request: catalog_pb2.DeleteItemsRequest
    ) -> catalog_pb2.DeleteItemsResponse:
        """Deletes items by id."""
        check_batch(len(request.ids), MAX_ITEMS, "ids")
        return self._writes.delete(self._library.collection(request.collection), request)

    # Attributes and embeddings

    def list_attributes(
        self, request: catalog_pb2.ListAttributesRequest
    ) -> catalog_pb2.ListAttributesResponse:
        """Facets, values and member counts."""
        collection = self._library.collection(request.collection)
        return catalog_pb2.ListAttributesResponse(
            facets=facet_summaries(collection.vocabulary, len(collection), request.facet)
        )

    def embed(self, request: catalog_pb2.EmbedRequest) -> catalog_pb2.EmbedResponse:
        """Embeddings of pictures that are not stored."""
        check_batch(len(request.images), MAX_IMAGES, "images")
        encoder = self._library.collection(request.collection).encoder
        images = [(data, f"images[{number}]") for number, data in enumerate(request.images)]
        vectors = []
        for embedded in self._embedder.embed_all(encoder, images):
            if isinstance(embedded, TashihikiError):
                raise embedded
            vectors.append(vector_message(embedded.embedding))
        return catalog_pb2.EmbedResponse(vectors=vectors, encoder=encoder.manifest.fingerprint)


def _admits(collection: Collection, request: catalog_pb2.ListItemsRequest) -> Callable[[str], bool]:
    if not request.HasField("filter"):
        return lambda identifier: True
    rows = collection.state.rows
    mask = admitted(filter_from_message(request.filter, "filter"), rows) & rows.alive
    ids = {rows.id(int(row)) for row in mask.nonzero()[0]}
    return ids.__contains__


def _page(
    collection: Collection, ids: Sequence[str], request: catalog_pb2.ListItemsRequest
) -> list[catalog_pb2.Item]:
    items = collection.items(
        ids, embeddings=request.include_vectors, thumbnails=request.include_thumbnails
    )
    return [item_message(*items[identifier]) for identifier in ids if identifier in items]


def _ids(collection: Collection, after: str, admits: Callable[[str], bool]) -> Iterator[str]:
    while chunk := collection.catalogue.ids_after(after, _CHUNK):
        yield from filter(admits, chunk)
        after = chunk[-1]


def _take(ids: Iterator[str], count: int) -> list[str]:
    return [identifier for identifier, _ in zip(ids, range(count), strict=False)]
