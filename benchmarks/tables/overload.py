"""Three times as much as the server can do: does it go on, refuse the rest and stay healthy?

Open loop: see `open_loop`. Goodput is what was answered, within the timeout, a second.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.loads.health_watch import HealthWatch
from benchmarks.loads.open_loop import Calls, Schedule, open_loop
from benchmarks.loads.sustained import CALLERS, loaded, parser
from benchmarks.loads.targets import OK
from benchmarks.pictures import figure, save
from benchmarks.results import Table

REFUSED = "RESOURCE_EXHAUSTED"


def main(arguments: Sequence[str] = ()) -> list[Table]:
    """A row for each multiple of the peak, and a plot of goodput."""
    options = _options(arguments)
    rows, goodputs = [], []
    with loaded(options) as setting:
        peak = setting.peak.per_second
        for times in options.times:
            schedule = Schedule(
                times * peak, options.seconds, not options.even, options.timeout, options.clients
            )
            with HealthWatch(setting.target.address) as health:
                calls = open_loop(setting.target, schedule, seed=int(10 * times))
            rows.append([f"{times:g}", *_cells(calls, options.seconds, peak, health)])
            goodputs.append(calls.answered.sum() / options.seconds)
    if options.images:
        _draw(options.times, goodputs, peak, Path(options.images) / "overload.png")
    header = ["times the peak", "due, searches/s", "answered", "goodput, searches/s"]
    header += ["goodput to peak", "p50 of answers, ms", "p99 of answers, ms", "refused"]
    header += ["refused with a hint", "other failures", "sent late p99, ms"]
    header += ["health check p99, ms", "health checks failed"]
    title = (
        f"{options.items} items, text queries, peak of {CALLERS} callers {peak:.0f} searches/s,"
        f" {options.seconds:g} s each, open loop, timeout {options.timeout:g} s"
    )
    return [Table("overload", title, header, rows)]


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    options = parser("overload", __doc__, timeout=2.0)
    options.add_argument("--times", type=float, nargs="+", default=[0.7, 1.0, 2.0, 3.0])
    options.add_argument("--seconds", type=float, default=30.0, help="of each")
    return options.parse_args(arguments)


def _cells(calls: Calls, seconds: float, peak: float, health: HealthWatch) -> list[str]:
    count = max(1, len(calls.due))
    goodput = float(calls.answered.sum()) / seconds
    refused = calls.codes == REFUSED
    others = Counter(calls.codes[(calls.codes != REFUSED) & (calls.codes != OK)].tolist())
    hinted = calls.hinted[refused].mean() if refused.any() else 0.0
    return [
        f"{len(calls.due) / seconds:.0f}",
        f"{calls.answered.sum() / count:.1%}",
        f"{goodput:.0f}",
        f"{goodput / peak:.2f}",
        f"{1000 * calls.quantile(0.5):.1f}",
        f"{1000 * calls.quantile(0.99):.1f}",
        f"{refused.mean():.1%}",
        f"{hinted:.0%}" if refused.any() else "–",
        ", ".join(f"{times} {code}" for code, times in others.items()) or "0",
        f"{1000 * float(np.quantile(calls.late, 0.99)):.1f}",
        f"{1000 * health.p99:.1f}",
        f"{health.failed} of {health.count}",
    ]


def _draw(times: Sequence[float], goodputs: Sequence[float], peak: float, path: Path) -> None:
    made, (place,) = figure(1)
    place.plot(times, np.array(goodputs) / peak, marker="o", label="answered")
    asked = np.linspace(0, max(times))
    place.plot(asked, np.minimum(asked, 1.0), linestyle=":", color="grey", label="ideal")
    place.axhline(0.8, linewidth=0.8, color="grey")
    place.set_ylim(bottom=0)
    place.set_xlabel("asked for, times the peak")
    place.set_ylabel("goodput, times the peak")
    place.legend()
    save(made, path)
