"""Everything that a server says of a collection, to compare with a ledger."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import grpc
import numpy as np

from ledger import Content, Contents, content_of
from server_process import SECONDS
from tashihiki.status import from_rpc_error
from tashihiki.v1 import catalog_pb2, catalog_pb2_grpc, composition_pb2, search_pb2, search_pb2_grpc

SIMILARITY = 2e-6


class Answers(Protocol):
    """A server that can be called, in whatever process."""

    @property
    def catalog(self) -> catalog_pb2_grpc.CatalogServiceStub: ...
    @property
    def search(self) -> search_pb2_grpc.SearchServiceStub: ...


def everything(server: Answers, collection: str) -> Contents:
    """Every item, by id."""
    return {item.id: content_of(item) for item in every_item(server, collection)}


def every_item(server: Answers, collection: str) -> list[catalog_pb2.Item]:
    """Every item with its vector and its thumbnail."""
    found: list[catalog_pb2.Item] = []
    token = ""
    while True:
        request = catalog_pb2.ListItemsRequest(
            collection=collection,
            page_size=1000,
            page_token=token,
            include_vectors=True,
            include_thumbnails=True,
        )
        page = server.catalog.ListItems(request, timeout=SECONDS)
        found += page.items
        token = page.next_page_token
        if not token:
            return found


def one_item(server: Answers, collection: str, identifier: str) -> Content | None:
    """An item, or None where there is none."""
    request = catalog_pb2.GetItemRequest(collection=collection, id=identifier, include_vector=True)
    try:
        return content_of(server.catalog.GetItem(request, timeout=SECONDS).item)
    except grpc.RpcError as error:
        if from_rpc_error(error).code is grpc.StatusCode.NOT_FOUND:
            return None
        raise


def around(
    server: Answers, collection: str, *vectors: np.ndarray, limit: int = 10
) -> search_pb2.SearchResponse:
    """The items nearest to the sum of vectors."""
    terms = [
        composition_pb2.Term(vector=composition_pb2.Vector(values=vector.tolist()))
        for vector in vectors
    ]
    query = composition_pb2.Query(composition=composition_pb2.Composition(terms=terms))
    request = search_pb2.SearchRequest(collection=collection, query=query, limit=limit)
    response: search_pb2.SearchResponse = server.search.Search(request, timeout=SECONDS)
    return response


def is_nearest_to_itself(server: Answers, collection: str, identifier: str, own: Content) -> bool:
    """Whether the item's own vector finds it first, in every space."""
    hits = around(server, collection, own.array(), limit=1).hits
    if not hits:
        return False
    hit = hits[0]
    return (
        hit.id == identifier
        and tuple(sorted(hit.attributes.items())) == own.attributes
        and abs(hit.similarity - 1) < SIMILARITY
    )


def ranking(contents: Mapping[str, Content], *vectors: np.ndarray) -> list[tuple[str, float]]:
    """All items in the order of their cosine to a sum of vectors, compared one by one."""
    query = np.sum([vector.astype(np.float64) for vector in vectors], axis=0)
    query /= np.linalg.norm(query)
    ids = sorted(contents)
    rows = np.array([contents[name].array() for name in ids], dtype=np.float64)
    if not ids:
        return []
    similarities = rows @ query / np.linalg.norm(rows, axis=1)
    order = np.lexsort((ids, -np.round(similarities, 9)))
    return [(ids[n], float(similarities[n])) for n in order]


def is_ranking(response: search_pb2.SearchResponse, wanted: list[tuple[str, float]]) -> bool:
    """Whether the hits are the first of a ranking; nearly equal ones may change places."""
    hits = response.hits
    if len(hits) > len(wanted):
        return False
    similar = dict(wanted)
    return all(
        hit.id in similar
        and abs(hit.similarity - similar[hit.id]) < SIMILARITY
        and abs(hit.similarity - at) < SIMILARITY
        for hit, (_, at) in zip(hits, wanted, strict=False)
    ) and len({hit.id for hit in hits}) == len(hits)
