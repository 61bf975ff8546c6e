"""SearchService, apart from its transport."""

from __future__ import annotations

import math
import time
import weakref
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from tashihiki.v1 import composition_pb2, search_pb2
from tashihiki_server.catalogue.base import StoredItem
from tashihiki_server.collection.collection import Collection, State
from tashihiki_server.collection.nearest import Patience
from tashihiki_server.deadline import check_deadline
from tashihiki_server.encoder.embedder import Embedder
from tashihiki_server.index.base import OutOfPatienceError, Route
from tashihiki_server.library import Library
from tashihiki_server.query.ast import Term
from tashihiki_server.query.expression import parse_expression
from tashihiki_server.query.filter import Filter, Mask, filter_from_message
from tashihiki_server.query.message import read_query
from tashihiki_server.query.nearest_id import nearest_id
from tashihiki_server.query.pictures import carries_picture
from tashihiki_server.query.resolve import Resolution, Resolver
from tashihiki_server.service.at_once import (
    are_light,
    are_short,
    is_short,
    patience,
)
from tashihiki_server.service.batch import answer_batch
from tashihiki_server.service.hits.answers import Answers, repeatable
from tashihiki_server.service.hits.blocks import block_messages, block_shares
from tashihiki_server.service.hits.candidates import Candidates, reported
from tashihiki_server.service.hits.composed_query import ComposedQuery
from tashihiki_server.service.hits.diversity import diverse
from tashihiki_server.service.hits.grouping import Quota, within_quota
from tashihiki_server.service.hits.next_page import page_from
from tashihiki_server.service.hits.options import SearchOptions, read_mode, read_options
from tashihiki_server.service.hits.pages import (
    Head,
    KeptQueries,
    KeptQuery,
    Position,
    expired,
    request_digest,
)
from tashihiki_server.service.hits.ranking import Ranking
from tashihiki_server.service.hits.rerank import CANDIDATES, reranked, reranks
from tashihiki_server.service.messages import (
    term_messages,
    unresolved_messages,
    vector_message,
)
from tashihiki_server.space.base import AttributeMode, SpaceTerm
from tashihiki_server.stopwatch import stage

# How often a search is answered anew because its hits were written meanwhile, and how long each
# time a state with these writes is waited for: they are durable a moment before it is published.
RETRIES = 4
RETRY_SECONDS = 0.1
_POLL_SECONDS = 0.001

_ROUTES = {
    Route.EXACT: search_pb2.SEARCH_ROUTE_EXACT,
    Route.CELLS: search_pb2.SEARCH_ROUTE_CELLS,
    Route.GRAPH: search_pb2.SEARCH_ROUTE_INDEX,
}


@dataclass(frozen=True)
class _Asked:
    """A query composed in a state, with its operands."""

    state: State
    terms: list[SpaceTerm]
    mode: AttributeMode
    query: ComposedQuery


@dataclass(frozen=True)
class _Answer:
    """What a search found in a state."""

    state: State
    query: ComposedQuery
    ranking: Ranking
    route: Route
    next_page_token: str = ""
    kept: int | None = None

    @cached_property
    def ids(self) -> list[str]:
        """Of the items, in the order of the ranking."""
        found: list[str] = self.state.rows.ids(self.ranking.rows).tolist()
        return found


class SearchApi:
    """One method for each RPC: request in, response out, `TashihikiError` raised."""

    def __init__(self, library: Library, embedder: Embedder) -> None:
        self._library = library
        self._embedder = embedder
        self._kept = KeptQueries()
        self._answers = Answers()
        # The grammar takes longer to read than a query to answer.
        parse_expression("warm")

    def search(self, request: search_pb2.SearchRequest) -> search_pb2.SearchResponse:
        """Composes the query and looks its nearest items up."""
        key = repeatable(request)
        if (given := self._given(request.collection, key)) is not None:
            return given
        found = self._search(request, key, read_options(request), None, RETRIES)
        assert found is not None
        return found

    def search_at_once(self, request: search_pb2.SearchRequest) -> search_pb2.SearchResponse | None:
        """The same for who cannot wait: None for what takes longer than a short search."""
        key = repeatable(request)
        if (given := self._given(request.collection, key)) is not None:
            return given
        collection = self._library.collection(request.collection)
        # First, so that of two faults the same is told on both ways.
        options = read_options(request)
        if carries_picture(request.query) or not is_short(request):
            return None
        with stage("resolve"):
            terms = read_query(request.query)
        if not are_short(terms, collection, request.query.bindings.this_item):
            return None
        try:
            return self._search(request, key, options, terms, 0)
        except OutOfPatienceError:
            return None

    def _given(self, collection: str, key: bytes | None) -> search_pb2.SearchResponse | None:
        """What was answered before, where that is still the answer."""
        state = self._library.collection(collection).state
        found = None if key is None else self._answers.find(key, state)
        if found is None:
            return None
        response, kept = found
        return response if kept is None or self._kept.renew(kept) else None

    def _search(
        self,
        request: search_pb2.SearchRequest,
        key: bytes | None,
        options: SearchOptions,
        terms: Sequence[Term] | None,
        retries: int,
    ) -> search_pb2.SearchResponse | None:
        """Without retries, None where hits were written meanwhile or have much to tell.

        Args:
            request: to be answered.
            key: that its answer is kept under; see `repeatable`.
            options: of the request.
            terms: of its query; None where they were not read yet.
            retries: where hits were written meanwhile.

        Raises:
            OutOfPatienceError: without retries, where the look-up is no short one.
        """
        collection = self._library.collection(request.collection)
        condition = None
        if request.HasField("filter"):
            condition = filter_from_message(request.filter, "filter")
        # What names and operands are may change until the state to search is taken; an answer of a
        # later state is given, but not kept.
        before = collection.state
        resolution = None if request.page_token else self._resolve(collection, request, terms)
        for retry in range(retries + 1):
            check_deadline()
            if resolution is None:
                answer = self._next_page(request, collection, options, condition)
            else:
                with stage("compose"):
                    asked = _composed(collection, request, resolution)
                allowance = None if retries else patience(asked.state)
                answer = self._first_page(request, collection, asked, options, condition, allowance)
            if not (retries or are_light(answer.ranking.rows, answer.state)):
                return None
            with stage("fetch"):
                items = collection.hit_items(answer.ids, thumbnails=request.include_thumbnails)
            unchanged = _unchanged(answer, items, condition is not None)
            if len(unchanged) == len(answer.ids):
                break
            if self._library.collection(request.collection) is not collection:
                return self._search(request, key, options, terms, retries)
            if not retries:
                return None
            if retry < retries:
                _wait_for_newer(collection, answer.state)
        complete = len(unchanged) == len(answer.ids)
        if not complete:
            kept = answer.ranking.at(np.array(unchanged, dtype=np.int64))
            answer = replace(answer, ranking=kept)
        with stage("respond"):
            response = _response(request, answer, items)
        if key is not None and complete and answer.state is before:
            self._answers.keep(key, answer.state, response, answer.kept)
        return response

    def _first_page(
        self,
        request: search_pb2.SearchRequest,
        collection: Collection,
        asked: _Asked,
        options: SearchOptions,
        condition: Filter | None,
        allowance: Patience | None,
    ) -> _Answer:
        state, query = asked.state, asked.query
        candidates = Candidates(
            collection,
            state,
            query.composed,
            _mask(collection, state, condition),
            _excluded(request, query),
            options.min_similarity,
            allowance,
        )
        quota = None
        if options.grouping is not None:
            facet = collection.vocabulary.find_facet(options.grouping.facet, "grouping.facet")
            quota = Quota(state.rows, facet, options.grouping.most)
        if options.balance is not None:
            pools = candidates.batches(max(CANDIDATES, 4 * options.limit), quota)
            with stage("rerank"):
                ranking = diverse(
                    (Ranking.of(pool) for pool in pools),
                    state.rows,
                    query.composed.scale,
                    options.balance,
                    options.limit,
                    quota,
                )
            return _Answer(state, query, ranking, candidates.route)
        reranks_them = reranks(state, asked.terms, asked.mode, options.rerank)
        if quota is not None:
            ranking = _grouped(asked, candidates, quota, options.limit, reranks_them)
            return _Answer(state, query, ranking, candidates.route)
        size = max(options.limit, CANDIDATES) if reranks_them else options.limit
        # One more than that tells whether there is another page.
        found = Ranking.of(candidates.nearest(size + 1))
        head = found.at(slice(size))
        if reranks_them:
            with stage("rerank"):
                head = reranked(state, asked.terms, query.composed, head)
        ranking = head.at(slice(options.limit))
        if len(found) <= options.limit:
            return _Answer(state, query, ranking, candidates.route)
        number = self._keep(request, collection, asked, head)
        token = self._kept.token(number, Position(options.limit))
        return _Answer(state, query, ranking, candidates.route, token, number)

    def _keep(
        self,
        request: search_pb2.SearchRequest,
        collection: Collection,
        asked: _Asked,
        head: Ranking,
    ) -> int:
        ids = asked.state.rows.ids(head.rows).tolist()
        kept = KeptQuery(
            weakref.ref(collection),
            asked.state.identity,
            request_digest(request),
            asked.query,
            Head(tuple(ids), head.similarities, head.posteriors),
        )
        return self._kept.keep(kept)

    def _next_page(
        self,
        request: search_pb2.SearchRequest,
        collection: Collection,
        options: SearchOptions,
        condition: Filter | None,
    ) -> _Answer:
        number, kept, position = self._kept.find(request.page_token, request_digest(request))
        state = collection.state
        if kept.collection() is not collection or kept.identity != state.identity:
            raise expired()
        # The first page knew every name; the last item that carried one may be gone.
        mask = _mask(collection, state, condition, lenient=True)
        with stage("look_up"):
            page = page_from(
                kept,
                position,
                state.rows,
                mask,
                _excluded(request, kept.query),
                options.min_similarity,
                options.limit,
            )
        token = "" if page.following is None else self._kept.token(number, page.following)
        return _Answer(state, kept.query, page.ranking, Route.EXACT, token)

    def batch_search(
        self, request: search_pb2.BatchSearchRequest
    ) -> search_pb2.BatchSearchResponse:
        """Answers each search, or says why not."""
        return answer_batch(request, self.search)

    def compose(self, request: search_pb2.ComposeRequest) -> search_pb2.ComposeResponse:
        """Composes the query."""
        collection = self._library.collection(request.collection)
        resolution = self._resolve(collection, request, None)
        with stage("compose"):
            asked = _composed(collection, request, resolution)
        query = asked.query
        return search_pb2.ComposeResponse(
            vector=vector_message(query.composed.vector),
            norm=query.composed.norm,
            terms=query.terms,
            unresolved_terms=query.unresolved,
            generation=asked.state.generation,
            blocks=query.block_messages,
        )

    def _resolve(
        self,
        collection: Collection,
        request: search_pb2.SearchRequest | search_pb2.ComposeRequest,
        terms: Sequence[Term] | None,
    ) -> Resolution:
        resolver = Resolver(
            vocabulary=collection.vocabulary,
            dimension=collection.encoder.manifest.dimension,
            item_embedding=collection.embedding,
            nearest_item=lambda wrong: nearest_id(wrong, collection.catalogue.ids_after),
            embed=lambda data, field: self._embedder.embed(collection.encoder, data, field),
            bindings=request.query.bindings,
            skip_missing=request.missing_items == composition_pb2.MISSING_ITEMS_SKIP,
            expression=request.query.expression,
        )
        with stage("resolve"):
            return resolver.resolve(read_query(request.query) if terms is None else terms)


def _composed(
    collection: Collection,
    request: search_pb2.SearchRequest | search_pb2.ComposeRequest,
    resolution: Resolution,
) -> _Asked:
    mode = read_mode(request)
    # Taken after the resolution, so that what the names were resolved against is in it.
    state = collection.state
    terms = [term.term for term in resolution.terms]
    composed = state.space.compose(terms, mode)
    query = ComposedQuery(
        composed,
        state.space.blocks,
        term_messages(resolution.terms, collection.vocabulary),
        unresolved_messages(resolution.unresolved),
        block_messages(state.space.blocks, composed, collection.vocabulary),
        frozenset(resolution.item_ids),
    )
    return _Asked(state, terms, mode, query)


def _mask(
    collection: Collection, state: State, condition: Filter | None, *, lenient: bool = False
) -> Mask | None:
    if condition is None:
        return None
    with stage("filter"):
        return collection.mask(state, condition, lenient=lenient)


def _excluded(request: search_pb2.SearchRequest, query: ComposedQuery) -> Set[str]:
    return frozenset() if request.include_operands else query.item_ids


def _grouped(
    asked: _Asked, candidates: Candidates, quota: Quota, limit: int, reranks_them: bool
) -> Ranking:
    """The first `limit` that the quota admits: of the re-ranked, then of the rest."""
    chosen: Ranking | None = None
    for batch in candidates.batches(max(limit, CANDIDATES), quota):
        ranking = Ranking.of(batch)
        if chosen is None:
            if reranks_them:
                with stage("rerank"):
                    ranking = reranked(asked.state, asked.terms, asked.query.composed, ranking)
            chosen = within_quota(ranking, quota, limit)
        else:
            chosen = chosen.followed_by(within_quota(ranking, quota, limit - len(chosen)))
        if len(chosen) == limit:
            break
    assert chosen is not None
    return chosen


def _unchanged(answer: _Answer, items: Mapping[str, StoredItem], filtered: bool) -> list[int]:
    """The places of the hits that were not deleted since the answer's state was published.

    Where there is a filter, nor written: as they are now they may not pass it.
    """
    if not filtered:
        return [place for place, identifier in enumerate(answer.ids) if identifier in items]
    versions = answer.state.rows.versions(answer.ranking.rows).tolist()
    return [
        place
        for place, (identifier, version) in enumerate(zip(answer.ids, versions, strict=True))
        if identifier in items and items[identifier].version == version
    ]


def _wait_for_newer(collection: Collection, state: State) -> None:
    end = time.monotonic() + RETRY_SECONDS
    while collection.state is state and time.monotonic() < end:
        check_deadline()
        time.sleep(_POLL_SECONDS)


def _response(
    request: search_pb2.SearchRequest, answer: _Answer, items: Mapping[str, StoredItem]
) -> search_pb2.SearchResponse:
    query = answer.query
    vector = vector_message(query.composed.vector) if request.include_vector else None
    response = search_pb2.SearchResponse(
        norm=query.composed.norm,
        terms=query.terms,
        unresolved_terms=query.unresolved,
        generation=answer.state.generation,
        route=_ROUTES[answer.route],
        vector=vector,
        blocks=query.block_messages,
        next_page_token=answer.next_page_token,
    )
    _add_hits(response, answer, items)
    return response


def _add_hits(
    response: search_pb2.SearchResponse, answer: _Answer, items: Mapping[str, StoredItem]
) -> None:
    rows, composed, ranking = answer.state.rows, answer.query.composed, answer.ranking
    vectors = rows.take(ranking.rows).astype(np.float64)
    contributions = composed.scale * (vectors @ composed.parts.astype(np.float64).T)
    for identifier, row, version, similarity, posterior, parts, shares in zip(
        answer.ids,
        ranking.rows.tolist(),
        rows.versions(ranking.rows).tolist(),
        reported(composed, ranking.similarities).tolist(),
        ranking.posteriors.tolist(),
        contributions.tolist(),
        block_shares(answer.query.blocks, composed, vectors).tolist(),
        strict=True,
    ):
        item = items[identifier]
        # Made in its place: a message that is put into another is copied.
        hit = response.hits.add(id=identifier, similarity=similarity, contributions=parts)
        # What was written since the state was published must not contradict its groups.
        labels = item.attributes if item.version == version else rows.attributes(row)
        # One by one: a whole map takes several times as long.
        attributes = hit.attributes
        for facet, value in labels.items():
            attributes[facet] = value
        blocks = hit.blocks
        for cosine, contribution in shares:
            blocks.add(similarity=cosine, contribution=contribution)
        if item.metadata:
            hit.metadata.update(item.metadata)
        if item.thumbnail:
            hit.thumbnail = item.thumbnail
        if not math.isnan(posterior):
            hit.posterior = posterior
