"""How much memory a process holds as time goes by."""

from __future__ import annotations

import time

import numpy as np
import psutil

from benchmarks.loads.watch import Watch

EVERY_SECONDS = 1.0


class MemoryWatch(Watch):
    """Looks in the background for as long as its block lasts."""

    def __init__(self, pid: int) -> None:
        """Looks at a process, without its children."""
        super().__init__(EVERY_SECONDS)
        self._process = psutil.Process(pid)
        self.seen: list[tuple[float, int]] = []

    def between(self, begin: float, end: float) -> float:
        """Median bytes between two moments of `time.time`."""
        seen = [size for moment, size in self.seen if begin <= moment <= end]
        return float(np.median(seen)) if seen else float("nan")

    def look(self) -> None:
        """Notes what it holds now."""
        self.seen.append((time.time(), self._process.memory_info().rss))
