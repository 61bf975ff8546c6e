"""CatalogService in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from tashihiki.errors import NotFoundError, TashihikiError
from tashihiki.status import to_status
from tashihiki.v1 import catalog_pb2, composition_pb2, search_pb2
from tashihiki_server.bounds import bounded, check_attributes, check_batch, check_id
from tashihiki_server.catalogue.base import ItemRecord
from tashihiki_server.fake.collection import FakeCollection, FakeSettings, Kept
from tashihiki_server.fake.collections import ENCODER, FakeCollections
from tashihiki_server.fake.pictures import check_picture, embedding_of, thumbnail_of
from tashihiki_server.query.filter import admitted, filter_from_message
from tashihiki_server.query.resolve import unit_vector
from tashihiki_server.service.creation import SPACES, aliases_of, space_of, target_recall_of
from tashihiki_server.service.facet_summaries import facet_summaries
from tashihiki_server.service.item_page import fill_page
from tashihiki_server.service.messages import (
    item_message,
    metadata_dict,
    page_token,
    read_page_token,
    timestamp,
    vector_message,
    vector_values,
)
from tashihiki_server.service.repeated import check_request_id, write_request

_PAGE = 100
_MAX_ITEMS = 1000
_MAX_IMAGES = 100
_SPACE_KINDS = {name: kind for kind, name in SPACES.items()}


class FakeCatalog:
    """One method for each RPC: request in, response out, `TashihikiError` raised."""

    def __init__(self, collections: FakeCollections) -> None:
        self._collections = collections

    # Collections

    def create_collection(
        self, request: catalog_pb2.CreateCollectionRequest
    ) -> catalog_pb2.CreateCollectionResponse:
        """Makes an empty collection."""
        wanted = request.collection
        check_request_id(request.request_id)
        settings = FakeSettings(
            wanted.name,
            space_of(wanted.space),
            wanted.space.keep_negative,
            aliases_of(wanted),
            target_recall_of(wanted.target_recall),
        )
        made = self._collections.create(
            settings, encoder=wanted.encoder, request_id=request.request_id
        )
        return catalog_pb2.CreateCollectionResponse(collection=_collection_message(made))

    def get_collection(
        self, request: catalog_pb2.GetCollectionRequest
    ) -> catalog_pb2.GetCollectionResponse:
        """A collection's settings and figures."""
        collection = self._collections.find(request.name)
        message = _collection_message(collection)
        message.index.route = search_pb2.SEARCH_ROUTE_EXACT
        message.index.newer_count = len(collection.items)
        return catalog_pb2.GetCollectionResponse(collection=message)

    def list_collections(
        self, request: catalog_pb2.ListCollectionsRequest
    ) -> catalog_pb2.ListCollectionsResponse:
        """Collections by name."""
        size = bounded(request.page_size, _PAGE, "page_size")
        after = read_page_token(request.page_token, "collections")
        rest = [name for name in self._collections.names() if name > after]
        page = rest[:size]
        return catalog_pb2.ListCollectionsResponse(
            collections=[_collection_message(self._collections.find(name)) for name in page],
            next_page_token=page_token("collections", page[-1]) if len(rest) > size else "",
        )

    def delete_collection(
        self, request: catalog_pb2.DeleteCollectionRequest
    ) -> catalog_pb2.DeleteCollectionResponse:
        """Deletes a collection with its items."""
        self._collections.delete(request.name, missing_ok=request.allow_missing)
        return catalog_pb2.DeleteCollectionResponse()

    # Items

    def upsert_items(
        self, request: catalog_pb2.UpsertItemsRequest
    ) -> catalog_pb2.UpsertItemsResponse:
        """Adds or replaces items."""
        check_batch(len(request.items), _MAX_ITEMS, "items")
        collection = self._collections.find(request.collection)
        write = write_request(request)
        if (answer := collection.answered(write)) is not None:
            return catalog_pb2.UpsertItemsResponse.FromString(answer)
        response = _upsert(collection, request)
        if write is not None:
            collection.answers[write.id] = write.digest, response.SerializeToString()
        return response

    def get_item(self, request: catalog_pb2.GetItemRequest) -> catalog_pb2.GetItemResponse:
        """One item."""
        found = self._collections.find(request.collection).items.get(request.id)
        if found is None:
            raise NotFoundError(
                f"no item {request.id!r}",
                reason="UNKNOWN_ITEM",
                field="id",
                remedy="Check the id; ListItems returns those that are there.",
            )
        item = _item_message(found, request.include_vector, request.include_thumbnail)
        return catalog_pb2.GetItemResponse(item=item)

    def list_items(self, request: catalog_pb2.ListItemsRequest) -> catalog_pb2.ListItemsResponse:
        """Items by id, those that the filter admits."""
        size = bounded(request.page_size, _PAGE, "page_size")
        collection = self._collections.find(request.collection)
        scope = f"items/{request.collection}"
        after = read_page_token(request.page_token, scope)
        ids = [identifier for identifier in _admitted(collection, request) if identifier > after]
        response = catalog_pb2.ListItemsResponse()
        last = fill_page(
            response,
            ids,
            size,
            lambda some: (
                _item_message(
                    collection.items[identifier],
                    request.include_vectors,
                    request.include_thumbnails,
                )
                for identifier in some
            ),
        )
        if last:
            response.next_page_token = page_token(scope, last)
        return response

    def delete_items(
        self, request: catalog_pb2.DeleteItemsRequest
    ) -> catalog_pb2.DeleteItemsResponse:
        """Deletes items by id."""
        check_batch(len(request.ids), _MAX_ITEMS, "ids")
        collection = self._collections.find(request.collection)
        write = write_request(request)
        if (answer := collection.answered(write)) is not None:
            return catalog_pb2.DeleteItemsResponse.FromString(answer)
        ids = list(dict.fromkeys(request.ids))
        skip = request.missing_items == composition_pb2.MISSING_ITEMS_SKIP
        missing = collection.delete(ids, skip_missing=skip)
        collection.generation += 1
        response = catalog_pb2.DeleteItemsResponse(
            deleted_count=len(ids) - len(missing), missing_ids=missing
        )
        if write is not None:
            collection.answers[write.id] = write.digest, response.SerializeToString()
        return response

    # Attributes and embeddings

    def list_attributes(
        self, request: catalog_pb2.ListAttributesRequest
    ) -> catalog_pb2.ListAttributesResponse:
        """Facets, values and member counts."""
        collection = self._collections.find(request.collection)
        return catalog_pb2.ListAttributesResponse(
            facets=facet_summaries(collection.vocabulary, len(collection.items), request.facet)
        )

    def embed(self, request: catalog_pb2.EmbedRequest) -> catalog_pb2.EmbedResponse:
        """Embeddings of pictures, made up from their content."""
        check_batch(len(request.images), _MAX_IMAGES, "images")
        dimension = self._collections.find(request.collection).dimension
        for number, data in enumerate(request.images):
            check_picture(data, f"images[{number}]")
        return catalog_pb2.EmbedResponse(
            vectors=[vector_message(embedding_of(data, dimension)) for data in request.images],
            encoder=ENCODER,
        )


def _upsert(
    collection: FakeCollection, request: catalog_pb2.UpsertItemsRequest
) -> catalog_pb2.UpsertItemsResponse:
    records: dict[int, ItemRecord] = {}
    faults: dict[int, TashihikiError] = {}
    for number, item in enumerate(request.items):
        try:
            records[number] = _record(collection, item, f"items[{number}]")
        except TashihikiError as error:
            faults[number] = error
    if not faults or request.allow_partial:
        faults |= collection.faults(records)
    if faults and not request.allow_partial:
        raise next(iter(faults.values()))
    etags = [""] * len(request.items)
    unchanged = pictures = 0
    for number, record in records.items():
        if number not in faults:
            unchanged += not collection.write(record)
            pictures += bool(record.image_sha256) and record.embedding is None
            etags[number] = collection.etag(record.id)
    collection.generation += 1
    return catalog_pb2.UpsertItemsResponse(
        upserted_count=len(request.items) - len(faults),
        errors=[
            catalog_pb2.ItemError(
                index=number, id=request.items[number].id, error=to_status(faults[number])
            )
            for number in sorted(faults)
        ],
        unchanged_count=unchanged,
        unchanged_image_count=pictures,
        etags=etags,
    )


def _record(collection: FakeCollection, item: catalog_pb2.ItemInput, where: str) -> ItemRecord:
    check_id(item.id, f"{where}.id")
    check_attributes(item.attributes, f"{where}.attributes")
    embedding, thumbnail, digest = None, b"", b""
    if item.WhichOneof("content") == "image":
        check_picture(item.image, f"{where}.image")
        digest = hashlib.sha256(item.image).digest()
        kept = collection.items.get(item.id)
        if kept is None or kept.item.image_sha256 != digest:
            embedding = embedding_of(item.image, collection.dimension)
            thumbnail = thumbnail_of(item.image)
    elif item.WhichOneof("content") == "vector":
        values = vector_values(item.vector)
        embedding = unit_vector(values, collection.dimension, f"{where}.vector")
    metadata = metadata_dict(item.metadata, f"{where}.metadata")
    return ItemRecord(
        item.id, dict(item.attributes), metadata, embedding, thumbnail, digest, item.etag
    )


def _admitted(collection: FakeCollection, request: catalog_pb2.ListItemsRequest) -> Sequence[str]:
    if not request.HasField("filter"):
        return sorted(collection.items)
    rows = collection.rows
    mask = admitted(filter_from_message(request.filter, "filter"), rows) & rows.alive
    return sorted(rows.id(int(row)) for row in mask.nonzero()[0])


def _item_message(kept: Kept, vector: bool, thumbnail: bool) -> catalog_pb2.Item:
    message = item_message(kept.item, kept.embedding if vector else None)
    if not thumbnail:
        message.ClearField("thumbnail")
    return message


def _collection_message(collection: FakeCollection) -> catalog_pb2.Collection:
    settings = collection.settings
    space = collection.space
    return catalog_pb2.Collection(
        name=settings.name,
        encoder=ENCODER,
        space=catalog_pb2.Space(
            kind=_SPACE_KINDS[settings.space], keep_negative=settings.keep_negative
        ),
        aliases=[
            catalog_pb2.Alias(facet=alias.facet, alias=alias.alias, value=alias.value)
            for alias in settings.aliases
        ],
        dimension=collection.dimension,
        item_count=len(collection.items),
        generation=collection.generation,
        create_time=timestamp(collection.create_time),
        space_in_force=_SPACE_KINDS["factored" if space.factored else "sum"],
        target_recall=settings.target_recall,
    )
