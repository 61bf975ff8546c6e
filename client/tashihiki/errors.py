"""The exceptions of client and server alike: one class per gRPC status that we use."""

from __future__ import annotations

import grpc


class TashihikiError(Exception):
    """The base of every error that Tashihiki raises.

    Attributes:
        message: what is wrong, in a sentence.
        reason: the same for programs, in UPPER_SNAKE; stable between releases.
        field: the part of the request at fault, for example `query.expression`, or "".
        remedy: what to do about it, in a sentence, or "".
        details: further facts, for example `position` or `candidates`.
        expression: the text of the call that the error is in, an expression or a filter, where
            `position` tells the place; else "".
        retry_delay: seconds after which the same call may be sent again, where the server names
            them, since it carried nothing of it out; else None.
        code: the gRPC status.
    """

    code: grpc.StatusCode = grpc.StatusCode.UNKNOWN

    def __init__(
        self,
        message: str,
        *,
        reason: str,
        field: str = "",
        remedy: str = "",
        details: dict[str, str] | None = None,
        retry_delay: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason
        self.field = field
        self.remedy = remedy
        self.details = dict(details or {})
        self.expression = ""
        self.retry_delay = retry_delay

    @property
    def position(self) -> int | None:
        """Where in `expression` the fault begins, in characters from 0; None where in no text."""
        return _count(self.details.get("position"))

    @property
    def length(self) -> int | None:
        """How many characters of `expression` are at fault, where that is known."""
        return _count(self.details.get("length"))

    @property
    def headline(self) -> str:
        """Reason, message and field as one sentence."""
        where = f" (field {self.field})" if self.field else ""
        message = self.message.rstrip()
        if message.endswith(("?", "!")):
            return f"{self.reason}: {message}{where}"
        return f"{self.reason}: {message.rstrip('.')}{where}."

    def __str__(self) -> str:
        return f"{self.headline} {self.remedy}".rstrip()


def _count(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdecimal() else None


class InvalidArgumentError(TashihikiError):
    """The request is wrong in itself."""

    code = grpc.StatusCode.INVALID_ARGUMENT


class NotFoundError(TashihikiError):
    """A collection, item, facet or value that is not there."""

    code = grpc.StatusCode.NOT_FOUND


class AlreadyExistsError(TashihikiError):
    """A name that is taken."""

    code = grpc.StatusCode.ALREADY_EXISTS


class FailedPreconditionError(TashihikiError):
    """The system is not in the state that the request needs."""

    code = grpc.StatusCode.FAILED_PRECONDITION


class AbortedError(TashihikiError):
    """Something else was written meanwhile; read it and decide again."""

    code = grpc.StatusCode.ABORTED


class ResourceExhaustedError(TashihikiError):
    """No room: disk, memory, message size, or a server with more calls than it can answer."""

    code = grpc.StatusCode.RESOURCE_EXHAUSTED


class UnavailableError(TashihikiError):
    """The server cannot be reached or is shutting down; worth retrying."""

    code = grpc.StatusCode.UNAVAILABLE


class DeadlineExceededError(TashihikiError):
    """The answer did not come in time."""

    code = grpc.StatusCode.DEADLINE_EXCEEDED


class CancelledError(TashihikiError):
    """The call was cancelled."""

    code = grpc.StatusCode.CANCELLED


class InternalError(TashihikiError):
    """A fault of the server's own; its log has the rest."""

    code = grpc.StatusCode.INTERNAL


class UnknownError(TashihikiError):
    """Any other status, for example one that a proxy made up; `code` says which."""
