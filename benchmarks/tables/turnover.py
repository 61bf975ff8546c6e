"""What ten turnovers and the removal of half the items leave of recall, memory and disk.

A worn collection, every item of which was replaced ten times and half of them then removed, beside
a fresh one of the same items.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from benchmarks.contents.bundle import write_bundle
from benchmarks.contents.generated import clustered, compositions
from benchmarks.results import Table
from tashihiki_server.catalogue.base import ItemRecord
from tashihiki_server.collection.collection import Collection
from tashihiki_server.library import Library
from tashihiki_server.space.base import Vectors

COLLECTION = "items"
NEIGHBOURS = 10
QUERIES = 300
BATCH = 1000
# For pages that are given back in the background.
CALM_SECONDS = 120.0

Facts = dict[str, Any]


def main(arguments: Sequence[str] = ()) -> list[Table]:
    """A table with the fresh collection, the worn one and their ratios."""
    parser = argparse.ArgumentParser("turnover", description=__doc__)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--dimension", type=int, default=128)
    parser.add_argument("--turnovers", type=int, default=10)
    options = parser.parse_args(arguments)
    fresh = _lived(options.items, options.dimension, 0)
    worn = _lived(options.items, options.dimension, options.turnovers)
    rows = [
        [name, *_cells(facts)]
        for name, facts in (("fresh", fresh), (f"after {options.turnovers} turnovers", worn))
    ]
    sizes = ("live_memory", "memory", "disk")
    ratios = [f"{worn[size] / fresh[size]:.2f}" for size in sizes]
    rows.append(["ratio", "", *ratios, f"{worn['p50'] / fresh['p50']:.2f}"])
    header = ["collection", f"recall@{NEIGHBOURS}", "memory of the process that wrote, MB"]
    header += ["memory opened again, MB", "disk, MB", "p50, ms"]
    title = f"{options.items // 2} of {options.items} items of {options.dimension} dimensions left"
    return [Table("turnover", title, header, rows)]


def _cells(facts: Facts) -> list[str]:
    sizes = [f"{facts[size] / 2**20:.0f}" for size in ("live_memory", "memory", "disk")]
    return [f"{facts['recall']:.4f}", *sizes, f"{1000 * facts['p50']:.2f}"]


def _lived(count: int, dimension: int, turnovers: int) -> Facts:
    folder = Path(tempfile.mkdtemp(prefix="turnover-"))
    try:
        write_bundle(folder / "bundle", dimension)
        facts: Facts = {}
        for step in STEPS:
            command = [sys.executable, "-m", "benchmarks.tables.turnover", step, str(folder)]
            words = [*command, str(count), str(dimension), str(turnovers)]
            done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True)
            facts |= json.loads(done.stdout.splitlines()[-1])
        return facts
    finally:
        shutil.rmtree(folder)


def _last(count: int, dimension: int) -> Vectors:
    """The vectors of the items that are left: the even ones of the last turnover."""
    return clustered(count, dimension, seed=0).vectors[::2]


def _live(folder: Path, count: int, dimension: int, turnovers: int) -> Facts:
    library = Library(folder / "data", folder / "bundle")
    collection = library.create(COLLECTION, space="sum")
    for turn in range(turnovers, -1, -1):
        vectors = clustered(count, dimension, seed=turn).vectors
        if not turnovers:
            vectors = vectors[::2]
        step = 1 if turnovers else 2
        for start in range(0, len(vectors), BATCH):
            batch = vectors[start : start + BATCH]
            collection.upsert(
                [
                    ItemRecord(f"i{step * (start + n):08d}", {}, embedding=vector)
                    for n, vector in enumerate(batch)
                ]
            )
    if turnovers:
        doomed = [f"i{n:08d}" for n in range(1, count, 2)]
        for start in range(0, len(doomed), BATCH):
            collection.delete(doomed[start : start + BATCH], skip_missing=False)
    del vectors
    collection.settle()
    _calm(folder / "data")
    facts = {"live_memory": psutil.Process().memory_info().rss}
    library.close()
    return facts


def _calm(data: Path) -> None:
    """Waits until the folder has had one size for five seconds."""
    end = time.monotonic() + CALM_SECONDS
    size, since = -1, time.monotonic()
    while time.monotonic() < end and time.monotonic() - since < 5:
        now = _size(data)
        if now != size:
            size, since = now, time.monotonic()
        time.sleep(0.2)


def _size(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except FileNotFoundError:
            continue
    return total


def _look(folder: Path, count: int, dimension: int, turnovers: int) -> Facts:
    disk = _size(folder / "data")
    begin = psutil.Process().memory_info().rss
    library = Library(folder / "data", folder / "bundle")
    collection = library.collection(COLLECTION)
    memory = psutil.Process().memory_info().rss - begin
    recall, p50 = _asked(collection, count, dimension)
    library.close()
    return {"memory": memory, "disk": disk, "recall": recall, "p50": p50}


def _asked(collection: Collection, count: int, dimension: int) -> tuple[float, float]:
    vectors = _last(count, dimension)
    gallery = clustered(1, dimension)
    queries = compositions(type(gallery)(vectors, gallery.labels, (), gallery.blocks), QUERIES)
    state = collection.state
    hits, seconds = [], []
    for query in queries:
        least = np.partition(vectors @ query, len(vectors) - NEIGHBOURS)[-NEIGHBOURS]
        begin = time.perf_counter()
        found = collection.nearest(state, query, NEIGHBOURS, None, set())
        seconds.append(time.perf_counter() - begin)
        hits.append(int((found.similarities >= least - 1e-6).sum()))
    return float(np.mean(hits)) / NEIGHBOURS, float(np.median(seconds))


STEPS = {"live": _live, "look": _look}

if __name__ == "__main__":
    print(json.dumps(STEPS[sys.argv[1]](Path(sys.argv[2]), *map(int, sys.argv[3:6]))))  # noqa: T201
