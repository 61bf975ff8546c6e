"""The verbs of DiscoveryService as data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar

from google.protobuf.message import Message

from tashihiki import _requests, _responses
from tashihiki._calls import Call
from tashihiki._image import ImageSource, read_image
from tashihiki.discovery import DuplicateGroup, LabelSuggestions, Sample
from tashihiki.query import Condition
from tashihiki.v1 import discovery_pb2

Result = TypeVar("Result")

# A group, or how far the search has come: done and total.
DuplicateEvent: TypeAlias = DuplicateGroup | tuple[int, int]


def find_duplicates(
    collection: str,
    where: Condition | None,
    min_similarity: float | None,
    image: ImageSource | None,
    exact_only: bool,
) -> Call[DuplicateEvent]:
    """FindDuplicates, which is answered by a stream."""
    return _discovery(
        "FindDuplicates",
        discovery_pb2.FindDuplicatesRequest(
            collection=collection,
            filter=None if where is None else _requests.filter_message(where),
            min_similarity=_requests.unlike_default(
                min_similarity, "min_similarity", "Use more than 0, and at most 1."
            ),
            image=b"" if image is None else read_image(image),
            exact_only=exact_only,
        ),
        discovery_pb2.FindDuplicatesResponse,
        _duplicate_event,
    )


def suggest_labels(
    collection: str,
    facet: str,
    limit: int,
    where: Condition | None,
    include_thumbnails: bool,
) -> Call[LabelSuggestions]:
    """SuggestLabels."""
    return _discovery(
        "SuggestLabels",
        discovery_pb2.SuggestLabelsRequest(
            collection=collection,
            facet=facet,
            limit=_requests.count(limit),
            filter=None if where is None else _requests.filter_message(where),
            include_thumbnails=include_thumbnails,
        ),
        discovery_pb2.SuggestLabelsResponse,
        _responses.label_suggestions,
    )


def sample(
    collection: str,
    count: int,
    where: Condition | None,
    seed: int | None,
    include_vectors: bool,
    include_thumbnails: bool,
) -> Call[Sample]:
    """SampleItems."""
    return _discovery(
        "SampleItems",
        discovery_pb2.SampleItemsRequest(
            collection=collection,
            count=_requests.count(count, "count"),
            filter=None if where is None else _requests.filter_message(where),
            seed=_requests.seed(seed),
            include_vectors=include_vectors,
            include_thumbnails=include_thumbnails,
        ),
        discovery_pb2.SampleItemsResponse,
        _responses.sample,
    )


def _duplicate_event(response: discovery_pb2.FindDuplicatesResponse) -> DuplicateEvent:
    if response.WhichOneof("event") == "group":
        return _responses.duplicate_group(response.group)
    return response.progress.done_count, response.progress.total_count


def _discovery(
    method: str, request: Message, response_type: type[Message], read: Callable[[Any], Result]
) -> Call[Result]:
    return Call(f"/tashihiki.v1.DiscoveryService/{method}", request, response_type, read)
