"""What a fake server was asked, and what it was told to do about it."""

from __future__ import annotations

import threading
from collections import defaultdict, deque
from dataclasses import dataclass

from google.protobuf.message import Message

from tashihiki.errors import TashihikiError


@dataclass(frozen=True)
class Received:
    """One call as the server got it.

    Attributes:
        method: its name without the service, for example `Search`.
        request: the message of `tashihiki.v1`.
        time_remaining: seconds that the caller waits for the answer; None without a deadline.
    """

    method: str
    request: Message
    time_remaining: float | None


class Requests:
    """Everything that was asked, in order, and what is to happen to the calls that come."""

    def __init__(self) -> None:
        self._received: list[Received] = []
        self._failures: defaultdict[str, deque[TashihikiError]] = defaultdict(deque)
        self._delays: defaultdict[str, deque[float]] = defaultdict(deque)
        self._lock = threading.Lock()

    def received(self, method: str | None) -> tuple[Received, ...]:
        """The calls so far, or those of one method."""
        with self._lock:
            return tuple(one for one in self._received if method in (None, one.method))

    def fail_next(self, method: str, error: TashihikiError, times: int) -> None:
        """The next calls that nothing is planned for fail."""
        with self._lock:
            self._failures[method].extend([error] * times)

    def delay_next(self, method: str, seconds: float, times: int) -> None:
        """The next calls that no delay is planned for take so long."""
        with self._lock:
            self._delays[method].extend([seconds] * times)

    def arrived(self, call: Received) -> tuple[float, TashihikiError | None]:
        """Records a call; returns the seconds that it is to wait, and how it is to fail then."""
        with self._lock:
            self._received.append(call)
            delays, failures = self._delays[call.method], self._failures[call.method]
            return (
                delays.popleft() if delays else 0.0,
                failures.popleft() if failures else None,
            )
