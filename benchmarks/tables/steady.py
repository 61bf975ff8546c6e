"""At 70 % of the peak for ten minutes: does latency stay even, and memory flat?

Open loop: see `open_loop`.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from benchmarks.loads.closed_loop import CALLERS
from benchmarks.loads.memory_watch import MemoryWatch
from benchmarks.loads.open_loop import Calls, Schedule, open_loop
from benchmarks.loads.sustained import KINDS, loaded, parser
from benchmarks.pictures import figure, save
from benchmarks.results import Table

SHARE = 0.7
POISSON = "poisson"
ARRIVALS = (POISSON, "even")
# Of the run, at its begin and at its end, over which memory is compared.
_EDGE = 0.1
# Caches fill and threads start meanwhile.
_WARM_UP = 0.1


def main(arguments: Sequence[str] = ()) -> list[Table]:
    """A row for each kind of arrivals, and a plot of latency and memory over time."""
    options = _options(arguments)
    seconds = 60 * options.minutes
    found = {}
    with loaded(options, options.kind) as setting:
        rate = SHARE * setting.peak.per_second
        open_loop(setting.target, Schedule(rate, _WARM_UP * seconds), seed=1)
        for arrivals in options.arrivals:
            poisson = arrivals == POISSON
            schedule = Schedule(rate, seconds, poisson, options.timeout, options.clients)
            with MemoryWatch(setting.server.process.pid) as memory:
                found[arrivals] = open_loop(setting.target, schedule), memory
    if options.images:
        _draw(found, Path(options.images) / "steady.png")
    rows = [[name, *_cells(calls, memory, seconds)] for name, (calls, memory) in found.items()]
    header = ["arrivals", "due, searches/s", "p50, ms", "p99, ms", "p99 to p50"]
    header += ["sent late p99, ms", "memory at first, MB", "at last, MB", "growth", "errors"]
    title = (
        f"{setting.name}, {SHARE:.0%} of the {setting.peak.per_second:.0f} searches/s of {CALLERS}"
        f" callers for {options.minutes:g} minutes, open loop"
    )
    return [Table("steady", title, header, rows)]


def _cells(calls: Calls, memory: MemoryWatch, seconds: float) -> list[str]:
    edge, begin = _EDGE * seconds, calls.begin
    first = memory.between(begin, begin + edge)
    last = memory.between(begin + seconds - edge, begin + seconds)
    p50, p99 = calls.quantile(0.5), calls.quantile(0.99)
    errors = len(calls.due) - int(calls.answered.sum())
    return [
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


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    options = parser("steady", __doc__)
    options.add_argument("--kind", choices=KINDS, default="text", help="of queries")
    options.add_argument("--arrivals", nargs="+", choices=ARRIVALS, default=ARRIVALS)
    options.add_argument("--minutes", type=float, default=10.0)
    return options.parse_args(arguments)


def _draw(found: Mapping[str, tuple[Calls, MemoryWatch]], path: Path) -> None:
    made, (latency, size) = figure(2)
    most = 0.0
    for arrivals, (calls, memory) in found.items():
        due, seconds = calls.due[calls.answered], calls.seconds[calls.answered]
        slots = (due // max(1.0, float(due[-1]) / 60)).astype(int)
        for share, name in ((0.5, "p50"), (0.99, "p99")):
            heights = [np.quantile(seconds[slots == slot], share) for slot in np.unique(slots)]
            places = np.unique(slots) * max(1.0, float(due[-1]) / 60) / 60
            latency.plot(places, 1000 * np.array(heights), label=f"{name}, {arrivals}")
        moments, held = np.array(memory.seen).T
        size.plot((moments - calls.begin) / 60, held / 2**20, label=arrivals)
        most = max(most, float(held.max()) / 2**20)
    latency.set_yscale("log")
    latency.set_xlabel("minutes")
    latency.set_ylabel("milliseconds from when a search was due")
    latency.legend()
    size.set_ylim(0, 1.2 * most)
    size.set_xlabel("minutes")
    size.set_ylabel("memory of the server, MB")
    size.legend()
    save(made, path)
