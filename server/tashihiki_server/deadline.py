"""When the caller of the work at hand stops waiting."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from tashihiki.errors import DeadlineExceededError

_remaining: ContextVar[Callable[[], float | None] | None] = ContextVar("remaining", default=None)


@contextmanager
def deadline(remaining: Callable[[], float | None]) -> Iterator[None]:
    """Sets the deadline of the block.

    Args:
        remaining: tells the seconds that are left; None for no deadline.
    """
    token = _remaining.set(remaining)
    try:
        yield
    finally:
        _remaining.reset(token)


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
