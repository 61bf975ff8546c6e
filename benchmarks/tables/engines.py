"""Our index beside others on the same vectors and the same composed queries.

Each engine builds and answers in a process of its own, on one thread, and they take turns, so
that a noisy machine is noisy for all of them.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import multiprocessing
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import psutil
from numpy.typing import NDArray

from benchmarks.contents.generated import Gallery, clustered, compositions, factored
from benchmarks.floors import built_index
from benchmarks.results import Table
from tashihiki_server.index.calibration import Calibration
from tashihiki_server.index.opening import open_index
from tashihiki_server.space.base import Vectors

NEIGHBOURS = 10
TARGET = 0.99
# Of our index: what the build calibrated.
CHOSEN = "as calibrated"
IMAGES = Path(__file__).parents[2] / "docs" / "images"
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")

Rows = NDArray[np.int64]
Setting = str


class Engine(Protocol):
    """A built index of any make."""

    def settings(self) -> Sequence[Setting]:
        """What it can be asked with, from the fastest to the most exact."""
        ...

    def search(self, query: Vectors, setting: Setting) -> Rows:
        """The NEIGHBOURS rows nearest to a unit vector (d,)."""
        ...


@dataclass(frozen=True)
class Built:
    """What an engine came to."""

    seconds: float
    peak_bytes: int
    bytes: int
    settings: Sequence[Setting]


@dataclass
class Point:
    """One engine with one setting, over all rounds."""

    recall: float = 0.0
    seconds: list[float] = field(default_factory=list)

    @property
    def milliseconds(self) -> float:
        return 1000 * statistics.median(self.seconds)


def main(arguments: Sequence[str] = ()) -> list[Table]:
    """Tables of builds and of curves, and a picture of the curves."""
    options = _options(arguments)
    os.environ.update(_ONE_THREAD)
    tables: list[Table] = []
    curves: dict[str, dict[str, dict[Setting, Point]]] = {}
    for case in options.cases:
        with tempfile.TemporaryDirectory() as folder:
            built, curves[case] = _compare(case, options, Path(folder))
        tables += _report(case, options, built, curves[case])
    if options.images:
        _draw(
            curves,
            Path(options.images) / "engines.png",
            {case: _count(case, options) for case in curves},
        )
    return tables


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser("engines", description=__doc__)
    parser.add_argument("--items", type=int, default=0, help="0 for those of each case")
    parser.add_argument("--dimension", type=int, default=1280, help="of the case `sum`")
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cases", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--engines", nargs="+", choices=list(ENGINES), default=list(ENGINES))
    parser.add_argument("--images", default=str(IMAGES), help="folder of the picture; '' for none")
    return parser.parse_args(arguments)


CASES: dict[str, Callable[[int, int], Gallery]] = {
    "factored": lambda count, dimension: factored(count),
    "sum": clustered,
}
ITEMS = {"factored": 100_000, "sum": 30_000}


# One engine, in its process


class _Ours:
    """As the server opens it, and with less and more effort than the build chose."""

    def __init__(self, gallery: Gallery, folder: Path) -> None:
        self._folder = folder / "ours"
        self.cost = built_index.build(self._folder, gallery)
        self._built = built_index.opened(self._folder)
        self._efforts = _efforts(self._built.calibration)
        self._setting = CHOSEN

    def settings(self) -> Sequence[Setting]:
        return list(self._efforts)

    def search(self, query: Vectors, setting: Setting) -> Rows:
        if setting != self._setting:
            self._open(setting)
        return self._built.nearest(query, NEIGHBOURS)

    def _open(self, setting: Setting) -> None:
        if self._built.index is not None:
            self._built.index.close()
        calibration = self._efforts[setting]
        index = open_index(self._folder, self._built.vectors, calibration)
        self._built = replace(self._built, calibration=calibration, index=index)
        self._setting = setting


def _efforts(chosen: Calibration) -> dict[Setting, Calibration]:
    """The settings of a curve, by name."""
    found: dict[Setting, Calibration] = {}
    for factor in (0.05, 0.1, 0.2, 0.4, 0.7, 1.5, 2.5) if chosen.cells else ():
        cells = tuple(
            tuple(
                replace(effort, rows={c: max(1, int(n * factor)) for c, n in effort.rows.items()})
                for effort in division
            )
            for division in chosen.cells
        )
        found[f"{factor:g} × the rows"] = replace(chosen, cells=cells)
    if chosen.graph is not None:
        for epsilon in (0.0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4):
            graph = {count: replace(s, epsilon=epsilon) for count, s in chosen.graph.items()}
            found[f"{epsilon:g}"] = replace(chosen, graph=graph)
    return {**found, CHOSEN: chosen}


class _Ngt:
    def __init__(self, gallery: Gallery, folder: Path) -> None:
        import ngtpy

        path = str(folder / "ngt").encode()
        ngtpy.create(path=path, dimension=gallery.vectors.shape[1], distance_type="L2")
        index = ngtpy.Index(path)
        index.batch_insert(gallery.vectors, num_threads=1)
        index.save()
        index.close()
        self._index = ngtpy.Index(path, read_only=True)

    def settings(self) -> Sequence[Setting]:
        return ["0", "0.02", "0.05", "0.1", "0.15", "0.2", "0.3", "0.4"]

    def search(self, query: Vectors, setting: Setting) -> Rows:
        found = self._index.search(
            query, size=NEIGHBOURS, epsilon=float(setting), with_distance=False
        )
        return np.asarray(found, dtype=np.int64)


class _Hnswlib:
    def __init__(self, gallery: Gallery, folder: Path) -> None:
        import hnswlib

        count, dimension = gallery.vectors.shape
        self._index = hnswlib.Index(space="ip", dim=dimension)
        self._index.init_index(max_elements=count, ef_construction=200, M=16, random_seed=1)
        self._index.add_items(gallery.vectors, num_threads=1)
        self._index.set_num_threads(1)

    def settings(self) -> Sequence[Setting]:
        return _EFFORTS

    def search(self, query: Vectors, setting: Setting) -> Rows:
        self._index.set_ef(int(setting))
        return np.asarray(self._index.knn_query(query, k=NEIGHBOURS)[0][0], dtype=np.int64)


class _FaissFlat:
    def __init__(self, gallery: Gallery, folder: Path) -> None:
        import faiss

        faiss.omp_set_num_threads(1)
        self._index = faiss.IndexFlatIP(gallery.vectors.shape[1])
        self._index.add(gallery.vectors)

    def settings(self) -> Sequence[Setting]:
        return ["exact"]

    def search(self, query: Vectors, setting: Setting) -> Rows:
        return np.asarray(self._index.search(query[None], NEIGHBOURS)[1][0], dtype=np.int64)


class _FaissHnsw:
    def __init__(self, gallery: Gallery, folder: Path) -> None:
        import faiss

        faiss.omp_set_num_threads(1)
        dimension = gallery.vectors.shape[1]
        self._index = faiss.IndexHNSWFlat(dimension, 32, faiss.METRIC_INNER_PRODUCT)
        self._index.hnsw.efConstruction = 200
        self._index.add(gallery.vectors)

    def settings(self) -> Sequence[Setting]:
        return _EFFORTS

    def search(self, query: Vectors, setting: Setting) -> Rows:
        self._index.hnsw.efSearch = int(setting)
        return np.asarray(self._index.search(query[None], NEIGHBOURS)[1][0], dtype=np.int64)


class _Usearch:
    def __init__(self, gallery: Gallery, folder: Path) -> None:
        from usearch.index import Index

        self._index: Any = Index(ndim=gallery.vectors.shape[1], metric="ip", dtype="f32")
        self._index.add(np.arange(len(gallery.vectors)), gallery.vectors, threads=1)

    def settings(self) -> Sequence[Setting]:
        return _EFFORTS

    def search(self, query: Vectors, setting: Setting) -> Rows:
        self._index.expansion_search = int(setting)
        found = self._index.search(query, NEIGHBOURS, threads=1)
        return np.asarray(found.keys, dtype=np.int64)


_EFFORTS = ("10", "20", "40", "80", "160", "320", "640", "1280")
ENGINES: dict[str, Callable[[Gallery, Path], Engine]] = {
    "ours": _Ours,
    "ngtpy": _Ngt,
    "hnswlib": _Hnswlib,
    "faiss Flat": _FaissFlat,
    "faiss HNSW": _FaissHnsw,
    "usearch": _Usearch,
}


def _serve(name: str, folder: Path, pipe: Connection) -> None:
    files = np.load(folder / "gallery.npz", allow_pickle=False)
    blocks = tuple((str(f), int(a), int(b)) for f, a, b in files["blocks"])
    facets = tuple(str(facet) for facet in files["facets"])
    begun = psutil.Process().memory_info().rss
    gallery = Gallery(files["vectors"], files["labels"], facets, blocks)
    begin = time.perf_counter()
    engine = ENGINES[name](gallery, folder)
    seconds = time.perf_counter() - begin
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - begun
    if isinstance(engine, _Ours):
        seconds, peak = engine.cost.seconds, engine.cost.peak_bytes
    queries = files["queries"]
    del gallery
    gc.collect()
    if sys.platform == "linux":
        ctypes.CDLL(None).malloc_trim(0)
    size = psutil.Process().memory_info().rss - begun
    pipe.send(Built(seconds, peak, size, tuple(engine.settings())))
    while (setting := pipe.recv()) is not None:
        pipe.send(_asked(engine, queries, setting))


def _asked(engine: Engine, queries: Vectors, setting: Setting) -> tuple[list[Rows], list[float]]:
    found: list[Rows] = []
    seconds: list[float] = []
    for query in queries:
        begin = time.perf_counter()
        found.append(engine.search(query, setting))
        seconds.append(time.perf_counter() - begin)
    return found, seconds


# All of them


def _compare(
    case: str, options: argparse.Namespace, folder: Path
) -> tuple[dict[str, Built], dict[str, dict[Setting, Point]]]:
    gallery = CASES[case](_count(case, options), options.dimension)
    queries = compositions(gallery, options.queries)
    least = np.array([np.sort(gallery.vectors @ q)[-NEIGHBOURS] for q in queries])
    np.savez(
        folder / "gallery.npz",
        vectors=gallery.vectors,
        labels=gallery.labels,
        facets=np.array(gallery.facets, dtype=str),
        blocks=np.array(gallery.blocks, dtype=str),
        queries=queries,
    )
    built: dict[str, Built] = {}
    pipes: dict[str, Connection] = {}
    processes: list[Any] = []
    context = multiprocessing.get_context("spawn")
    try:
        for name in options.engines:
            pipes[name], theirs = context.Pipe()
            processes.append(context.Process(target=_serve, args=(name, folder, theirs)))
            processes[-1].start()
            theirs.close()
            built[name] = pipes[name].recv()
        curves = {n: {s: Point() for s in b.settings} for n, b in built.items()}
        for turn in range(options.rounds + 1):
            for name, curve in curves.items():
                for setting, point in curve.items():
                    pipes[name].send(setting)
                    found, seconds = pipes[name].recv()
                    point.recall = _recall(gallery.vectors, queries, found, least)
                    if turn:
                        point.seconds += seconds
        return built, curves
    finally:
        for name, pipe in pipes.items():
            if name in built:
                pipe.send(None)
        for process in processes:
            process.join(10)
            process.terminate()


def _recall(
    vectors: Vectors, queries: Vectors, found: list[Rows], least: NDArray[np.float32]
) -> float:
    hits = [
        (vectors[np.unique(rows)] @ query >= worst - 1e-6).sum()
        for rows, query, worst in zip(found, queries, least, strict=True)
    ]
    return float(np.minimum(hits, NEIGHBOURS).mean()) / NEIGHBOURS


def _fastest(curve: dict[Setting, Point]) -> tuple[Setting, Point] | None:
    """The setting that reaches TARGET in the least time."""
    enough = [(s, p) for s, p in curve.items() if p.recall >= TARGET]
    return min(enough, key=lambda pair: pair[1].milliseconds) if enough else None


def _count(case: str, options: argparse.Namespace) -> int:
    count: int = options.items or ITEMS[case]
    return count


def _report(
    case: str,
    options: argparse.Namespace,
    built: dict[str, Built],
    curves: dict[str, dict[Setting, Point]],
) -> list[Table]:
    rows = []
    for name, facts in built.items():
        fastest = _fastest(curves[name])
        most = max(point.recall for point in curves[name].values())
        rows.append(
            [
                name,
                f"{facts.seconds:.1f}",
                f"{facts.peak_bytes / 2**20:.0f}",
                f"{facts.bytes / 2**20:.0f}",
                f"{fastest[1].milliseconds:.2f}" if fastest else "–",
                f"{fastest[1].recall:.4f}" if fastest else f"at most {most:.4f}",
                fastest[0] if fastest else "–",
            ]
        )
    title = (
        f"{_count(case, options)} rows, case `{case}`, composed queries, one thread: the fastest"
        f" setting with recall@{NEIGHBOURS} of at least {TARGET}"
    )
    header = ["engine", "build, s", "peak, MB", "memory, MB", "p50, ms", "recall", "setting"]
    curve = [
        [name, setting, f"{point.recall:.4f}", f"{point.milliseconds:.3f}"]
        for name, points in curves.items()
        for setting, point in points.items()
    ]
    every = ["engine", "setting", "recall", "p50, ms"]
    return [
        Table(case, title, header, rows),
        Table(f"{case}-settings", f"Case `{case}`, all settings", every, curve),
    ]


def _draw(
    curves: dict[str, dict[str, dict[Setting, Point]]], path: Path, items: dict[str, int]
) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, len(curves), figsize=(5.5 * len(curves), 4.2), squeeze=False)
    for place, (case, engines) in zip(axes[0], curves.items(), strict=True):
        for name, curve in engines.items():
            points = sorted(curve.values(), key=lambda point: point.recall)
            place.plot(
                [point.recall for point in points],
                [point.milliseconds for point in points],
                marker="*" if name == "ours" else "o",
                markersize=11 if name == "ours" else 4,
                linewidth=2 if name == "ours" else 1,
                label=name,
            )
        place.axvline(TARGET, color="grey", linewidth=0.8, linestyle=":")
        place.set_yscale("log")
        place.set_xlim(left=0.8, right=1.005)
        place.set_xlabel(f"recall@{NEIGHBOURS}")
        place.set_ylabel("milliseconds, median")
        place.set_title(f"{case}, {items[case]} rows")
        place.legend(fontsize=8)
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)
