"""Which calls a service takes on: those that need not wait long for a thread."""

from __future__ import annotations

from collections import Counter

from tashihiki.errors import ResourceExhaustedError

# So many may wait whatever the estimate says: a few callers with slow calls are no overload.
ALWAYS = 16
# And never more: an estimate may be wrong.
MOST = 1000
# The weight of the last call in the mean of its method.
_WEIGHT = 0.05
# Of a method that was never called, in seconds.
_UNKNOWN = 0.05
# How soon and how late a refused caller is asked to come again, in seconds.
_SOONEST, _LATEST = 0.05, 10.0


class Admission:
    """Estimates how long a call would wait, by how long those before it took.

    It belongs to one event loop.
    """

    def __init__(self, threads: int, max_wait: float) -> None:
        """Knows nothing yet.

        Args:
            threads: that work off the calls that wait.
            max_wait: seconds.
        """
        self._threads = threads
        self._max_wait = max_wait
        self._waiting: Counter[str] = Counter()
        self._means: dict[str, float] = {}

    @property
    def waiting(self) -> int:
        """Calls that wait."""
        return self._waiting.total()

    @property
    def wait(self) -> float:
        """The estimate for a call that comes now, in seconds, when no thread is free."""
        work = sum(
            count * self._means.get(method, _UNKNOWN) for method, count in self._waiting.items()
        )
        return work / self._threads

    def refusal(self) -> ResourceExhaustedError | None:
        """Why a call that comes now is not taken on: OVERLOADED; None when it is."""
        waiting = self.waiting
        if waiting < ALWAYS:
            return None
        wait = self.wait
        if waiting < MOST and wait <= self._max_wait:
            return None
        return overloaded(f"{waiting} calls wait already", wait)

    def joined(self, method: str) -> None:
        """A call began to wait."""
        self._waiting[method] += 1

    def left(self, method: str) -> None:
        """A call waits no more."""
        self._waiting[method] -= 1

    def took(self, method: str, seconds: float) -> None:
        """A call was on a thread for so long."""
        mean = self._means.get(method, seconds)
        self._means[method] = mean + _WEIGHT * (seconds - mean)


def overloaded(why: str, wait: float) -> ResourceExhaustedError:
    """The error for a call that is not taken on.

    Args:
        why: in words.
        wait: seconds that it would wait.
    """
    return ResourceExhaustedError(
        why,
        reason="OVERLOADED",
        remedy="Nothing was done; send it again after the delay in RetryInfo.",
        retry_delay=min(max(wait, _SOONEST), _LATEST),
    )
