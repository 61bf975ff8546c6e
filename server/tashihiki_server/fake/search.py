"""SearchService in memory: every item is compared."""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tashihiki.errors import FailedPreconditionError, InvalidArgumentError
from tashihiki.v1 import composition_pb2, search_pb2
from tashihiki_server.collection.rows import UNLABELLED, RowsView
from tashihiki_server.fake.collection import FakeCollection
from tashihiki_server.fake.collections import FakeCollections
from tashihiki_server.fake.pictures import check_picture, embedding_of
from tashihiki_server.fake.refusal import NotInFakeError
from tashihiki_server.fake.space import FakeSpace
from tashihiki_server.query.filter import Filter, admitted, filter_from_message
from tashihiki_server.query.message import read_query
from tashihiki_server.query.nearest_id import nearest_id
from tashihiki_server.query.resolve import Resolution, Resolver
from tashihiki_server.service.batch import answer_batch
from tashihiki_server.service.hits.blocks import block_messages, block_shares
from tashihiki_server.service.hits.options import SearchOptions, read_mode, read_options
from tashihiki_server.service.messages import (
    page_token,
    read_page_token,
    term_messages,
    unresolved_messages,
    vector_message,
)
from tashihiki_server.space.base import Composed, EmbeddingTerm, SpaceTerm, Vectors


@dataclass(frozen=True)
class _Asked:
    """A query composed in a space, and what responses tell of it."""

    collection: FakeCollection
    space: FakeSpace
    composed: Composed
    terms: Sequence[composition_pb2.ResolvedTerm]
    unresolved: Sequence[composition_pb2.UnresolvedTerm]
    item_ids: frozenset[str]

    @property
    def blocks(self) -> list[composition_pb2.ComposedBlock]:
        return block_messages(self.space.blocks, self.composed, self.collection.vocabulary)


@dataclass(frozen=True)
class _Found:
    """Rows in the order in which they are hits, their gallery vectors and similarities."""

    rows: NDArray[np.int64]
    vectors: NDArray[np.float64]
    similarities: NDArray[np.float64]

    def at(self, places: NDArray[np.int64] | NDArray[np.bool_] | slice) -> _Found:
        return _Found(self.rows[places], self.vectors[places], self.similarities[places])


class FakeSearch:
    """One method for each RPC: request in, response out, `TashihikiError` raised."""

    def __init__(self, collections: FakeCollections) -> None:
        self._collections = collections
        self._kept: list[_Asked] = []

    def search(self, request: search_pb2.SearchRequest) -> search_pb2.SearchResponse:
        """Composes the query and compares every item."""
        start = time.perf_counter()
        collection = self._collections.find(request.collection)
        options = read_options(request)
        if options.rerank:
            raise NotInFakeError("re-ranking", field="rerank")
        if options.balance is not None:
            raise NotInFakeError("diversity", field="diversity")
        condition = None
        if request.HasField("filter"):
            condition = filter_from_message(request.filter, "filter")
        number, after = -1, None
        if request.page_token:
            number, after = self._place(request)
            asked = self._kept[number]
            if asked.collection is not collection or asked.space != collection.space:
                raise _expired()
        else:
            asked = self._asked(collection, request)
        found = _found(asked, request, condition, options, after)
        shown = found.at(slice(options.limit))
        response = _response(asked, request, shown)
        if len(found.rows) > options.limit and options.grouping is None:
            if number < 0:
                number = len(self._kept)
                self._kept.append(asked)
            response.next_page_token = _token(request, number, response.hits[-1])
        if request.include_timings:
            response.timings.total_seconds = time.perf_counter() - start
        return response

    def _place(self, request: search_pb2.SearchRequest) -> tuple[int, tuple[float, str]]:
        try:
            number, similarity, identifier = json.loads(
                read_page_token(request.page_token, _scope(request))
            )
        except InvalidArgumentError as error:
            error.remedy = (
                "Use next_page_token as it was returned, in the same request but for limit."
            )
            raise
        if number >= len(self._kept):
            raise _expired()
        return number, (similarity, identifier)

    def batch_search(
        self, request: search_pb2.BatchSearchRequest
    ) -> search_pb2.BatchSearchResponse:
        """Answers each search, or says why not."""
        return answer_batch(request, self._untimed)

    def _untimed(self, request: search_pb2.SearchRequest) -> search_pb2.SearchResponse:
        response = self.search(request)
        response.ClearField("timings")
        return response

    def compose(self, request: search_pb2.ComposeRequest) -> search_pb2.ComposeResponse:
        """Composes the query."""
        start = time.perf_counter()
        collection = self._collections.find(request.collection)
        asked = self._asked(collection, request)
        response = search_pb2.ComposeResponse(
            vector=vector_message(asked.composed.vector),
            norm=asked.composed.norm,
            terms=asked.terms,
            unresolved_terms=asked.unresolved,
            generation=collection.generation,
            blocks=asked.blocks,
        )
        if request.include_timings:
            response.timings.total_seconds = time.perf_counter() - start
        return response

    def _asked(
        self,
        collection: FakeCollection,
        request: search_pb2.SearchRequest | search_pb2.ComposeRequest,
    ) -> _Asked:
        space = collection.space
        resolution = _resolved(collection, space, request)
        mode = read_mode(request)
        terms = [_in_gallery(term.term, collection, space) for term in resolution.terms]
        return _Asked(
            collection,
            space,
            space.compose(terms, mode),
            term_messages(resolution.terms, collection.vocabulary),
            unresolved_messages(resolution.unresolved),
            frozenset(resolution.item_ids),
        )


def _resolved(
    collection: FakeCollection,
    space: FakeSpace,
    request: search_pb2.SearchRequest | search_pb2.ComposeRequest,
) -> Resolution:
    def embed(data: bytes, field: str) -> Vectors:
        check_picture(data, field)
        return embedding_of(data, collection.dimension)

    resolver = Resolver(
        vocabulary=collection.vocabulary,
        dimension=collection.dimension,
        item_embedding=lambda identifier: collection.gallery_vector(identifier, space),
        nearest_item=lambda wrong: nearest_id(wrong, collection.ids_after),
        embed=embed,
        bindings=request.query.bindings,
        skip_missing=request.missing_items == composition_pb2.MISSING_ITEMS_SKIP,
        expression=request.query.expression,
    )
    return resolver.resolve(read_query(request.query))


def _in_gallery(term: SpaceTerm, collection: FakeCollection, space: FakeSpace) -> SpaceTerm:
    # Items come as gallery vectors, which are longer wherever there are labels.
    if isinstance(term, EmbeddingTerm) and len(term.embedding) == collection.dimension:
        return EmbeddingTerm(term.weight, collection.gallery_vector_of(term.embedding, space))
    return term


def _found(
    asked: _Asked,
    request: search_pb2.SearchRequest,
    condition: Filter | None,
    options: SearchOptions,
    after: tuple[float, str] | None,
) -> _Found:
    rows = asked.collection.rows
    mask = rows.alive
    if condition is not None:
        # The first page knew every name; the last item that carried one may be gone.
        mask = mask & admitted(condition, rows, lenient=after is not None)
    numbers = np.flatnonzero(mask)
    vectors = asked.space.gallery(rows, numbers)
    products = asked.composed.scale * (vectors @ asked.composed.vector.astype(np.float64))
    similarities = np.clip(np.round(products, 6), -1.0, 1.0)
    ids = rows.ids(numbers).tolist()
    excluded = frozenset() if request.include_operands else asked.item_ids
    order = [
        place
        for place in sorted(range(len(ids)), key=lambda n: (-similarities[n], ids[n]))
        if ids[place] not in excluded
        and similarities[place] >= options.min_similarity
        and (after is None or (-similarities[place], ids[place]) > (-after[0], after[1]))
    ]
    found = _Found(numbers, vectors, similarities).at(np.array(order, dtype=np.int64))
    if options.grouping is not None:
        vocabulary = asked.collection.vocabulary
        facet = vocabulary.find_facet(options.grouping.facet, "grouping.facet")
        found = found.at(_within_quota(rows, found, facet, options.grouping.most))
    return found


def _within_quota(rows: RowsView, found: _Found, facet: str, most: int) -> NDArray[np.bool_]:
    chosen: Counter[int] = Counter()
    admits = []
    for code in rows.labels([facet], found.rows)[:, 0].tolist():
        admits.append(code == UNLABELLED or chosen[code] < most)
        chosen[code] += 1
    return np.array(admits, dtype=bool)


def _response(
    asked: _Asked, request: search_pb2.SearchRequest, found: _Found
) -> search_pb2.SearchResponse:
    composed = asked.composed
    contributions = composed.scale * (found.vectors @ composed.parts.astype(np.float64).T)
    shares = block_shares(asked.space.blocks, composed, found.vectors).tolist()
    response = search_pb2.SearchResponse(
        norm=composed.norm,
        terms=asked.terms,
        unresolved_terms=asked.unresolved,
        generation=asked.collection.generation,
        route=search_pb2.SEARCH_ROUTE_EXACT,
        vector=vector_message(composed.vector) if request.include_vector else None,
        blocks=asked.blocks,
    )
    ids = asked.collection.rows.ids(found.rows).tolist()
    for number, identifier in enumerate(ids):
        item = asked.collection.items[identifier].item
        hit = response.hits.add(
            id=identifier,
            similarity=found.similarities[number],
            contributions=contributions[number].tolist(),
            attributes=item.attributes,
        )
        for similarity, contribution in shares[number]:
            hit.blocks.add(similarity=similarity, contribution=contribution)
        if item.metadata:
            hit.metadata.update(item.metadata)
        if request.include_thumbnails:
            hit.thumbnail = item.thumbnail
    return response


def _token(request: search_pb2.SearchRequest, number: int, last: search_pb2.Hit) -> str:
    return page_token(_scope(request), json.dumps([number, last.similarity, last.id]))


def _scope(request: search_pb2.SearchRequest) -> str:
    """What must stay the same from page to page."""
    same = search_pb2.SearchRequest()
    same.CopyFrom(request)
    same.ClearField("limit")
    same.ClearField("page_token")
    return hashlib.sha256(same.SerializeToString(deterministic=True)).hexdigest()


def _expired() -> FailedPreconditionError:
    return FailedPreconditionError(
        "the page token has expired: labels that are new or gone have changed the space",
        reason="PAGE_TOKEN_EXPIRED",
        field="page_token",
        remedy="Ask for the first page again.",
    )
