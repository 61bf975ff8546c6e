"""What the machine keeps from everybody on it: naps that end late, and processors given to others.

Latency that rises together with them is the machine's. A nap ends late wherever all processors are
busy, be it with the load itself; stolen time is what the hypervisor gave to other machines.
"""

from __future__ import annotations

import multiprocessing
import time
from array import array
from dataclasses import dataclass
from multiprocessing.connection import Connection as Pipe
from types import TracebackType

import numpy as np
import psutil
from numpy.typing import NDArray

NAP_SECONDS = 0.002
_READ_SECONDS = 1.0


@dataclass(frozen=True)
class _Seen:
    """What the process noted; moments are those of `time.time`.

    Attributes:
        naps: (n, 2), when each ended, and by how many seconds late.
        readings: (m, 4), when, and the processors' seconds until then: all, at work, stolen.
    """

    naps: NDArray[np.float64]
    readings: NDArray[np.float64]


class MachineWatch:
    """Looks for as long as its block lasts, in a process that nobody else's interpreter holds up.

    What it saw can be asked for after the block.
    """

    def __init__(self) -> None:
        """Looks at the machine that this runs on."""
        context = multiprocessing.get_context("spawn")
        self._ours, self._theirs = context.Pipe()
        self._process = context.Process(target=_watch, args=(self._theirs,), daemon=True)
        self._seen = _Seen(np.empty((0, 2)), np.empty((0, 4)))

    @property
    def pid(self) -> int | None:
        """Of the process that looks."""
        return self._process.pid

    def late(self, begin: float, end: float, share: float = 0.99) -> float:
        """Seconds late within which such a share of the naps ended, between two moments.

        Naps that a late one left no time for count with what was left of its delay, as calls of an
        open loop would.
        """
        moments, late = self._seen.naps.T
        between = late[(begin <= moments) & (moments <= end)]
        stalls = between[between > NAP_SECONDS]
        missed = [np.arange(stall, 0.0, -NAP_SECONDS)[1:] for stall in stalls]
        every = np.concatenate([between, *missed])
        return float(np.quantile(every, share)) if len(every) else float("nan")

    def busy(self, begin: float, end: float) -> float:
        """How many processors were at work on the average, no matter for whom."""
        return self._grown(2, begin, end) / (end - begin)

    def stolen(self, begin: float, end: float) -> float:
        """The share of the processors' time that the hypervisor gave to others.

        Always 0 where the system is not told.
        """
        every = self._grown(1, begin, end)
        return self._grown(3, begin, end) / every if every else float("nan")

    @property
    def stolen_by_second(self) -> NDArray[np.float64]:
        """(m, 2), the end of each second or so, and the share that was stolen in it."""
        readings = self._seen.readings
        every, stolen = np.diff(readings[:, (1, 3)], axis=0).T
        return np.stack([readings[1:, 0], stolen / np.maximum(every, 1e-9)], axis=1)

    def __enter__(self) -> MachineWatch:
        self._process.start()
        self._theirs.close()
        self._ours.recv()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self._ours.send("over")
            self._seen = self._ours.recv()
        else:
            self._process.terminate()
        self._process.join()

    def _grown(self, column: int, begin: float, end: float) -> float:
        readings = self._seen.readings
        before, after = np.interp((begin, end), readings[:, 0], readings[:, column])
        return float(after - before)


def _watch(pipe: Pipe) -> None:
    naps, readings = array("d"), array("d")
    readings.extend(_read())
    awake = time.perf_counter()
    pipe.send("ready")
    over = False
    while not over:
        read = awake + _READ_SECONDS
        while awake < read:
            time.sleep(NAP_SECONDS)
            # A stall between two naps counts, too.
            since, awake = awake, time.perf_counter()
            naps.extend((time.time(), awake - since - NAP_SECONDS))
        readings.extend(_read())
        over = pipe.poll()
    pipe.send(_Seen(np.reshape(naps, (-1, 2)), np.reshape(readings, (-1, 4))))


def _read() -> tuple[float, float, float, float]:
    times = psutil.cpu_times()
    # A guest's time is in the user's too.
    every = sum(times) - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0)
    # Only Linux tells these.
    stolen = getattr(times, "steal", 0.0)
    busy = every - times.idle - getattr(times, "iowait", 0.0) - stolen
    return time.time(), every, busy, stolen
