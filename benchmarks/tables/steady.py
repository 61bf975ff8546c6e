"""At 70 % of the peak for ten minutes: does latency stay even, and memory flat?

Open loop: see `open_loop`. The machine is watched too, since on a shared one it may be the machine
that does not stay even.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.loads.closed_loop import CALLERS
from benchmarks.loads.machine_watch import MachineWatch
from benchmarks.loads.memory_watch import MemoryWatch
from benchmarks.loads.open_loop import Calls, Schedule, open_loop
from benchmarks.loads.processor_watch import ProcessorWatch
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
# What p99 may be to p50.
_WITHIN = 4


@dataclass(frozen=True)
class _Run:
    """What became of the calls, and what was seen meanwhile."""

    calls: Calls
    memory: MemoryWatch
    server: ProcessorWatch
    machine: MachineWatch


def main(arguments: Sequence[str] = ()) -> list[Table]:
    """A row for each kind of arrivals, and a plot of latency and memory over time."""
    options = _options(arguments)
    seconds = 60 * options.minutes
    found = {}
    with loaded(options, options.kind) as setting:
        rate = SHARE * setting.peak.per_second
        open_loop(setting.target, Schedule(rate, _WARM_UP * seconds), seed=1)
        pid = setting.server.process.pid
        for arrivals in options.arrivals:
            poisson = arrivals == POISSON
            schedule = Schedule(rate, seconds, poisson, options.timeout, options.clients)
            with (
                MemoryWatch(pid) as memory,
                ProcessorWatch(pid) as server,
                MachineWatch() as machine,
            ):
                calls = open_loop(setting.target, schedule)
            found[arrivals] = _Run(calls, memory, server, machine)
    if options.images:
        _draw(found, Path(options.images) / "steady.png")
    rows = [[name, *_cells(run, seconds)] for name, run in found.items()]
    header = ["arrivals", "due, searches/s", "p50, ms", "p99, ms", "p99 to p50"]
    header += ["median minute p99 to p50", f"minutes within {_WITHIN}", "sent late p99, ms"]
    header += ["p99 of sleepers, ms", "stolen", "server, cores", "clients, cores", "all, cores"]
    header += ["memory at first, MB", "at last, MB", "growth", "errors"]
    title = (
        f"{setting.name}, {SHARE:.0%} of the {setting.peak.per_second:.0f} searches/s of {CALLERS}"
        f" callers for {options.minutes:g} minutes, open loop"
    )
    return [Table("steady", title, header, rows)]


def _cells(run: _Run, seconds: float) -> list[str]:
    calls, machine = run.calls, run.machine
    edge, begin, end = _EDGE * seconds, calls.begin, calls.begin + seconds
    first = run.memory.between(begin, begin + edge)
    last = run.memory.between(end - edge, end)
    minutes = calls.p99_to_p50_by_minute()
    errors = len(calls.due) - int(calls.answered.sum())
    return [
        f"{len(calls.due) / seconds:.0f}",
        _ms(calls.quantile(0.5)),
        _ms(calls.quantile(0.99)),
        f"{calls.p99_to_p50:.2f}",
        f"{np.median(minutes):.2f}",
        f"{np.count_nonzero(minutes <= _WITHIN)} of {len(minutes)}",
        _ms(float(np.quantile(calls.late, 0.99))),
        _ms(machine.late(begin, end)),
        f"{machine.stolen(begin, end):.2%}",
        f"{run.server.cores(begin, end):.2f}",
        f"{calls.processor_seconds / seconds:.2f}",
        f"{machine.busy(begin, end):.2f}",
        f"{first / 2**20:.1f}",
        f"{last / 2**20:.1f}",
        f"{(last - first) / first:+.2%}",
        str(errors),
    ]


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:.2f}"


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    options = parser("steady", __doc__)
    options.add_argument("--kind", choices=KINDS, default="text", help="of queries")
    options.add_argument("--arrivals", nargs="+", choices=ARRIVALS, default=ARRIVALS)
    options.add_argument("--minutes", type=float, default=10.0)
    return options.parse_args(arguments)


def _draw(found: Mapping[str, _Run], path: Path) -> None:
    made, (latency, size, stolen) = figure(3)
    most = 0.0
    for arrivals, run in found.items():
        calls = run.calls
        due, seconds = calls.due[calls.answered], calls.seconds[calls.answered]
        slots = (due // max(1.0, float(due[-1]) / 60)).astype(int)
        for share, name in ((0.5, "p50"), (0.99, "p99")):
            heights = [np.quantile(seconds[slots == slot], share) for slot in np.unique(slots)]
            places = np.unique(slots) * max(1.0, float(due[-1]) / 60) / 60
            latency.plot(places, 1000 * np.array(heights), label=f"{name}, {arrivals}")
        moments, held = np.array(run.memory.seen).T
        size.plot((moments - calls.begin) / 60, held / 2**20, label=arrivals)
        most = max(most, float(held.max()) / 2**20)
        moments, shares = run.machine.stolen_by_second.T
        stolen.plot((moments - calls.begin) / 60, 100 * shares, label=arrivals)
    latency.set_yscale("log")
    latency.set_xlabel("minutes")
    latency.set_ylabel("milliseconds from when a search was due")
    latency.legend()
    size.set_ylim(0, 1.2 * most)
    size.set_xlabel("minutes")
    size.set_ylabel("memory of the server, MB")
    size.legend()
    stolen.set_ylim(bottom=0)
    stolen.set_xlabel("minutes")
    stolen.set_ylabel("stolen from the processors, % of each second")
    stolen.legend()
    save(made, path)
