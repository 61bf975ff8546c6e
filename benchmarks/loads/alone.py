"""One caller: rivals take turns in blocks, each call timed."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping

BLOCK = 20


def block_medians(rivals: Mapping[str, Callable[[int], object]], calls: int) -> dict[str, float]:
    """Median seconds of each rival.

    Blocks keep what a call leaves in the processor's caches for the next of its kind, as with one
    caller that has the server to itself; turns make a noisy machine noisy for all.

    Args:
        rivals: told the number of the call, so that no two need be alike.
        calls: of each, after a first block that does not count.
    """
    times: dict[str, list[float]] = {name: [] for name in rivals}
    number = 0
    for block in range(1 + max(1, calls // BLOCK)):
        for name, work in rivals.items():
            for place in range(BLOCK):
                start = time.perf_counter()
                work(number + place)
                if block:
                    times[name].append(time.perf_counter() - start)
        number += BLOCK
    return {name: statistics.median(taken) for name, taken in times.items()}
