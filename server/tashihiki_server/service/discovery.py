"""DiscoveryService, apart from its transport."""

from __future__ import annotations

import hashlib
import time
from collections import defaultdict
from collections.abc import Iterator
from itertools import chain, islice

import numpy as np
from numpy.typing import NDArray

from tashihiki.errors import InvalidArgumentError
from tashihiki.v1 import catalog_pb2, discovery_pb2
from tashihiki_server.bounds import bounded
from tashihiki_server.collection.collection import Collection, State
from tashihiki_server.collection.duplicates import Group, VectorRows, near_duplicates
from tashihiki_server.collection.rows import UNLABELLED, RowsView
from tashihiki_server.collection.stored_embeddings import StoredEmbeddings
from tashihiki_server.collection.suggestions import farthest_first
from tashihiki_server.deadline import check_deadline
from tashihiki_server.encoder.embedder import Embedder
from tashihiki_server.library import Library
from tashihiki_server.query.filter import Filter, Mask, filter_from_message
from tashihiki_server.service.messages import item_message
from tashihiki_server.space.base import Vectors

DEFAULT_COUNT = 10
MIN_SIMILARITY = 0.995
# Similarities are rounded to 9 digits, and those to items that are gone meanwhile are 0.
_LEAST = 1e-6
PROGRESS_SECONDS = 0.25
_FETCH = 100
_CHUNK = 2000
# Gallery vectors of one file encoded twice differ by less.
_SAME = 0.9999

_Numbers = NDArray[np.int64]
_Responses = Iterator[discovery_pb2.FindDuplicatesResponse]


class DiscoveryApi:
    """One method for each RPC: request in, response out, `TashihikiError` raised."""

    def __init__(self, library: Library, embedder: Embedder) -> None:
        self._library = library
        self._embedder = embedder

    # Duplicates

    def find_duplicates(self, request: discovery_pb2.FindDuplicatesRequest) -> _Responses:
        """Groups of identical files, then of items that look alike, and progress between them."""
        minimum = _similarity(request.min_similarity)
        collection = self._library.collection(request.collection)
        condition = _condition(request)
        if request.image:
            return self._like_picture(collection, request, condition, minimum)
        return _like_each_other(collection, condition, minimum, exact_only=request.exact_only)

    def _like_picture(
        self,
        collection: Collection,
        request: discovery_pb2.FindDuplicatesRequest,
        condition: Filter | None,
        minimum: float,
    ) -> _Responses:
        embedding = self._embedder.embed(collection.encoder, request.image, "image")
        state = collection.state
        view = state.rows
        rows = np.flatnonzero(_mask(collection, state, condition))
        alike = view.scores(state.space.project(embedding[None])[0])[rows] >= _SAME
        digest = hashlib.sha256(request.image).digest()
        same = _having_digest(collection, view, _in_order_of_ids(view, rows[alike]), digest)
        progress = _Progress(len(rows))
        if len(same):
            yield _group(view, same, np.ones(len(same)), identical=True)
        if request.exact_only:
            yield progress.event(len(rows))
            return
        embeddings = _embeddings(collection, state)
        rest = rows[~np.isin(rows, same)]
        similarities = np.empty(len(rest))
        for start in range(0, len(rest), _CHUNK):
            if progress.due():
                yield progress.event(start)
            part = slice(start, start + _CHUNK)
            similarities[part] = _cosines(embeddings.take(rest[part]), embedding)
        near = np.flatnonzero(similarities >= round(minimum, 9))
        near = near[np.lexsort((view.ids(rest[near]), -similarities[near]))]
        if len(near):
            yield _group(view, rest[near], similarities[near], identical=False)
        yield progress.event(len(rows))

    # Labels and samples

    def suggest_labels(
        self, request: discovery_pb2.SuggestLabelsRequest
    ) -> discovery_pb2.SuggestLabelsResponse:
        """Items without a label that are least like those with one."""
        limit = bounded(request.limit, DEFAULT_COUNT, "limit")
        collection = self._library.collection(request.collection)
        condition = _condition(request)
        facets = []
        if request.facet:
            facets = [collection.vocabulary.find_facet(request.facet, "facet")]
        state = collection.state
        rows = state.rows
        labelled = (rows.labels(facets) != UNLABELLED).any(axis=1) if facets else rows.labelled()
        unlabelled = np.flatnonzero(_mask(collection, state, condition) & ~labelled)
        found = farthest_first(
            rows,
            _in_order_of_ids(rows, unlabelled),
            np.flatnonzero(labelled & rows.alive),
            limit,
        )
        similarities = dict(zip(found.rows.tolist(), found.similarities.tolist(), strict=True))
        items = _items(collection, rows, found.rows, thumbnails=request.include_thumbnails)
        return discovery_pb2.SuggestLabelsResponse(
            suggestions=[
                discovery_pb2.LabelSuggestion(item=item, similarity=similarities[row])
                for row, item in items
            ],
            unlabelled_count=len(unlabelled),
        )

    def sample_items(
        self, request: discovery_pb2.SampleItemsRequest
    ) -> discovery_pb2.SampleItemsResponse:
        """Items drawn at random, without replacement."""
        count = bounded(request.count, DEFAULT_COUNT, "count")
        collection = self._library.collection(request.collection)
        state = collection.state
        rows = np.flatnonzero(_mask(collection, state, _condition(request)))
        seed = None
        if request.HasField("seed"):
            # Rows change their places when an index is built or the server starts.
            rows = _in_order_of_ids(state.rows, rows)
            seed = request.seed % 2**64
        drawn = np.random.default_rng(seed).permutation(rows)
        response = discovery_pb2.SampleItemsResponse(admitted_count=len(rows))
        items = _items(
            collection,
            state.rows,
            drawn,
            embeddings=request.include_vectors,
            thumbnails=request.include_thumbnails,
        )
        response.items.extend(item for _, item in islice(items, count))
        return response


def _like_each_other(
    collection: Collection, condition: Filter | None, minimum: float, *, exact_only: bool
) -> _Responses:
    # Before the state, so that what is deleted meanwhile is in neither.
    identical = set(chain.from_iterable(collection.catalogue.identical_images()))
    state = collection.state
    view = state.rows
    rows = _in_order_of_ids(view, np.flatnonzero(_mask(collection, state, condition)))
    progress = _Progress(len(rows))
    yield progress.event(0)
    others = np.ones(len(rows), dtype=bool)
    for places in _identical(collection, view, rows, identical):
        others[places[1:]] = False
        yield _group(view, rows[places], np.ones(len(places)), identical=True)
    if not exact_only:
        rest = rows[others]
        for found in near_duplicates(_embeddings(collection, state), rest, minimum):
            if isinstance(found, Group):
                yield _group(view, rest[found.places], found.similarities, identical=False)
            elif progress.due():
                yield progress.event(len(rows) - len(rest) + found.done)
    yield progress.event(len(rows))


class _Progress:
    """Events, some seconds apart."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._last = time.monotonic()

    def due(self) -> bool:
        return time.monotonic() >= self._last + PROGRESS_SECONDS

    def event(self, done: int) -> discovery_pb2.FindDuplicatesResponse:
        self._last = time.monotonic()
        return discovery_pb2.FindDuplicatesResponse(
            progress=discovery_pb2.DuplicateProgress(done_count=done, total_count=self._total)
        )


def _group(
    view: RowsView, rows: _Numbers, similarities: NDArray[np.float64], *, identical: bool
) -> discovery_pb2.FindDuplicatesResponse:
    items = zip(view.ids(rows).tolist(), similarities.tolist(), strict=True)
    return discovery_pb2.FindDuplicatesResponse(
        group=discovery_pb2.DuplicateGroup(
            items=[discovery_pb2.Duplicate(id=i, similarity=s) for i, s in items],
            identical=identical,
        )
    )


def _identical(
    collection: Collection, view: RowsView, rows: _Numbers, wanted: set[str]
) -> Iterator[_Numbers]:
    """The places among the rows of wanted items whose picture files are the same, by file."""
    if not wanted:
        return
    places = np.flatnonzero([identifier in wanted for identifier in view.ids(rows).tolist()])
    place_of = dict(zip(rows[places].tolist(), places.tolist(), strict=True))
    by_digest = defaultdict(list)
    for row, digest in _digests(collection, view, rows[places]):
        by_digest[digest].append(place_of[row])
    for digest, same in by_digest.items():
        if digest and len(same) > 1:
            yield np.array(same, dtype=np.int64)


def _having_digest(
    collection: Collection, view: RowsView, rows: _Numbers, digest: bytes
) -> _Numbers:
    """Those of the rows whose items have a picture file of this SHA-256."""
    same = [row for row, found in _digests(collection, view, rows) if found == digest]
    return np.array(same, dtype=np.int64)


def _digests(collection: Collection, view: RowsView, rows: _Numbers) -> Iterator[tuple[int, bytes]]:
    """The SHA-256 of the rows' picture files, without items written or deleted meanwhile."""
    for start in range(0, len(rows), _FETCH):
        check_deadline()
        part = rows[start : start + _FETCH].tolist()
        items = collection.catalogue.items([view.id(row) for row in part])
        for row in part:
            item = items.get(view.id(row))
            if item is not None and item.version == view.version(row):
                yield row, item.image_sha256


def _items(
    collection: Collection,
    view: RowsView,
    rows: _Numbers,
    *,
    embeddings: bool = False,
    thumbnails: bool,
) -> Iterator[tuple[int, catalog_pb2.Item]]:
    """The items of the rows, without those that were written or deleted meanwhile."""
    for start in range(0, len(rows), _FETCH):
        check_deadline()
        part = rows[start : start + _FETCH].tolist()
        ids = [view.id(row) for row in part]
        items = collection.items(ids, embeddings=embeddings, thumbnails=thumbnails, lenient=True)
        for identifier, row in zip(ids, part, strict=True):
            # What was written since need not be what the filter admits.
            if identifier in items and items[identifier][0].version == view.version(row):
                yield row, item_message(*items[identifier])


def _embeddings(collection: Collection, state: State) -> VectorRows:
    """What pictures are compared by.

    Of altered copies, embeddings keep more than the gallery vectors of a factored space, which
    are stretched until what tells values apart stands out.
    """
    if state.space.kind == "sum":
        return state.rows
    dimension = collection.encoder.manifest.dimension
    return StoredEmbeddings(collection.catalogue, state.rows, dimension)


def _mask(collection: Collection, state: State, condition: Filter | None) -> Mask:
    """Which rows are items that the condition admits, (rows,)."""
    mask = collection.mask(state, condition)
    return state.rows.alive if mask is None else state.rows.alive & mask


def _in_order_of_ids(view: RowsView, rows: _Numbers) -> _Numbers:
    return rows[np.argsort(view.ids(rows), kind="stable")]


def _cosines(vectors: Vectors, vector: Vectors) -> NDArray[np.float64]:
    cosines = vectors.astype(np.float64) @ vector.astype(np.float64)
    return np.clip(np.round(cosines, 9), -1.0, 1.0)


def _condition(
    request: discovery_pb2.FindDuplicatesRequest
    | discovery_pb2.SuggestLabelsRequest
    | discovery_pb2.SampleItemsRequest,
) -> Filter | None:
    return filter_from_message(request.filter, "filter") if request.HasField("filter") else None


def _similarity(value: float) -> float:
    if value and not _LEAST <= value <= 1:
        raise InvalidArgumentError(
            f"{value} is not a similarity from {_LEAST} to 1",
            reason="OUT_OF_RANGE",
            field="min_similarity",
            remedy=f"Ask for {_LEAST} to 1, or 0 for the default of {MIN_SIMILARITY}.",
        )
    return value or MIN_SIMILARITY
