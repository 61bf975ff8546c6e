"""Three times as much as the server can do: does it go on, refuse the rest and stay healthy?

Open loop: see `open_loop`. Goodput is what was answered, within the timeout, a second.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from benchmarks.loads.closed_loop import CALLERS
from benchmarks.loads.health_watch import HealthWatch
from benchmarks.loads.open_loop import Calls, Schedule, open_loop
from benchmarks.loads.sustained import KINDS, loaded, parser
from benchmarks.loads.targets import OK
from benchmarks.pictures import figure, save
from benchmarks.results import Table

REFUSED = "RESOURCE_EXHAUSTED"


def main(arguments: Sequence[str] = ()) -> list[Table]:
    """For each kind of queries a row for each multiple of the peak, and a plot of goodput."""
    options = _options(arguments)
    found = {kind: _measured(options, kind) for kind in options.kinds}
    if options.images:
        shares = {kind: goodput for kind, (_, goodput) in found.items()}
        _draw(options.times, shares, Path(options.images) / "overload.png")
    return [table for table, _ in found.values()]


def _measured(options: argparse.Namespace, kind: str) -> tuple[Table, list[float]]:
    """The table, and the goodput at each multiple, as a share of the peak."""
    rows, shares = [], []
    with loaded(options, kind) as setting:
        peak = setting.peak.per_second
        for times in options.times:
            schedule = Schedule(
                times * peak, options.seconds, True, options.timeout, options.clients
            )
            with HealthWatch(setting.target.address) as health:
                calls = open_loop(setting.target, schedule, seed=int(10 * times))
            rows.append([f"{times:g}", *_cells(calls, options.seconds, peak, health)])
            shares.append(calls.answered.sum() / options.seconds / peak)
    header = ["times the peak", "due, searches/s", "answered", "goodput, searches/s"]
    header += ["goodput to peak", "p50 of answers, ms", "p99 of answers, ms", "refused"]
    header += ["refused with a hint", "other failures", "sent late p99, ms"]
    header += ["health check p99, ms", "health checks failed"]
    title = (
        f"{setting.name}, peak of {CALLERS} callers {peak:.0f} searches/s,"
        f" {options.seconds:g} s each, open loop, timeout {options.timeout:g} s"
    )
    return Table(kind, title, header, rows), shares


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    options = parser("overload", __doc__, timeout=2.0)
    options.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS, help="of queries")
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


def _draw(times: Sequence[float], shares: Mapping[str, Sequence[float]], path: Path) -> None:
    made, (place,) = figure(1)
    for kind, goodput in shares.items():
        place.plot(times, goodput, marker="o", label=f"{kind} queries answered")
    asked = np.linspace(0, max(times))
    place.plot(asked, np.minimum(asked, 1.0), linestyle=":", color="grey", label="ideal")
    place.axhline(0.8, linewidth=0.8, color="grey")
    place.set_ylim(bottom=0)
    place.set_xlabel("asked for, times the peak")
    place.set_ylabel("goodput, times the peak")
    place.legend()
    save(made, path)
