"""SearchService, apart from its transport."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tashihiki.errors import ResourceExhaustedError, TashihikiError
from tashihiki.status import to_status
from tashihiki.v1 import composition_pb2, search_pb2
from tashihiki_server.bounds import bounded, check_batch
from tashihiki_server.collection.collection import Collection, State
from tashihiki_server.collection.nearest import Nearest
from tashihiki_server.deadline import check_deadline
from tashihiki_server.encoder.embedder import Embedder
from tashihiki_server.library import Library
from tashihiki_server.query.filter import filter_from_message
from tashihiki_server.query.message import read_query
from tashihiki_server.query.resolve import Resolution, Resolver
from tashihiki_server.service.messages import (
    struct,
    term_messages,
    unresolved_messages,
    vector_message,
)
from tashihiki_server.space.base import Composed

DEFAULT_LIMIT = 10
MAX_BATCH = 100
MAX_BATCH_BYTES = 16 * 2**20


@dataclass(frozen=True)
class _Answered:
    state: State
    resolution: Resolution
    composed: Composed


class SearchApi:
    """One method for each RPC: request in, response out, `TashihikiError` raised."""

    def __init__(self, library: Library, embedder: Embedder) -> None:
        self._library = library
        self._embedder = embedder

    def search(self, request: search_pb2.SearchRequest) -> search_pb2.SearchResponse:
        """Composes the query and looks its nearest items up."""
        limit = bounded(request.limit, DEFAULT_LIMIT, "limit")
        collection = self._library.collection(request.collection)
        condition = None
        if request.HasField("filter"):
            condition = filter_from_message(request.filter, "filter")
        answered = self._compose(collection, request.query, request.missing_items)
        excluded = set() if request.include_operands else answered.resolution.item_ids
        found = collection.nearest(
            answered.state, answered.composed.vector, limit, condition, excluded
        )
        return self._response(request, collection, answered, found)

    def batch_search(
        self, request: search_pb2.BatchSearchRequest
    ) -> search_pb2.BatchSearchResponse:
        """Answers each search, or says why not."""
        check_batch(len(request.requests), MAX_BATCH, "requests")
        response = search_pb2.BatchSearchResponse()
        size = 0
        for single in request.requests:
            check_deadline()
            response.results.append(self._one_of_batch(single, size))
            size += response.results[-1].ByteSize()
        return response

    def _one_of_batch(
        self, request: search_pb2.SearchRequest, size: int
    ) -> search_pb2.BatchSearchResult:
        try:
            if size > MAX_BATCH_BYTES:
                raise ResourceExhaustedError(
                    f"the answers before this one have {size} bytes together",
                    reason="RESPONSE_TOO_LARGE",
                    remedy="Send it in a batch of its own, or ask for fewer hits.",
                )
            return search_pb2.BatchSearchResult(response=self.search(request))
        except TashihikiError as error:
            return search_pb2.BatchSearchResult(error=to_status(error))

    def compose(self, request: search_pb2.ComposeRequest) -> search_pb2.ComposeResponse:
        """Composes the query."""
        collection = self._library.collection(request.collection)
        answered = self._compose(collection, request.query, request.missing_items)
        return search_pb2.ComposeResponse(
            vector=vector_message(answered.composed.vector),
            norm=answered.composed.norm,
            terms=term_messages(answered.resolution.terms, collection.vocabulary),
            unresolved_terms=unresolved_messages(answered.resolution.unresolved),
            generation=answered.state.generation,
        )

    def _compose(
        self,
        collection: Collection,
        query: composition_pb2.Query,
        missing: composition_pb2.MissingItems.ValueType,
    ) -> _Answered:
        resolver = Resolver(
            vocabulary=collection.vocabulary,
            dimension=collection.encoder.manifest.dimension,
            item_embedding=collection.embedding,
            embed=lambda data, field: self._embedder.embed(collection.encoder, data, field),
            bindings=query.bindings,
            skip_missing=missing == composition_pb2.MISSING_ITEMS_SKIP,
            expression=query.expression,
        )
        resolution = resolver.resolve(read_query(query))
        # Taken last, so that what the names were resolved against is in it.
        state = collection.state
        return _Answered(
            state, resolution, state.space.compose([term.term for term in resolution.terms])
        )

    def _response(
        self,
        request: search_pb2.SearchRequest,
        collection: Collection,
        answered: _Answered,
        found: Nearest,
    ) -> search_pb2.SearchResponse:
        vector = vector_message(answered.composed.vector) if request.include_vector else None
        route = search_pb2.SEARCH_ROUTE_EXACT if found.exact else search_pb2.SEARCH_ROUTE_INDEX
        return search_pb2.SearchResponse(
            hits=_hits(collection, answered, found, request.include_thumbnails),
            norm=answered.composed.norm,
            terms=term_messages(answered.resolution.terms, collection.vocabulary),
            unresolved_terms=unresolved_messages(answered.resolution.unresolved),
            generation=answered.state.generation,
            route=route,
            vector=vector,
        )


def _hits(
    collection: Collection, answered: _Answered, found: Nearest, thumbnails: bool
) -> list[search_pb2.Hit]:
    rows = answered.state.rows
    ids = [rows.id(int(row)) for row in found.rows]
    items = collection.catalogue.items(ids, thumbnails=thumbnails)
    vectors = rows.vectors[found.rows].astype(np.float64)
    contributions = vectors @ answered.composed.parts.astype(np.float64).T
    hits = []
    for number, (identifier, row) in enumerate(zip(ids, found.rows.tolist(), strict=True)):
        hit = search_pb2.Hit(
            id=identifier,
            similarity=float(found.similarities[number]),
            contributions=contributions[number].tolist(),
        )
        item = items.get(identifier)
        # What was written since the state was published must not contradict its filter.
        unchanged = item is not None and item.version == rows.version(row)
        hit.attributes.update(item.attributes if item and unchanged else rows.attributes(row))
        if item is not None:
            hit.metadata.CopyFrom(struct(item.metadata))
            hit.thumbnail = item.thumbnail
        hits.append(hit)
    return hits
