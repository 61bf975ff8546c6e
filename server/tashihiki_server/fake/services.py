"""All services of a fake server, apart from their transport."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from google.protobuf.message import Message

from tashihiki.v1 import catalog_pb2
from tashihiki_server.bounds import check_attributes
from tashihiki_server.fake.catalog import FakeCatalog
from tashihiki_server.fake.collection import FakeSettings, Sight
from tashihiki_server.fake.collections import FakeCollections
from tashihiki_server.fake.pictures import check_picture, embedding_of
from tashihiki_server.fake.refusal import NotInFakeError
from tashihiki_server.fake.search import FakeSearch
from tashihiki_server.service.messages import vector_message


class FakeServices:
    """Answers one call at a time, whatever thread it comes from."""

    def __init__(self, dimension: int) -> None:
        """No collections yet, of embeddings of this length."""
        self._collections = FakeCollections(dimension)
        self._lock = threading.Lock()
        search, catalog = FakeSearch(self._collections), FakeCatalog(self._collections)
        self._catalog = catalog
        self._methods: Mapping[str, Callable[[Any], Message]] = {
            "Search": search.search,
            "BatchSearch": search.batch_search,
            "Compose": search.compose,
            "CreateCollection": catalog.create_collection,
            "GetCollection": catalog.get_collection,
            "ListCollections": catalog.list_collections,
            "DeleteCollection": catalog.delete_collection,
            "UpsertItems": catalog.upsert_items,
            "GetItem": catalog.get_item,
            "ListItems": catalog.list_items,
            "DeleteItems": catalog.delete_items,
            "ListAttributes": catalog.list_attributes,
            "Embed": catalog.embed,
        }

    def answer(self, method: str, request: Message) -> Message:
        """The response of a method, by its name without the service.

        Raises:
            TashihikiError: as the service; UNIMPLEMENTED, reason NOT_IN_FAKE, for what is not here.
        """
        if method not in self._methods:
            raise NotInFakeError(method)
        with self._lock:
            return self._methods[method](request)

    def load(self, collection: str, items: Sequence[catalog_pb2.ItemInput]) -> None:
        """Adds items, also such without a picture, to a collection, which is made if need be.

        Raises:
            TashihikiError: as UpsertItems.
        """
        with self._lock:
            if collection not in self._collections:
                self._collections.create(FakeSettings(collection))
            upsert = catalog_pb2.UpsertItemsRequest(collection=collection, items=items)
            for item in upsert.items:
                if item.WhichOneof("content") is None:
                    content = b"item\0" + item.id.encode()
                    embedding = embedding_of(content, self._collections.dimension)
                    item.vector.CopyFrom(vector_message(embedding))
            self._catalog.upsert_items(upsert)

    def recognise(self, picture: bytes, attributes: Mapping[str, str]) -> None:
        """Lets a picture that no item has show these attributes, facet to value.

        Raises:
            InvalidArgumentError: ATTRIBUTE_INVALID, or a fault of the picture.
        """
        check_picture(picture, "picture")
        check_attributes(attributes, "attributes")
        embedding = embedding_of(picture, self._collections.dimension)
        with self._lock:
            self._collections.sights.append(Sight(embedding, dict(attributes)))
