"""How the passes of an encoder share the cores."""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(frozen=True)
class Streams:
    """A division of the cores.

    Attributes:
        count: passes that run side by side, each on its share of the threads.
        threads: of all of them together.
        pinned: whether each thread keeps to one core.
    """

    count: int
    threads: int
    pinned: bool = True

    def __post_init__(self) -> None:
        if not 1 <= self.count <= self.threads:
            raise ValueError(f"{self.count} streams cannot share {self.threads} threads")

    def __str__(self) -> str:
        plural = "" if self.count == 1 else "s"
        pinned = "pinned" if self.pinned else "not pinned"
        return f"{self.count} stream{plural} on {self.threads} threads, {pinned}"


def cores() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0))


def one_for_each_core() -> Streams:
    """What gives most pictures a second where it has not been measured."""
    return Streams(cores(), cores())


def candidates() -> list[Streams]:
    """The divisions worth measuring, the one for each core first."""
    most = cores()
    counts = sorted({most, max(1, most // 2), max(1, most // 4), 1}, reverse=True)
    return [Streams(count, most, pinned) for count in counts for pinned in (True, False)]
