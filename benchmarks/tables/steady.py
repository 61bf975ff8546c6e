"""At 70 % of the peak for ten minutes: does latency stay even, and memory flat?

Open loop: see `open_loop`.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.loads.memory_watch import MemoryWatch
from benchmarks.loads.open_loop import Calls, Schedule, open_loop
from benchmarks.loads.sustained import CALLERS, loaded, parser
from benchmarks.pictures import figure, save
from benchmarks.results import Table

SHARE = 0.7
# Of the run, at its begin and at its end, over which memory is compared.
_EDGE = 0.1
# Caches fill and threads start meanwhile.
_WARM_UP = 0.1


def main(arguments: Sequence[str] = ()) -> list[Table]:
    """A table of one row, and a plot of latency and memory over time."""
    options = _options(arguments)
    seconds = 60 * options.minutes
    with loaded(options) as setting:
        rate = SHARE * setting.peak.per_second
        schedule = Schedule(rate, seconds, not options.even, options.timeout, options.clients)
        open_loop(setting.target, Schedule(rate, _WARM_UP * seconds, not options.even), seed=1)
        with MemoryWatch(setting.server.process.pid) as memory:
            calls = open_loop(setting.target, schedule)
    edge, begin = _EDGE * seconds, calls.begin
    first = memory.between(begin, begin + edge)
    last = memory.between(begin + seconds - edge, begin + seconds)
    if options.images:
        _draw(calls, memory, Path(options.images) / "steady.png")
    p50, p99 = calls.quantile(0.5), calls.quantile(0.99)
    errors = len(calls.due) - int(calls.answered.sum())
    row = [
        f"{setting.peak.per_second:.0f}",
        f"{len(calls.due) / seconds:.0f}",
        f"{1000 * p50:.2f}",
        f"{1000 * p99:.2f}",
        f"{p99 / p50:.2f}",
        f"{1000 * float(np.quantile(calls.late, 0.99)):.2f}",
        f"{first / 2**20:.1f}",
        f"{last / 2**20:.1f}",
        f"{(last - first) / first:+.2%}",
        str(errors),
    ]
    header = [f"peak of {CALLERS} callers, searches/s", "due, searches/s", "p50, ms", "p99, ms"]
    header += ["p99 to p50", "sent late p99, ms", "memory at first, MB", "at last, MB", "growth"]
    title = (
        f"{options.items} items, text queries, {SHARE:.0%} of the peak for {options.minutes:g}"
        f" minutes, open loop, {'even' if options.even else 'Poisson'} arrivals"
    )
    return [Table("steady", title, [*header, "errors"], [row])]


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    options = parser("steady", __doc__)
    options.add_argument("--minutes", type=float, default=10.0)
    return options.parse_args(arguments)


def _draw(calls: Calls, memory: MemoryWatch, path: Path) -> None:
    made, (latency, size) = figure(2)
    answered = calls.answered
    due, seconds = calls.due[answered], calls.seconds[answered]
    width = max(1.0, float(due[-1]) / 60)
    slots = (due // width).astype(int)
    for share, name in ((0.5, "p50"), (0.99, "p99")):
        heights = [np.quantile(seconds[slots == slot], share) for slot in np.unique(slots)]
        places = np.unique(slots) * width / 60
        latency.plot(places, 1000 * np.array(heights), label=name)
    latency.set_yscale("log")
    latency.set_xlabel("minutes")
    latency.set_ylabel("milliseconds from when a search was due")
    latency.legend()
    moments, held = np.array(memory.seen).T
    size.plot((moments - calls.begin) / 60, held / 2**20)
    size.set_ylim(0, 1.2 * held.max() / 2**20)
    size.set_xlabel("minutes")
    size.set_ylabel("memory of the server, MB")
    save(made, path)
