"""When the caller of the work at hand stops waiting."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from contextvars import ContextVar, Token
from types import TracebackType

from tashihiki.errors import DeadlineExceededError

_Remaining = Callable[[], float | None]
_remaining: ContextVar[_Remaining | None] = ContextVar("remaining", default=None)


def deadline(remaining: _Remaining) -> AbstractContextManager[None]:
    """Sets the deadline of the block.

    Args:
        remaining: tells the seconds that are left; None for no deadline.
    """
    return _Deadline(remaining)


class _Deadline(AbstractContextManager[None]):
    def __init__(self, remaining: _Remaining) -> None:
        self._own = remaining
        self._outer: Token[_Remaining | None] | None = None

    def __enter__(self) -> None:
        self._outer = _remaining.set(self._own)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._outer is not None
        _remaining.reset(self._outer)


def check_deadline() -> None:
    """Ends work that nobody waits for any more.

    Raises:
        DeadlineExceededError: DEADLINE_EXCEEDED.
    """
    remaining = _remaining.get()
    seconds = remaining() if remaining is not None else None
    if seconds is not None and seconds <= 0:
        raise DeadlineExceededError(
            "the deadline passed before the work was done",
            reason="DEADLINE_EXCEEDED",
            remedy="Allow more time, or ask for less.",
        )
