"""Errors on the wire: google.rpc.Status with an ErrorInfo that holds reason, field and remedy.

Where the call may be sent again after a while, a RetryInfo beside it says when.
"""

from __future__ import annotations

from datetime import timedelta
from typing import cast

import grpc
from google.protobuf import duration_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from tashihiki import errors
from tashihiki.errors import TashihikiError

DOMAIN = "tashihiki"

_BY_CODE: dict[grpc.StatusCode, type[TashihikiError]] = {
    error.code: error
    for error in (
        errors.InvalidArgumentError,
        errors.NotFoundError,
        errors.AlreadyExistsError,
        errors.FailedPreconditionError,
        errors.AbortedError,
        errors.ResourceExhaustedError,
        errors.UnavailableError,
        errors.DeadlineExceededError,
        errors.CancelledError,
        errors.InternalError,
        errors.UnknownError,
    )
}
_CODE_BY_NUMBER: dict[int, grpc.StatusCode] = {code.value[0]: code for code in grpc.StatusCode}


# gRPC drops an answer whose trailers exceed its limit, and percent-encodes the message.
_MAX_SHOWN = 300


def to_status(error: TashihikiError) -> status_pb2.Status:
    """Packs an error for the wire."""
    metadata = dict(error.details)
    if error.field:
        metadata["field"] = error.field
    if error.remedy:
        metadata["remedy"] = error.remedy
    info = error_details_pb2.ErrorInfo(
        reason=error.reason,
        domain=DOMAIN,
        metadata={name: _shown(text) for name, text in metadata.items()},
    )
    status = status_pb2.Status(code=error.code.value[0], message=_shown(error.message))
    status.details.add().Pack(info)
    if error.retry_delay is not None:
        delay = duration_pb2.Duration()
        delay.FromTimedelta(timedelta(seconds=error.retry_delay))
        status.details.add().Pack(error_details_pb2.RetryInfo(retry_delay=delay))
    return status


def _shown(text: str) -> str:
    return text if len(text) <= _MAX_SHOWN else f"{text[: _MAX_SHOWN - 1]}…"


def from_status(status: status_pb2.Status) -> TashihikiError:
    """Unpacks what `to_status` packed; a foreign status keeps its code and message."""
    code = _CODE_BY_NUMBER.get(status.code, grpc.StatusCode.UNKNOWN)
    kind = _BY_CODE.get(code, errors.UnknownError)
    error = _unpack(status, kind) or kind(status.message, reason=code.name)
    if error.code is not code:
        # UnknownError stands for every code without a class of its own.
        error.code = code
    error.retry_delay = _retry_delay(status)
    return error


def _retry_delay(status: status_pb2.Status) -> float | None:
    for detail in status.details:
        info = error_details_pb2.RetryInfo()
        if detail.Is(info.DESCRIPTOR) and detail.Unpack(info) and info.HasField("retry_delay"):
            seconds: float = info.retry_delay.seconds + info.retry_delay.nanos / 1e9
            return max(0.0, seconds)
    return None


def _unpack(status: status_pb2.Status, kind: type[TashihikiError]) -> TashihikiError | None:
    for detail in status.details:
        info = error_details_pb2.ErrorInfo()
        if detail.Is(info.DESCRIPTOR) and detail.Unpack(info) and info.domain == DOMAIN:
            metadata = dict(info.metadata)
            return kind(
                status.message,
                reason=info.reason,
                field=metadata.pop("field", ""),
                remedy=metadata.pop("remedy", ""),
                details=metadata,
            )
    return None


def from_rpc_error(error: grpc.RpcError) -> TashihikiError:
    """The typed error behind a failed call, sync or async."""
    if not isinstance(error, (grpc.Call, grpc.aio.AioRpcError)):
        return errors.UnknownError(str(error), reason=grpc.StatusCode.UNKNOWN.name)
    try:
        # An AioRpcError is no grpc.Call but has the three methods that are read.
        status = rpc_status.from_call(cast(grpc.Call, error))
    except ValueError:
        # A proxy may have rewritten the code and left our details in place.
        status = None
    if status is None:
        status = status_pb2.Status(code=error.code().value[0], message=error.details() or "")
    return from_status(status)
