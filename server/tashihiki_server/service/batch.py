"""Searches in a batch, each answered for itself."""

from __future__ import annotations

from collections.abc import Callable

from tashihiki.errors import ResourceExhaustedError, TashihikiError
from tashihiki.status import to_status
from tashihiki.v1 import search_pb2
from tashihiki_server.bounds import check_batch
from tashihiki_server.deadline import check_deadline

MAX_BATCH = 100
MAX_BATCH_BYTES = 16 * 2**20

_Search = Callable[[search_pb2.SearchRequest], search_pb2.SearchResponse]


def answer_batch(
    request: search_pb2.BatchSearchRequest, search: _Search
) -> search_pb2.BatchSearchResponse:
    """Answers each search, or says why not: also where those before it have filled the response.

    Args:
        request: the searches.
        search: answers one.

    Raises:
        InvalidArgumentError: BATCH_TOO_LARGE.
    """
    check_batch(len(request.requests), MAX_BATCH, "requests")
    response = search_pb2.BatchSearchResponse()
    size = 0
    for single in request.requests:
        check_deadline()
        response.results.append(_answer(single, search, size))
        size += response.results[-1].ByteSize()
    return response


def _answer(
    request: search_pb2.SearchRequest, search: _Search, size: int
) -> search_pb2.BatchSearchResult:
    try:
        if size > MAX_BATCH_BYTES:
            raise ResourceExhaustedError(
                f"the answers before this one have {size} bytes together",
                reason="RESPONSE_TOO_LARGE",
                remedy="Send it in a batch of its own, or ask for fewer hits.",
            )
        return search_pb2.BatchSearchResult(response=search(request))
    except TashihikiError as error:
        return search_pb2.BatchSearchResult(error=to_status(error))
