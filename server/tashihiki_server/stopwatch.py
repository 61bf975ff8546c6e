"""How long the stages of a call take, where somebody asked for it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from types import TracebackType

# Without a stopwatch a stage is one look-up and one call: searches take about a millisecond.
_NOTHING = nullcontext()


class Stopwatch:
    """Seconds for each stage, in the order in which they first began.

    A stage within another stops the outer one meanwhile, so that no time counts twice.
    """

    def __init__(self, begun: float) -> None:
        """Starts.

        Args:
            begun: when, by `time.perf_counter()`.
        """
        self._begun = self._since = begun
        self._seconds: dict[str, float] = {}
        self._under_way: list[str] = []

    @property
    def stages(self) -> Mapping[str, float]:
        """Seconds by the stage's name."""
        return self._seconds

    @property
    def total(self) -> float:
        """Seconds since the start."""
        return time.perf_counter() - self._begun

    def lap(self, name: str) -> None:
        """Counts the time since the start, or since the last stage, as this stage."""
        now = time.perf_counter()
        self._add(name, now - self._since)
        self._since = now

    def begin(self, name: str) -> None:
        """Begins a stage."""
        now = time.perf_counter()
        if self._under_way:
            self._add(self._under_way[-1], now - self._since)
        self._add(name, 0.0)
        self._under_way.append(name)
        self._since = now

    def end(self) -> None:
        """Ends the stage that began last."""
        self.lap(self._under_way.pop())

    def _add(self, name: str, seconds: float) -> None:
        self._seconds[name] = self._seconds.get(name, 0.0) + seconds


_running: ContextVar[Stopwatch | None] = ContextVar("stopwatch", default=None)


@contextmanager
def running(watch: Stopwatch) -> Iterator[None]:
    """Lets `stage` in the block count on this stopwatch, in this thread."""
    token = _running.set(watch)
    try:
        yield
    finally:
        _running.reset(token)


def stage(name: str) -> AbstractContextManager[None]:
    """Counts the block as a stage; costs next to nothing when no stopwatch runs."""
    watch = _running.get()
    return _NOTHING if watch is None else _Stage(watch, name)


class _Stage(AbstractContextManager[None]):
    def __init__(self, watch: Stopwatch, name: str) -> None:
        self._watch = watch
        self._name = name

    def __enter__(self) -> None:
        self._watch.begin(self._name)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._watch.end()
