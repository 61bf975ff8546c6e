"""Which searches are over sooner than a thread has taken them on.

With the interpreter's one lock, handing a search to a thread and its answer back takes about as
long as looking its hits up, and threads that search at once get in each other's way.
"""

from __future__ import annotations

from tashihiki.v1 import composition_pb2, search_pb2
from tashihiki_server.collection.collection import State
from tashihiki_server.index.calibration import COUNTS

MAX_LIMIT = COUNTS[-1]
MAX_TERMS = 20
MAX_LENGTH = 200
# Of the look-up alone, as the index was measured; what surrounds it takes about a millisecond.
MAX_SECONDS = 0.002
# Where no index says how long rows take: of so many coordinates in all.
_MOST_COORDINATES = 1_000_000
_SECONDS_PER_COORDINATE = 2e-10
_SHORT_OPERANDS = {"attribute", "word", "facet", "item_id", "vector"}


def is_short(request: search_pb2.SearchRequest, state: State) -> bool:
    """Whether answering a request may keep everybody else waiting.

    Nothing is to be decoded or encoded, a page's worth of hits is looked up once without a
    filter, and few rows are compared for that.
    """
    return (
        _has_short_terms(request.query)
        and not (request.HasField("filter") or request.HasField("grouping"))
        and not (request.HasField("diversity") or request.page_token or request.include_thumbnails)
        and request.limit <= MAX_LIMIT
        and _look_up_seconds(state) <= MAX_SECONDS
    )


def _has_short_terms(query: composition_pb2.Query) -> bool:
    if query.WhichOneof("form") == "expression":
        # A picture or vector that it names is in the bindings.
        bindings = query.bindings
        bound = bindings.this_image or bindings.images or bindings.vectors
        return len(query.expression) <= MAX_LENGTH and not bound
    terms = query.composition.terms
    return len(terms) <= MAX_TERMS and all(
        term.WhichOneof("operand") in _SHORT_OPERANDS for term in terms
    )


def _look_up_seconds(state: State) -> float:
    rows, index = state.rows, state.index
    if index is None or not index.calibration.points:
        coordinates = rows.count * rows.frozen.shape[1]
        return 0.0 if coordinates <= _MOST_COORDINATES else coordinates * _SECONDS_PER_COORDINATE
    calibration = index.calibration
    (seconds,) = (p.seconds for p in calibration.points if p.chosen and p.count == MAX_LIMIT)
    return seconds + (rows.count - index.count) * calibration.row_seconds
