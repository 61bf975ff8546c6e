"""How much of the processors a process takes as time goes by."""

from __future__ import annotations

import time
from types import TracebackType

import numpy as np
import psutil

from benchmarks.loads.watch import Watch

EVERY_SECONDS = 1.0


class ProcessorWatch(Watch):
    """Looks in the background for as long as its block lasts."""

    def __init__(self, pid: int) -> None:
        """Looks at a process, without its children."""
        super().__init__(EVERY_SECONDS)
        self._process = psutil.Process(pid)
        self.seen: list[tuple[float, float]] = []

    def cores(self, begin: float, end: float) -> float:
        """How many it kept busy on the average between two moments of `time.time`."""
        moments, seconds = np.array(self.seen).T
        before, after = np.interp((begin, end), moments, seconds)
        return float(after - before) / (end - begin)

    def look(self) -> None:
        """Notes the processors' seconds that it has taken until now."""
        times = self._process.cpu_times()
        self.seen.append((time.time(), times.user + times.system))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        super().__exit__(kind, error, trace)
        if kind is None:
            self.look()
