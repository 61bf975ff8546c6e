"""What a search was told beside its query, checked."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from tashihiki.errors import InvalidArgumentError
from tashihiki.v1 import composition_pb2, search_pb2
from tashihiki_server.bounds import bounded
from tashihiki_server.space.base import AttributeMode

DEFAULT_LIMIT = 10

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
class Grouping:
    """At most so many hits of one value of a facet, as the caller spells it."""

    facet: str
    most: int


@dataclass(frozen=True)
class SearchOptions:
    """How many hits, and which.

    Attributes:
        limit: how many.
        rerank: whether to; None as the space prefers.
        min_similarity: of a hit; -1 admits all.
        grouping: None for no limit on any value.
        balance: of similarity against difference, in (0, 1]; None where hits may be alike.
    """

    limit: int
    rerank: bool | None
    min_similarity: float
    grouping: Grouping | None
    balance: float | None


def read_options(request: search_pb2.SearchRequest) -> SearchOptions:
    """The options of a request.

    Raises:
        InvalidArgumentError: OUT_OF_RANGE, CHOICE_UNKNOWN, or CHOICE_CONFLICT for options that
            exclude each other.
    """
    limit = bounded(request.limit, DEFAULT_LIMIT, "limit")
    rerank = _choice(_RERANK, request.rerank, "rerank")
    floor = request.min_similarity if request.HasField("min_similarity") else -1.0
    if not -1.0 <= floor <= 1.0:
        raise _out_of_range(floor, "from -1 to 1", "min_similarity")
    grouping = None
    if request.HasField("grouping"):
        most = bounded(request.grouping.max_per_value, 1, "grouping.max_per_value")
        grouping = Grouping(request.grouping.facet, most)
    balance = None
    if request.HasField("diversity"):
        balance = request.diversity.balance
        if not 0.0 < balance <= 1.0:
            raise _out_of_range(balance, "over 0 and at most 1", "diversity.balance")
        if rerank:
            raise _conflict("hits that differ are not re-ranked", "rerank")
    if request.page_token and (grouping or balance is not None):
        raise _conflict("with grouping or diversity there is one page only", "page_token")
    return SearchOptions(limit, rerank, floor, grouping, balance)


def read_mode(request: search_pb2.SearchRequest | search_pb2.ComposeRequest) -> AttributeMode:
    """What attributes do to the items and pictures of a query.

    Raises:
        InvalidArgumentError: CHOICE_UNKNOWN.
    """
    return _choice(_MODES, request.attribute_mode, "attribute_mode")


def _choice(choices: Mapping[int, _Choice], chosen: int, field: str) -> _Choice:
    if chosen not in choices:
        raise InvalidArgumentError(
            f"no choice {chosen}",
            reason="CHOICE_UNKNOWN",
            field=field,
            remedy=f"Use one of {min(choices)} to {max(choices)}, as the contract names them.",
        )
    return choices[chosen]


def _out_of_range(value: float, allowed: str, field: str) -> InvalidArgumentError:
    shown = "no number" if math.isnan(value) else f"{value:g}"
    return InvalidArgumentError(
        f"{shown} is not {allowed}",
        reason="OUT_OF_RANGE",
        field=field,
        remedy=f"Use a number {allowed}, or leave it out.",
    )


def _conflict(message: str, field: str) -> InvalidArgumentError:
    return InvalidArgumentError(
        message,
        reason="CHOICE_CONFLICT",
        field=field,
        remedy="Leave one of the two out.",
    )
