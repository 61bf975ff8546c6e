"""How far a command is, on standard error: a bar, or without a terminal a line now and then."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from tashihiki.cli.output import printable

SECONDS_BETWEEN_LINES = 10.0


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:.0f}/s")


def _place(done: int, total: int) -> str:
    return f"{done:,} of {total:,}"


def _left(done: float, total: float, elapsed: float, speed: float) -> float:
    return (total - done) / speed


class ProgressLines:
    """Tells of one stage in plain lines: that it begins, then how far it is, not too often."""

    def __init__(
        self,
        what: str,
        console: Console,
        clock: Callable[[], float] = time.monotonic,
        place: Callable[[int, int], str] = _place,
        left: Callable[[float, float, float, float], float] = _left,
    ) -> None:
        """Says that the stage begins.

        Args:
            what: the stage.
            console: where to.
            clock: seconds.
            place: how far it is in words, from (done, total).
            left: the seconds left, from (done, total, elapsed seconds, done per second).
        """
        self._what = printable(what)
        self._console = console
        self._clock = clock
        self._place = place
        self._left = left
        self._began = self._told = clock()
        self._first: tuple[float, int] | None = None
        self._done = 0
        self._say(self._what)

    def update(self, done: int, total: int) -> None:
        """Says how far the stage is, if the last line is old; one that has less done began anew."""
        now = self._clock()
        if done < self._done:
            self._began = self._told = now
            self._first = None
        self._done = done
        if self._first is None:
            self._first = now, done
        if now - self._told >= SECONDS_BETWEEN_LINES:
            self._told = now
            elapsed = now - self._began
            ahead = self._ahead(now, done, total)
            self._say(f"{self._what}: {self._place(done, total)} after {elapsed:,.0f} s{ahead}")

    def _ahead(self, now: float, done: int, total: int) -> str:
        # From the first report on: what was done before a stage went on took no time of it.
        since, before = self._first or (now, done)
        if done >= total or done <= before or now <= since:
            return ""
        speed = (done - before) / (now - since)
        seconds = self._left(done, total, now - self._began, speed)
        return f", about {timedelta(seconds=round(seconds))} left"

    def _say(self, line: str) -> None:
        self._console.print(line, markup=False, emoji=False, highlight=False, soft_wrap=True)


@contextmanager
def counting(what: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on standard error, or lines where that is no terminal.

    Yields what to call with (done, total).
    """
    console = Console(stderr=True)
    if not console.is_terminal:
        yield ProgressLines(what, console).update
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(printable(what), total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)
