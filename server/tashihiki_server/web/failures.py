"""Errors as the page takes them: JSON and an HTTP status."""

from __future__ import annotations

import re

import grpc
from starlette.responses import JSONResponse

from tashihiki.errors import InvalidArgumentError, TashihikiError

_STATUS = {
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.ALREADY_EXISTS: 409,
    grpc.StatusCode.ABORTED: 409,
    grpc.StatusCode.FAILED_PRECONDITION: 412,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.CANCELLED: 503,
    grpc.StatusCode.UNAVAILABLE: 503,
    grpc.StatusCode.DEADLINE_EXCEEDED: 504,
}
# What the service's remedies call by the names of the contract, as the page calls it.
_ON_THE_PAGE = {
    "CreateCollection": "`tashihiki index`",
    "ListAttributes": "“Filters and values”",
    "ListCollections": "the list at the top",
    "ListItems": "the query bar's completion",
    "ListSnapshots": "`tashihiki snapshot list`",
    "send it again after the delay in RetryInfo": "try again in a moment",
}
_CALLED = re.compile("|".join(_ON_THE_PAGE))


def remedy_on_the_page(text: str) -> str:
    """The service's remedy in the page's words."""
    told = _CALLED.sub(lambda called: _ON_THE_PAGE[called[0]], text)
    return told[:1].upper() + told[1:]


def failure_response(error: TashihikiError, status: int | None = None) -> JSONResponse:
    """The error as JSON: reason, message, remedy, field, candidates, position and length.

    `position` and `length` count characters (code points); they are None where nothing in a text
    is at fault.
    """
    details = error.details
    body = {
        "reason": error.reason,
        "message": error.message,
        "remedy": remedy_on_the_page(error.remedy),
        "field": error.field,
        "position": _number(details.get("position")),
        "length": _number(details.get("length")),
        "candidates": [name for name in details.get("candidates", "").split(", ") if name],
    }
    return JSONResponse({"error": body}, status or _STATUS.get(error.code, 500))


def invalid_request(message: str, remedy: str = "Reload the page.") -> InvalidArgumentError:
    """The error for a request that the page itself would not send."""
    return InvalidArgumentError(message, reason="REQUEST_INVALID", remedy=remedy)


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdecimal() else None
