"""Messages of the contract as the dataclasses that callers get."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timezone
from typing import Any

import numpy as np
from google.protobuf import json_format, struct_pb2, timestamp_pb2
from numpy.typing import NDArray

from tashihiki import status
from tashihiki._pointing import pointed
from tashihiki.catalog import (
    Collection,
    EncoderChange,
    FacetAngle,
    FacetDiagnostics,
    FacetSummary,
    IndexStatus,
    RecallPoint,
    Space,
    SpaceDiagnostics,
    SpaceKind,
    StoredItem,
    ValueSummary,
)
from tashihiki.discovery import Duplicate, DuplicateGroup, LabelSuggestion, LabelSuggestions, Sample
from tashihiki.errors import TashihikiError
from tashihiki.results import (
    BlockSimilarity,
    ComposedBlock,
    ComposeResult,
    Contribution,
    Hit,
    ResolvedTerm,
    SearchResult,
    SearchRoute,
    Timings,
    UnresolvedTerm,
)
from tashihiki.snapshots import Snapshot
from tashihiki.v1 import (
    catalog_pb2,
    composition_pb2,
    discovery_pb2,
    maintenance_pb2,
    search_pb2,
)

# Above, not every whole number is a double.
_EXACT = 2.0**53

_ROUTES: dict[int, SearchRoute] = {
    search_pb2.SEARCH_ROUTE_INDEX: SearchRoute.INDEX,
    search_pb2.SEARCH_ROUTE_CELLS: SearchRoute.CELLS,
    search_pb2.SEARCH_ROUTE_EXACT: SearchRoute.EXACT,
}
_SPACE_KINDS: dict[int, SpaceKind] = {
    catalog_pb2.SPACE_KIND_SUM: "sum",
    catalog_pb2.SPACE_KIND_FACTORED: "factored",
}


def search_result(response: search_pb2.SearchResponse) -> SearchResult:
    """The answer to a search."""
    terms = tuple(map(_resolved_term, response.terms))
    blocks = tuple(map(_composed_block, response.blocks))
    return SearchResult(
        hits=tuple(_hit(hit, terms, blocks) for hit in response.hits),
        norm=response.norm,
        terms=terms,
        unresolved_terms=tuple(map(_unresolved_term, response.unresolved_terms)),
        generation=response.generation,
        route=_route(response.route),
        vector=_array(response.vector) if response.HasField("vector") else None,
        blocks=blocks,
        next_page_token=response.next_page_token,
        timings=_timings(response.timings) if response.HasField("timings") else None,
    )


def batch_results(
    response: search_pb2.BatchSearchResponse, request: search_pb2.BatchSearchRequest
) -> list[SearchResult | TashihikiError]:
    """The answers to a batch of searches; errors are returned, not raised."""
    return [
        pointed(status.from_status(result.error), asked)
        if result.WhichOneof("result") == "error"
        else search_result(result.response)
        for result, asked in zip(response.results, request.requests, strict=False)
    ]


def compose_result(response: search_pb2.ComposeResponse) -> ComposeResult:
    """The answer to Compose."""
    return ComposeResult(
        vector=_array(response.vector),
        norm=response.norm,
        terms=tuple(map(_resolved_term, response.terms)),
        unresolved_terms=tuple(map(_unresolved_term, response.unresolved_terms)),
        generation=response.generation,
        blocks=tuple(map(_composed_block, response.blocks)),
        timings=_timings(response.timings) if response.HasField("timings") else None,
    )


def collection(message: catalog_pb2.Collection) -> Collection:
    """A collection as the server describes it."""
    aliases: dict[str, dict[str, str]] = {}
    for alias in message.aliases:
        aliases.setdefault(alias.facet, {})[alias.alias] = alias.value
    return Collection(
        name=message.name,
        encoder=message.encoder,
        space=Space(_SPACE_KINDS.get(message.space.kind, "auto"), message.space.keep_negative),
        aliases=aliases,
        dimension=message.dimension,
        item_count=message.item_count,
        generation=message.generation,
        create_time=_time(message.create_time) if message.HasField("create_time") else None,
        stale_prototype_count=message.stale_prototype_count,
        space_in_force=(
            "factored" if message.space_in_force == catalog_pb2.SPACE_KIND_FACTORED else "sum"
        ),
        space_pending=message.space_pending,
        diagnostics=(
            _diagnostics(message.space_diagnostics)
            if message.HasField("space_diagnostics")
            else None
        ),
        target_recall=message.target_recall,
        index=_index_status(message.index) if message.HasField("index") else None,
        encoder_change=(
            _encoder_change(message.encoder_change) if message.HasField("encoder_change") else None
        ),
        previous_encoder=message.previous_encoder,
        fault=message.fault,
    )


def stored_item(message: catalog_pb2.Item) -> StoredItem:
    """An item as the collection holds it."""
    return StoredItem(
        id=message.id,
        attributes=dict(message.attributes),
        metadata=_metadata(message.metadata),
        create_time=_time(message.create_time) if message.HasField("create_time") else None,
        update_time=_time(message.update_time) if message.HasField("update_time") else None,
        vector=_array(message.vector) if message.HasField("vector") else None,
        thumbnail=message.thumbnail or None,
        etag=message.etag,
        image_sha256=message.image_sha256 or None,
    )


def duplicate_group(message: discovery_pb2.DuplicateGroup) -> DuplicateGroup:
    """A group of duplicates."""
    items = tuple(Duplicate(item.id, item.similarity) for item in message.items)
    return DuplicateGroup(items, message.identical)


def label_suggestions(response: discovery_pb2.SuggestLabelsResponse) -> LabelSuggestions:
    """The answer to SuggestLabels."""
    suggestions = tuple(
        LabelSuggestion(stored_item(suggestion.item), suggestion.similarity)
        for suggestion in response.suggestions
    )
    return LabelSuggestions(suggestions, response.unlabelled_count)


def sample(response: discovery_pb2.SampleItemsResponse) -> Sample:
    """The answer to SampleItems."""
    return Sample(tuple(map(stored_item, response.items)), response.admitted_count)


def snapshot(message: maintenance_pb2.Snapshot) -> Snapshot:
    """A snapshot as the server describes it."""
    return Snapshot(
        collection=message.collection,
        name=message.name,
        create_time=_time(message.create_time) if message.HasField("create_time") else None,
        item_count=message.item_count,
        size_bytes=message.size_bytes,
        encoder=message.encoder,
    )


def facet_summary(message: catalog_pb2.FacetSummary) -> FacetSummary:
    """A facet with its values."""
    values = tuple(
        ValueSummary(value.value, value.member_count, tuple(value.aliases))
        for value in message.values
    )
    return FacetSummary(message.facet, values, message.unlabelled_count)


def matrix(vectors: Iterable[composition_pb2.Vector]) -> NDArray[np.float32]:
    """Vectors stacked to shape (n, d)."""
    rows = [_array(vector) for vector in vectors]
    return np.stack(rows) if rows else np.empty((0, 0), dtype=np.float32)


def _diagnostics(message: catalog_pb2.SpaceDiagnostics) -> SpaceDiagnostics:
    return SpaceDiagnostics(
        facets=tuple(
            FacetDiagnostics(facet.facet, facet.variance_share, facet.dimension)
            for facet in message.facets
        ),
        interaction_share=message.interaction_share,
        residual_share=message.residual_share,
        additive_r2=message.additive_r2,
        angles=tuple(
            FacetAngle(angle.facet, angle.other, angle.degrees) for angle in message.angles
        ),
        shrinkage=message.shrinkage,
        item_count=message.fitted_item_count,
        combination_count=message.fitted_combination_count,
        rest_dimension=message.rest_dimension,
        held_out_accuracy=(
            message.held_out_accuracy if message.HasField("held_out_accuracy") else None
        ),
    )


def _timings(message: search_pb2.Timings) -> Timings:
    return Timings(message.total_seconds, {stage.name: stage.seconds for stage in message.stages})


def _route(route: int) -> SearchRoute:
    return _ROUTES.get(route, SearchRoute.UNKNOWN)


def _index_status(message: catalog_pb2.IndexStatus) -> IndexStatus:
    return IndexStatus(
        route=_route(message.route),
        indexed_count=message.indexed_count,
        newer_count=message.newer_count,
        removed_count=message.removed_count,
        pending=message.pending,
        curve=tuple(
            RecallPoint(
                route=_route(point.route),
                setting=point.setting,
                count=point.count,
                recall=point.recall,
                seconds=point.seconds,
                chosen=point.chosen,
            )
            for point in message.curve
        ),
    )


def _encoder_change(message: catalog_pb2.EncoderChange) -> EncoderChange:
    return EncoderChange(message.encoder, message.done_count, message.total_count, message.fault)


def _composed_block(block: composition_pb2.ComposedBlock) -> ComposedBlock:
    return ComposedBlock(block.facet, block.weight, tuple(block.terms))


def _hit(
    hit: search_pb2.Hit, terms: Sequence[ResolvedTerm], blocks: Sequence[ComposedBlock]
) -> Hit:
    return Hit(
        id=hit.id,
        similarity=hit.similarity,
        attributes=dict(hit.attributes),
        metadata=_metadata(hit.metadata),
        contributions=tuple(
            Contribution(term.label, term.weight, share)
            for term, share in zip(terms, hit.contributions, strict=False)
        ),
        thumbnail=hit.thumbnail or None,
        blocks=tuple(
            BlockSimilarity(block.facet, share.similarity, share.contribution)
            for block, share in zip(blocks, hit.blocks, strict=False)
        ),
        posterior=hit.posterior if hit.HasField("posterior") else None,
    )


def _resolved_term(term: composition_pb2.ResolvedTerm) -> ResolvedTerm:
    kind = term.WhichOneof("operand")
    if kind == "attribute":
        facet, value = term.attribute.facet, term.attribute.value
        return ResolvedTerm(
            term.label, term.weight, "attribute", facet, value, member_count=term.member_count
        )
    if kind == "ignored_facet":
        return ResolvedTerm(term.label, term.weight, "facet", facet=term.ignored_facet)
    if kind == "item_id":
        return ResolvedTerm(term.label, term.weight, "item", name=term.item_id)
    if kind == "image":
        return ResolvedTerm(term.label, term.weight, "image", name=term.image)
    if kind == "vector":
        return ResolvedTerm(term.label, term.weight, "vector", name=term.vector)
    return ResolvedTerm(term.label, term.weight, "unknown")


def _unresolved_term(term: composition_pb2.UnresolvedTerm) -> UnresolvedTerm:
    return UnresolvedTerm(term.label, term.weight, term.reason)


def _array(vector: composition_pb2.Vector) -> NDArray[np.float32]:
    return np.array(vector.values, dtype=np.float32)


def _metadata(struct: struct_pb2.Struct) -> dict[str, Any]:
    metadata: dict[str, Any] = json_format.MessageToDict(struct)
    return {key: _with_integers(value) for key, value in metadata.items()}


def _with_integers(value: Any) -> Any:
    # A Struct knows only floats; the year 2013 should not be read as 2013.0.
    if isinstance(value, dict):
        return {key: _with_integers(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_with_integers(part) for part in value]
    is_whole = isinstance(value, float) and value.is_integer() and abs(value) < _EXACT
    return int(value) if is_whole else value


def _time(stamp: timestamp_pb2.Timestamp) -> datetime:
    return stamp.ToDatetime(tzinfo=timezone.utc)
