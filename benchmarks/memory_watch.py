"""How much memory a process holds as time goes by."""

from __future__ import annotations

import threading
import time
from types import TracebackType

import numpy as np
import psutil

EVERY_SECONDS = 1.0


class MemoryWatch:
    """Looks in the background for as long as its block lasts."""

    def __init__(self, pid: int) -> None:
        """Looks at a process, without its children."""
        self._process = psutil.Process(pid)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.seen: list[tuple[float, int]] = []

    def between(self, begin: float, end: float) -> float:
        """Median bytes between two moments of `time.time`."""
        seen = [size for moment, size in self.seen if begin <= moment <= end]
        return float(np.median(seen)) if seen else float("nan")

    def __enter__(self) -> MemoryWatch:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while True:
            self.seen.append((time.time(), self._process.memory_info().rss))
            if self._over.wait(EVERY_SECONDS):
                return
