"""The calibrated NGT index against exact search, on image queries and on composed ones."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.timing import medians, table
from tashihiki_server.index.build import Calibration, calibrate
from tashihiki_server.index.ngt import NgtIndex, build_ngt
from tashihiki_server.space.base import Vectors

COUNT, DIMENSION, CLUSTERS = 10_000, 1280, 100
QUERIES = 200


def main() -> str:
    """A table: recall@10 against exact search and the time of a look-up."""
    random = np.random.default_rng(0)
    vectors = _clustered(random)
    folder = Path(tempfile.mkdtemp())
    try:
        build_ngt(vectors, folder / "ngt", len(os.sched_getaffinity(0)))
        index = NgtIndex(folder / "ngt", count=COUNT, dimension=DIMENSION, epsilon=0.1)
        setting = calibrate(index, vectors)
        rows = [
            _row(name, index, vectors, queries, setting)
            for name, queries in _queries(random, vectors).items()
        ]
        index.close()
    finally:
        shutil.rmtree(folder)
    header = ["query", "recall@10", "NGT, ms", "exact, ms", "ratio"]
    verdict = "searched" if setting.reliable else "passed over: exact search takes its place"
    title = f"Look-up among {COUNT} × {DIMENSION} at ε = {setting.epsilon:g}, medians; "
    return f"{title}the index would be {verdict}\n\n{table(header, rows)}"


def _clustered(random: np.random.Generator) -> Vectors:
    centres = np.abs(random.normal(size=(CLUSTERS, DIMENSION))) ** 2
    noise = 0.5 * random.normal(size=(COUNT, DIMENSION))
    points = np.maximum(centres[random.integers(CLUSTERS, size=COUNT)] + noise, 0)
    return _unit(points)


def _queries(random: np.random.Generator, vectors: Vectors) -> dict[str, Vectors]:
    pairs = random.integers(COUNT, size=(QUERIES, 2))
    noise = 0.05 * np.abs(random.normal(size=(QUERIES, DIMENSION))) / DIMENSION**0.5
    return {
        "image": _unit(vectors[pairs[:, 0]] + noise),
        "sum of two": _unit(vectors[pairs[:, 0]] + vectors[pairs[:, 1]]),
    }


def _row(
    name: str, index: NgtIndex, vectors: Vectors, queries: Vectors, setting: Calibration
) -> list[str]:
    def look_up() -> list[NDArray[np.int64]]:
        return [index.search_at(query, 10, setting.epsilon) for query in queries]

    def compare() -> list[NDArray[np.int64]]:
        return [np.argpartition(vectors @ query, -10)[-10:] for query in queries]

    recall = np.mean(
        [len(np.intersect1d(a, b)) / 10 for a, b in zip(look_up(), compare(), strict=True)]
    )
    taken = medians({"ngt": look_up, "exact": compare}, 5)
    per_query = {rival: 1000 * seconds / QUERIES for rival, seconds in taken.items()}
    ratio = per_query["ngt"] / per_query["exact"]
    return [
        name,
        f"{recall:.3f}",
        f"{per_query['ngt']:.2f}",
        f"{per_query['exact']:.2f}",
        f"{ratio:.2f}",
    ]


def _unit(points: NDArray[np.floating[Any]]) -> Vectors:
    unit: Vectors = (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32)
    return unit
