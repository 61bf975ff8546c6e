"""Verbs as data: the method, the request and how to read the answer.

Both clients run these; they differ only in how they wait.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

import numpy as np
from google.protobuf import wrappers_pb2
from google.protobuf.message import Message
from numpy.typing import ArrayLike, NDArray

from tashihiki import _requests, _responses, status
from tashihiki._image import ImageSource
from tashihiki.catalog import (
    Collection,
    DeleteResult,
    FacetSummary,
    ItemError,
    Space,
    SpaceKind,
    StoredItem,
    UpsertResult,
)
from tashihiki.errors import TashihikiError
from tashihiki.query import Condition, MissingItems, Mode, Query, Search
from tashihiki.results import ComposeResult, HealthStatus, SearchResult
from tashihiki.v1 import catalog_pb2, search_pb2

Result = TypeVar("Result")


@dataclass(frozen=True)
class Call(Generic[Result]):
    """One remote call; `path` is the method's full name."""

    path: str
    request: Message
    response_type: type[Message]
    read: Callable[[Any], Result]


@dataclass(frozen=True)
class Page(Generic[Result]):
    """Some entries of a list, and the token of the next page, "" on the last."""

    entries: tuple[Result, ...]
    next_token: str


def search(search: Search) -> Call[SearchResult]:
    """Search."""
    request = _requests.search_request(search)
    return _search("Search", request, search_pb2.SearchResponse, _responses.search_result)


def next_page(call: Call[SearchResult], token: str) -> Call[SearchResult]:
    """The search of `call`, going on where `token` says."""
    assert isinstance(call.request, search_pb2.SearchRequest)
    request = search_pb2.SearchRequest()
    request.CopyFrom(call.request)
    request.page_token = token
    return replace(call, request=request)


def batch_search(searches: Sequence[Search]) -> Call[list[SearchResult | TashihikiError]]:
    """BatchSearch."""
    request = search_pb2.BatchSearchRequest(requests=map(_requests.search_request, searches))
    return _search(
        "BatchSearch",
        request,
        search_pb2.BatchSearchResponse,
        lambda response: _responses.batch_results(response, request),
    )


def compose(
    collection: str,
    query: Query,
    this_item: str | None,
    this_image: ImageSource | None,
    images: Mapping[str, ImageSource] | None,
    vectors: Mapping[str, ArrayLike] | None,
    missing_items: MissingItems,
    mode: Mode,
    timings: bool,
) -> Call[ComposeResult]:
    """Compose."""
    request = search_pb2.ComposeRequest(
        collection=collection,
        query=_requests.query_message(query, this_item, this_image, images, vectors),
        missing_items=_requests.missing_items(missing_items),
        attribute_mode=_requests.attribute_mode(mode),
        include_timings=timings,
    )
    return _search("Compose", request, search_pb2.ComposeResponse, _responses.compose_result)


def create_collection(
    name: str,
    encoder: str,
    space: Space | SpaceKind,
    aliases: Mapping[str, Mapping[str, str]] | None,
    target_recall: float | None,
) -> Call[Collection]:
    """CreateCollection."""
    return _catalog(
        "CreateCollection",
        catalog_pb2.CreateCollectionRequest(
            collection=_requests.collection_message(name, encoder, space, aliases, target_recall),
            request_id=_request_id(),
        ),
        catalog_pb2.CreateCollectionResponse,
        lambda response: _responses.collection(response.collection),
    )


def get_collection(name: str) -> Call[Collection]:
    """GetCollection."""
    return _catalog(
        "GetCollection",
        catalog_pb2.GetCollectionRequest(name=name),
        catalog_pb2.GetCollectionResponse,
        lambda response: _responses.collection(response.collection),
    )


def list_collections(token: str) -> Call[Page[Collection]]:
    """One page of ListCollections."""
    return _catalog(
        "ListCollections",
        catalog_pb2.ListCollectionsRequest(page_token=token),
        catalog_pb2.ListCollectionsResponse,
        lambda response: Page(
            tuple(map(_responses.collection, response.collections)), response.next_page_token
        ),
    )


def delete_collection(name: str, allow_missing: bool) -> Call[None]:
    """DeleteCollection."""
    return _catalog(
        "DeleteCollection",
        catalog_pb2.DeleteCollectionRequest(name=name, allow_missing=allow_missing),
        catalog_pb2.DeleteCollectionResponse,
        lambda response: None,
    )


def upsert(
    collection: str, items: Sequence[catalog_pb2.ItemInput], allow_partial: bool
) -> Call[UpsertResult]:
    """One batch of UpsertItems; error indexes count from the batch's start."""
    return _catalog(
        "UpsertItems",
        catalog_pb2.UpsertItemsRequest(
            collection=collection,
            items=items,
            allow_partial=allow_partial,
            request_id=_request_id(),
        ),
        catalog_pb2.UpsertItemsResponse,
        _upsert_result,
    )


def get_item(
    collection: str, item_id: str, include_vector: bool, include_thumbnail: bool
) -> Call[StoredItem]:
    """GetItem."""
    return _catalog(
        "GetItem",
        catalog_pb2.GetItemRequest(
            collection=collection,
            id=item_id,
            include_vector=include_vector,
            include_thumbnail=include_thumbnail,
        ),
        catalog_pb2.GetItemResponse,
        lambda response: _responses.stored_item(response.item),
    )


def list_items(
    collection: str,
    where: Condition | None,
    include_vectors: bool,
    include_thumbnails: bool,
    page_size: int,
    token: str,
) -> Call[Page[StoredItem]]:
    """One page of ListItems."""
    return _catalog(
        "ListItems",
        catalog_pb2.ListItemsRequest(
            collection=collection,
            page_size=page_size,
            page_token=token,
            filter=None if where is None else _requests.filter_message(where),
            include_vectors=include_vectors,
            include_thumbnails=include_thumbnails,
        ),
        catalog_pb2.ListItemsResponse,
        lambda response: Page(
            tuple(map(_responses.stored_item, response.items)), response.next_page_token
        ),
    )


def delete_items(
    collection: str, ids: Sequence[str], missing_items: MissingItems
) -> Call[DeleteResult]:
    """One batch of DeleteItems."""
    return _catalog(
        "DeleteItems",
        catalog_pb2.DeleteItemsRequest(
            collection=collection,
            ids=ids,
            missing_items=_requests.missing_items(missing_items),
            request_id=_request_id(),
        ),
        catalog_pb2.DeleteItemsResponse,
        lambda response: DeleteResult(response.deleted_count, tuple(response.missing_ids)),
    )


def attributes(collection: str, facet: str) -> Call[tuple[FacetSummary, ...]]:
    """ListAttributes."""
    return _catalog(
        "ListAttributes",
        catalog_pb2.ListAttributesRequest(collection=collection, facet=facet),
        catalog_pb2.ListAttributesResponse,
        lambda response: tuple(map(_responses.facet_summary, response.facets)),
    )


def embed(collection: str, images: Sequence[bytes]) -> Call[NDArray[np.float32]]:
    """One batch of Embed."""
    return _catalog(
        "Embed",
        catalog_pb2.EmbedRequest(collection=collection, images=images),
        catalog_pb2.EmbedResponse,
        lambda response: _responses.matrix(response.vectors),
    )


def health() -> Call[HealthStatus]:
    """The standard health check of the whole server."""
    # These wrappers have the layout of HealthCheckRequest and HealthCheckResponse, whose
    # own package would be one more dependency of every caller.
    return Call(
        "/grpc.health.v1.Health/Check",
        wrappers_pb2.StringValue(),
        wrappers_pb2.Int32Value,
        lambda response: HealthStatus(response.value if response.value in (1, 2) else 0),
    )


def _search(
    method: str, request: Message, response_type: type[Message], read: Callable[[Any], Result]
) -> Call[Result]:
    return Call(f"/tashihiki.v1.SearchService/{method}", request, response_type, read)


def _catalog(
    method: str, request: Message, response_type: type[Message], read: Callable[[Any], Result]
) -> Call[Result]:
    return Call(f"/tashihiki.v1.CatalogService/{method}", request, response_type, read)


def _upsert_result(response: catalog_pb2.UpsertItemsResponse) -> UpsertResult:
    errors = tuple(
        ItemError(error.index, error.id, status.from_status(error.error))
        for error in response.errors
    )
    return UpsertResult(
        response.upserted_count,
        errors,
        response.unchanged_count,
        response.unchanged_image_count,
        tuple(response.etags),
    )


def _request_id() -> str:
    # gRPC repeats a call that may have been carried out; the server knows it again by this.
    return os.urandom(16).hex()
