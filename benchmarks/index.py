"""The calibrated index against comparing every row, on image queries and on composed ones."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.built_index import BuiltIndex, best, build, opened
from benchmarks.generated import Gallery, unit
from benchmarks.timing import medians, table
from tashihiki_server.space.base import Vectors

COUNT, DIMENSION, CLUSTERS = 10_000, 1280, 100
QUERIES = 200


def main() -> str:
    """A table: recall@10 against exact search and the time of a look-up."""
    random = np.random.default_rng(0)
    gallery = _tight_clusters(random)
    with tempfile.TemporaryDirectory() as folder:
        build(Path(folder) / "index", gallery)
        index = opened(Path(folder) / "index")
        queries = _queries(random, gallery.vectors)
        rows = [_row(name, index, gallery.vectors, asked) for name, asked in queries.items()]
        if index.index is not None:
            index.index.close()
    header = ["query", "recall@10", "index, ms", "exact, ms", "ratio"]
    route = index.calibration.route.value
    title = f"Look-up among {COUNT} × {DIMENSION} by the route `{route}`, medians"
    return f"{title}\n\n{table(header, rows)}"


def _tight_clusters(random: np.random.Generator) -> Gallery:
    centres = np.abs(random.normal(size=(CLUSTERS, DIMENSION))) ** 2
    noise = 0.5 * random.normal(size=(COUNT, DIMENSION))
    points = np.maximum(centres[random.integers(CLUSTERS, size=COUNT)] + noise, 0)
    labels = np.empty((COUNT, 0), np.int64)
    return Gallery(unit(points), labels, (), (("", 0, DIMENSION),))


def _queries(random: np.random.Generator, vectors: Vectors) -> dict[str, Vectors]:
    pairs = random.integers(COUNT, size=(QUERIES, 2))
    noise = 0.05 * np.abs(random.normal(size=(QUERIES, DIMENSION))) / DIMENSION**0.5
    return {
        "image": unit(vectors[pairs[:, 0]] + noise),
        "sum of two": unit(vectors[pairs[:, 0]] + vectors[pairs[:, 1]]),
    }


def _row(name: str, index: BuiltIndex, vectors: Vectors, queries: Vectors) -> list[str]:
    def look_up() -> list[NDArray[np.int64]]:
        return [index.nearest(query, 10) for query in queries]

    def compare() -> list[NDArray[np.int64]]:
        return [best(vectors @ query, 10) for query in queries]

    recall = np.mean(
        [len(np.intersect1d(a, b)) / 10 for a, b in zip(look_up(), compare(), strict=True)]
    )
    taken = medians({"index": look_up, "exact": compare}, 5)
    per_query = {rival: 1000 * seconds / QUERIES for rival, seconds in taken.items()}
    ratio = per_query["index"] / per_query["exact"]
    return [
        name,
        f"{recall:.3f}",
        f"{per_query['index']:.2f}",
        f"{per_query['exact']:.2f}",
        f"{ratio:.2f}",
    ]
