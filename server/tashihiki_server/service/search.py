"""SearchService, apart from its transport."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from tashihiki.errors import InvalidArgumentError, ResourceExhaustedError, TashihikiError
from tashihiki.status import to_status
from tashihiki.v1 import composition_pb2, search_pb2
from tashihiki_server.bounds import bounded, check_batch
from tashihiki_server.collection.collection import Collection, State
from tashihiki_server.deadline import check_deadline
from tashihiki_server.encoder.embedder import Embedder
from tashihiki_server.library import Library
from tashihiki_server.query.filter import filter_from_message
from tashihiki_server.query.message import read_query
from tashihiki_server.query.resolve import Resolution, Resolver
from tashihiki_server.service.blocks import block_messages, block_shares
from tashihiki_server.service.messages import (
    struct,
    term_messages,
    unresolved_messages,
    vector_message,
)
from tashihiki_server.service.rerank import (
    CANDIDATES,
    Ranking,
    reranked,
    reranks,
)
from tashihiki_server.space.base import AttributeMode, Composed, SpaceTerm

DEFAULT_LIMIT = 10
MAX_BATCH = 100
MAX_BATCH_BYTES = 16 * 2**20

_MODES: Mapping[int, AttributeMode] = {
    composition_pb2.ATTRIBUTE_MODE_UNSPECIFIED: AttributeMode.REPLACE,
    composition_pb2.ATTRIBUTE_MODE_REPLACE: AttributeMode.REPLACE,
    composition_pb2.ATTRIBUTE_MODE_ADD: AttributeMode.ADD,
}
_RERANK: Mapping[int, bool | None] = {
    search_pb2.RERANK_UNSPECIFIED: None,
    search_pb2.RERANK_OFF: False,
    search_pb2.RERANK_ON: True,
}
_Choice = TypeVar("_Choice")


@dataclass(frozen=True)
class _Answered:
    state: State
    resolution: Resolution
    terms: Sequence[SpaceTerm]
    mode: AttributeMode
    composed: Composed

    def block_messages(self, collection: Collection) -> list[composition_pb2.ComposedBlock]:
        return block_messages(self.state.space.blocks, self.composed, collection.vocabulary)


class SearchApi:
    """One method for each RPC: request in, response out, `TashihikiError` raised."""

    def __init__(self, library: Library, embedder: Embedder) -> None:
        self._library = library
        self._embedder = embedder

    def search(self, request: search_pb2.SearchRequest) -> search_pb2.SearchResponse:
        """Composes the query and looks its nearest items up."""
        limit = bounded(request.limit, DEFAULT_LIMIT, "limit")
        collection = self._library.collection(request.collection)
        choice = _choice(_RERANK, request.rerank, "rerank")
        condition = None
        if request.HasField("filter"):
            condition = filter_from_message(request.filter, "filter")
        answered = self._compose(collection, request)
        rerank = reranks(answered.state, answered.terms, answered.mode, choice)
        excluded = set() if request.include_operands else answered.resolution.item_ids
        found = collection.nearest(
            answered.state,
            answered.composed.vector,
            max(limit, CANDIDATES) if rerank else limit,
            condition,
            excluded,
        )
        ranking = Ranking(found)
        if rerank:
            ranking = reranked(answered.state, answered.terms, answered.mode, found, limit)
        return self._response(request, collection, answered, ranking)

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
        answered = self._compose(collection, request)
        return search_pb2.ComposeResponse(
            vector=vector_message(answered.composed.vector),
            norm=answered.composed.norm,
            terms=term_messages(answered.resolution.terms, collection.vocabulary),
            unresolved_terms=unresolved_messages(answered.resolution.unresolved),
            generation=answered.state.generation,
            blocks=answered.block_messages(collection),
        )

    def _compose(
        self, collection: Collection, request: search_pb2.SearchRequest | search_pb2.ComposeRequest
    ) -> _Answered:
        query = request.query
        mode = _choice(_MODES, request.attribute_mode, "attribute_mode")
        resolver = Resolver(
            vocabulary=collection.vocabulary,
            dimension=collection.encoder.manifest.dimension,
            item_embedding=collection.embedding,
            embed=lambda data, field: self._embedder.embed(collection.encoder, data, field),
            bindings=query.bindings,
            skip_missing=request.missing_items == composition_pb2.MISSING_ITEMS_SKIP,
            expression=query.expression,
        )
        resolution = resolver.resolve(read_query(query))
        # Taken last, so that what the names were resolved against is in it.
        state = collection.state
        terms = [term.term for term in resolution.terms]
        return _Answered(state, resolution, terms, mode, state.space.compose(terms, mode))

    def _response(
        self,
        request: search_pb2.SearchRequest,
        collection: Collection,
        answered: _Answered,
        ranking: Ranking,
    ) -> search_pb2.SearchResponse:
        vector = vector_message(answered.composed.vector) if request.include_vector else None
        exact = ranking.found.exact
        route = search_pb2.SEARCH_ROUTE_EXACT if exact else search_pb2.SEARCH_ROUTE_INDEX
        return search_pb2.SearchResponse(
            hits=_hits(collection, answered, ranking, request.include_thumbnails),
            norm=answered.composed.norm,
            terms=term_messages(answered.resolution.terms, collection.vocabulary),
            unresolved_terms=unresolved_messages(answered.resolution.unresolved),
            generation=answered.state.generation,
            route=route,
            vector=vector,
            blocks=answered.block_messages(collection),
        )


def _hits(
    collection: Collection, answered: _Answered, ranking: Ranking, thumbnails: bool
) -> list[search_pb2.Hit]:
    rows, composed, found = answered.state.rows, answered.composed, ranking.found
    ids = [rows.id(int(row)) for row in found.rows]
    items = collection.catalogue.items(ids, thumbnails=thumbnails)
    vectors = rows.vectors[found.rows].astype(np.float64)
    contributions = composed.scale * (vectors @ composed.parts.astype(np.float64).T)
    similarities = np.clip(composed.scale * found.similarities, -1.0, 1.0)
    shares = block_shares(answered.state.space.blocks, composed, vectors)
    hits = []
    for number, (identifier, row) in enumerate(zip(ids, found.rows.tolist(), strict=True)):
        hit = search_pb2.Hit(
            id=identifier,
            similarity=float(similarities[number]),
            contributions=contributions[number].tolist(),
            blocks=shares.messages(number),
        )
        if ranking.posteriors is not None:
            hit.posterior = float(ranking.posteriors[number])
        item = items.get(identifier)
        # What was written since the state was published must not contradict its filter.
        unchanged = item is not None and item.version == rows.version(row)
        hit.attributes.update(item.attributes if item and unchanged else rows.attributes(row))
        if item is not None:
            hit.metadata.CopyFrom(struct(item.metadata))
            hit.thumbnail = item.thumbnail
        hits.append(hit)
    return hits


def _choice(choices: Mapping[int, _Choice], chosen: int, field: str) -> _Choice:
    if chosen not in choices:
        raise InvalidArgumentError(
            f"no choice {chosen}",
            reason="CHOICE_UNKNOWN",
            field=field,
            remedy=f"Use one of {min(choices)} to {max(choices)}, as the contract names them.",
        )
    return choices[chosen]
