"""Would several server processes answer more than one? Measured before any is built.

Each process has a copy of the items and of the callers its share, which is the best that several
on one port could come to: one that writes and others that read its generations would do more.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.contents.filled_server import Place, filled
from benchmarks.contents.requests import text_filling, text_requests, unrepeated
from benchmarks.loads.closed_loop import CALLERS, Rate, in_turns
from benchmarks.loads.targets import Connection, GrpcTarget
from benchmarks.results import Table
from server_process import ServerProcess, running
from tashihiki_server.encoder.streams import cores


@dataclass(frozen=True)
class _Spread:
    """Callers go to servers in turn."""

    targets: Sequence[GrpcTarget]

    def connect(self, number: int) -> Connection:
        """See `Target.connect`."""
        return self.targets[number % len(self.targets)].connect(number)


def main(arguments: Sequence[str] = ()) -> list[Table]:
    """A row for each number of processes."""
    options = _options(arguments)
    filling = text_filling(options.items, options.dimension)
    requests = [r.SerializeToString() for r in unrepeated(text_requests(filling.kind))]
    folder = f"{options.data}/text" if options.data else None
    with ExitStack() as stack:
        place = stack.enter_context(filled(filling, folder=folder))
        copies = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        servers: list[ServerProcess] = []
        for number in range(max(options.processes)):
            copy = Place(copies / str(number), place.bundle)
            shutil.copytree(place.data, copy.data)
            servers.append(stack.enter_context(running(copy.data, copy.bundle)))
        targets = [GrpcTarget(f"127.0.0.1:{server.port}", requests) for server in servers]
        spread = {str(count): _Spread(targets[:count]) for count in options.processes}
        rates = in_turns(spread, CALLERS, options.seconds, options.rounds)
        memory = [psutil.Process(server.process.pid).memory_info().rss for server in servers]
    first = next(iter(rates.values())).per_second
    title = f"{options.items} items, text queries, {CALLERS} callers, {cores()} cores"
    header = ["processes", "queries/s", "to one", "p50, ms", "memory of all, MB", "failed"]
    rows = [_row(count, rate, first, memory) for count, rate in rates.items()]
    return [Table("processes", title, header, rows)]


def _row(count: str, rate: Rate, first: float, memory: Sequence[int]) -> list[str]:
    return [
        count,
        f"{rate.per_second:.0f}",
        f"{rate.per_second / first:.2f}",
        f"{1000 * statistics.median(rate.seconds):.1f}",
        f"{sum(memory[: int(count)]) / 2**20:.0f}",
        str(sum(rate.failures.values())),
    ]


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser("processes", description=__doc__)
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--dimension", type=int, default=128, help="of the items")
    parser.add_argument("--seconds", type=float, default=10.0, help="of a turn")
    parser.add_argument("--rounds", type=int, default=3, help="turns")
    parser.add_argument("--data", default=None, help="folder that is kept and used again")
    return parser.parse_args(arguments)
