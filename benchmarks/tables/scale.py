"""How a collection grows from ten thousand items to a million: time, memory and disk.

Each size is filled, indexed, opened and searched in processes of its own, as a server would.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from benchmarks.contents.bundle import write_bundle
from benchmarks.contents.generated import CHUNK, clustered_chunks, summed, unit
from benchmarks.results import Table
from tashihiki_server.catalogue.base import ItemRecord
from tashihiki_server.library import Library

SIZES = (10_000, 30_000, 100_000, 300_000, 1_000_000)
NEIGHBOURS = 10
QUERIES = 300
COLLECTION = "items"
IMAGES = Path(__file__).parents[2] / "docs" / "images"
_BATCH = 1000

Facts = dict[str, Any]


def main(arguments: Sequence[str] = ()) -> list[Table]:
    """A table with a row for each size, and a picture of it."""
    parser = argparse.ArgumentParser("scale", description=__doc__)
    parser.add_argument("--max", type=int, default=SIZES[-1], help="largest number of items")
    parser.add_argument("--min", type=int, default=0, help="smallest number of items")
    parser.add_argument("--dimension", type=int, default=128)
    parser.add_argument("--data", default=None, help="folder for the data; a temporary one if none")
    parser.add_argument("--images", default=str(IMAGES), help="folder of the picture; '' for none")
    options = parser.parse_args(arguments)
    sizes = [size for size in SIZES if options.min <= size <= options.max]
    found = [_measured(size, options.dimension, options.data) for size in sizes]
    if options.images:
        _draw(found, Path(options.images) / "scale.png", options.dimension)
    return _report(found, options.dimension)


def _measured(count: int, dimension: int, where: str | None) -> Facts:
    folder = Path(tempfile.mkdtemp(prefix="scale-", dir=where))
    try:
        facts: Facts = {"count": count}
        for step in STEPS:
            facts |= _in_a_process(step, folder, count, dimension)
            print(f"{count} items, {step}: {facts}", file=sys.stderr, flush=True)  # noqa: T201
        return facts
    finally:
        shutil.rmtree(folder)


def _in_a_process(step: str, folder: Path, count: int, dimension: int) -> Facts:
    command = [sys.executable, "-m", "benchmarks.tables.scale", step, str(folder), str(count)]
    process = subprocess.Popen([*command, str(dimension)], stdout=subprocess.PIPE, text=True)
    peak = _Peak(process.pid)
    output, _ = process.communicate()
    most = peak.end()
    if process.returncode != 0:
        raise RuntimeError(f"{step} ended with status {process.returncode}")
    return {**json.loads(output.splitlines()[-1]), f"{step}_peak": most}


class _Peak:
    """The most memory that a process and its children held at once; shared pages count twice."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self._over = threading.Event()
        self._most = 0
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while not self._over.wait(0.2):
            try:
                family = [self._process, *self._process.children(recursive=True)]
                self._most = max(self._most, sum(p.memory_info().rss for p in family))
            except psutil.Error:
                continue

    def end(self) -> int:
        self._over.set()
        self._thread.join()
        return self._most


# The steps, each in a process


def _truth(folder: Path, count: int, dimension: int) -> Facts:
    """Queries of composed rows, and the similarity of the last neighbour of each."""
    wanted = np.random.default_rng(1).integers(count, size=(QUERIES, 3))
    rows = np.empty((QUERIES, 3, dimension), np.float32)
    for start, chunk in _chunks(count, dimension):
        here = (wanted >= start) & (wanted < start + len(chunk))
        rows[here] = chunk[wanted[here] - start]
    queries = unit(summed(rows))
    best = np.full((QUERIES, NEIGHBOURS), -1.0, np.float32)
    for _, chunk in _chunks(count, dimension):
        scores = np.concatenate([best, queries @ chunk.T], axis=1)
        best = np.partition(scores, scores.shape[1] - NEIGHBOURS, axis=1)[:, -NEIGHBOURS:]
    np.save(folder / "queries.npy", queries)
    np.save(folder / "least.npy", best.min(axis=1))
    write_bundle(folder / "bundle", dimension)
    return {}


def _chunks(count: int, dimension: int) -> Sequence[tuple[int, Any]] | Any:
    return zip(range(0, count, CHUNK), clustered_chunks(count, dimension), strict=True)


def _fill(folder: Path, count: int, dimension: int) -> Facts:
    """Writes the items, then waits for the index of all of them."""
    library = Library(folder / "data", folder / "bundle")
    collection = library.create(COLLECTION, space="sum")
    begin = time.perf_counter()
    for start, chunk in _chunks(count, dimension):
        for place in range(0, len(chunk), _BATCH):
            collection.upsert(
                [
                    ItemRecord(f"i{start + place + n:07d}", {}, embedding=vector)
                    for n, vector in enumerate(chunk[place : place + _BATCH])
                ]
            )
    filled = time.perf_counter()
    collection.settle()
    settled = time.perf_counter()
    library.close()
    return {"fill": filled - begin, "settle": settled - filled}


def _open(folder: Path, count: int, dimension: int) -> Facts:
    """Opens the folder as a server does, and searches."""
    queries, least = np.load(folder / "queries.npy"), np.load(folder / "least.npy")
    before = psutil.Process().memory_info().rss
    begin = time.perf_counter()
    library = Library(folder / "data", folder / "bundle")
    collection = library.collection(COLLECTION)
    state = collection.state
    collection.nearest(state, queries[0], NEIGHBOURS, None, set())
    opened = time.perf_counter()
    seconds, hits, routes = [], [], set()
    for query, worst in zip(queries, least, strict=True):
        start = time.perf_counter()
        found = collection.nearest(state, query, NEIGHBOURS, None, set())
        seconds.append(time.perf_counter() - start)
        hits.append(int((found.similarities >= worst - 1e-6).sum()))
        routes.add(found.route.value)
    process = psutil.Process()
    facts = {
        "open": opened - begin,
        "p50": float(np.median(seconds)),
        "p99": float(np.quantile(seconds, 0.99)),
        "recall": float(np.mean(hits)) / NEIGHBOURS,
        "route": "/".join(sorted(routes)),
        "memory": process.memory_info().rss - before,
        "open_most": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }
    library.close()
    files = [path for path in (folder / "data").rglob("*") if path.is_file()]
    return {**facts, "disk": sum(path.stat().st_size for path in files)}


STEPS: dict[str, Callable[[Path, int, int], Facts]] = {
    "truth": _truth,
    "fill": _fill,
    "open": _open,
}


# The answer


def _report(found: Sequence[Facts], dimension: int) -> list[Table]:
    rows = [
        [
            str(facts["count"]),
            f"{facts['fill']:.1f}",
            f"{facts['settle']:.1f}",
            f"{facts['open']:.2f}",
            f"{1000 * facts['p50']:.2f}",
            f"{1000 * facts['p99']:.2f}",
            f"{facts['recall']:.4f}",
            facts["route"],
            f"{facts['memory'] / 2**20:.0f}",
            f"{facts['fill_peak'] / 2**20:.0f}",
            f"{facts['disk'] / 2**20:.0f}",
        ]
        for facts in found
    ]
    header = ["items", "fill, s", "index after it, s", "open, s", "p50, ms", "p99, ms"]
    header += [f"recall@{NEIGHBOURS}", "route", "memory, MB", "peak of fill and build, MB"]
    header += ["disk, MB"]
    title = f"Items of {dimension} generated dimensions, composed queries"
    return [Table("scale", title, header, rows)]


def _draw(found: Sequence[Facts], path: Path, dimension: int) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    counts = [facts["count"] for facts in found]
    curves = {
        "seconds": {"fill": 1.0, "settle": 1.0, "open": 1.0},
        "milliseconds of a search": {"p50": 1e3, "p99": 1e3},
        "MB": {"memory": 2**-20, "fill_peak": 2**-20, "disk": 2**-20},
    }
    names = {"settle": "index after the fill", "fill_peak": "peak of fill and build"}
    figure, axes = plt.subplots(1, len(curves), figsize=(4.6 * len(curves), 4))
    for place, (unit_, parts) in zip(axes, curves.items(), strict=True):
        for part, factor in parts.items():
            heights = [facts[part] * factor for facts in found]
            place.plot(counts, heights, marker="o", label=names.get(part, part))
        place.set_xscale("log")
        place.set_yscale("log")
        place.set_xlabel(f"items of {dimension} dimensions")
        place.set_ylabel(unit_)
        place.legend(fontsize=8)
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)


if __name__ == "__main__":
    print(json.dumps(STEPS[sys.argv[1]](Path(sys.argv[2]), *map(int, sys.argv[3:5]))))  # noqa: T201
