"""How soon a server with 100,000 items answers, and what `import tashihiki` costs."""

from __future__ import annotations

import argparse
import json
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence

from benchmarks.contents.filled_server import Place, filled
from benchmarks.contents.requests import text_filling, text_requests
from benchmarks.results import Table
from server_process import running
from tashihiki.v1 import search_pb2

# A line of `-X importtime`: own and cumulated microseconds, and the module by depth.
_IMPORTED = re.compile(r"import time:\s+(\d+) \|\s+(\d+) \|(\s+)(\S+)")
_PROBE = """
import json, time
wall, cpu = time.perf_counter(), time.process_time()
import tashihiki
print(json.dumps([time.perf_counter() - wall, time.process_time() - cpu]))
"""


def main(arguments: Sequence[str] = ()) -> list[Table]:
    """Starts, imports, and the heaviest modules of these."""
    options = _options(arguments)
    filling = text_filling(options.items, options.dimension)
    request = text_requests(filling.kind)[0]
    folder = f"{options.data}/text" if options.data else None
    with filled(filling, folder=folder) as place:
        starts = [_started(place, request) for _ in range(options.rounds)]
    imports = [_imported() for _ in range(options.rounds)]
    rows = [
        [f"`tashihiki serve`, {options.items} items, first answer", *_spread(starts)],
        ["`import tashihiki`, wall", *_spread([wall for wall, _ in imports])],
        ["`import tashihiki`, processor", *_spread([cpu for _, cpu in imports])],
    ]
    title = f"Starts, {options.rounds} times"
    return [
        Table("start", title, ["what", "median, s", "slowest, s"], rows),
        Table(
            "imports",
            "The heaviest modules of `import tashihiki`, with what they import",
            ["module", "ms", "of them in itself"],
            _heaviest(options.modules),
        ),
    ]


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser("start", description=__doc__)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--dimension", type=int, default=128, help="of the items")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--modules", type=int, default=10, help="how many are listed")
    parser.add_argument("--data", default=None, help="folder that is kept and used again")
    return parser.parse_args(arguments)


def _started(place: Place, request: search_pb2.SearchRequest) -> float:
    """Seconds from the start of the process until it has answered a search."""
    begin = time.perf_counter()
    with running(place.data, place.bundle) as server:
        hits = server.search.Search(request).hits
        taken = time.perf_counter() - begin
    if not hits:
        raise RuntimeError("the server found nothing")
    return taken


def _imported() -> tuple[float, float]:
    """Seconds of the clock and of the processor, in a process of its own."""
    done = subprocess.run([sys.executable, "-c", _PROBE], stdout=subprocess.PIPE, check=True)
    wall, cpu = json.loads(done.stdout)
    return wall, cpu


def _heaviest(count: int) -> list[list[str]]:
    command = [sys.executable, "-X", "importtime", "-c", "import tashihiki"]
    text = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=True).stderr
    found = [(int(all_), int(own), name) for own, all_, _, name in _IMPORTED.findall(text)]
    return [
        [f"`{name}`", f"{all_ / 1000:.1f}", f"{own / 1000:.1f}"]
        for all_, own, name in sorted(found, reverse=True)[:count]
    ]


def _spread(seconds: Sequence[float]) -> list[str]:
    return [f"{statistics.median(seconds):.3f}", f"{max(seconds):.3f}"]
