"""Builds an index in a process of its own, since ngtpy holds the GIL while it builds.

`python -m tashihiki_server.index.build FOLDER THREADS` reads FOLDER/vectors.npy, writes
FOLDER/ngt and FOLDER/calibration.json, and removes vectors.npy.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from tashihiki_server.child_process import step_back
from tashihiki_server.index.ngt import NgtIndex, build_ngt
from tashihiki_server.space.base import Vectors

VECTORS_FILE = "vectors.npy"
INDEX_FOLDER = "ngt"
CALIBRATION_FILE = "calibration.json"

TARGET_RECALL = 0.99
# Beyond the last one NGT visits so much that comparing everything is faster.
EPSILONS = (0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4)
QUERIES = 100
NEIGHBOURS = 10


@dataclass(frozen=True)
class Calibration:
    """The setting that an index needs.

    Attributes:
        epsilon: the least of EPSILONS that reaches TARGET_RECALL, or the one that comes closest.
        recall: recall@10 there against exact search, on sums of two rows; composed queries are
            the hard ones for a graph.
        queries: how many were tried.
    """

    epsilon: float
    recall: float
    queries: int

    @property
    def reliable(self) -> bool:
        """Whether the target was reached."""
        return self.recall >= TARGET_RECALL


def calibrate(index: NgtIndex, vectors: Vectors, seed: int = 0) -> Calibration:
    """Measures recall on sampled compositions (n, d) until it reaches the target."""
    random = np.random.default_rng(seed)
    pairs = random.integers(len(vectors), size=(QUERIES, 2))
    queries = vectors[pairs[:, 0]] + vectors[pairs[:, 1]]
    # Vectors of a space may point apart; a sum of zero is no query.
    queries = queries[np.linalg.norm(queries, axis=1) > 1e-3]
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    wanted = min(NEIGHBOURS, len(vectors))
    worsts = [np.sort(vectors @ query)[-wanted] for query in queries]
    best = Calibration(EPSILONS[-1], 0.0, len(queries))
    for epsilon in EPSILONS:
        hits = [
            (vectors[index.search_at(query, NEIGHBOURS, epsilon)] @ query >= worst - 1e-6).sum()
            for query, worst in zip(queries, worsts, strict=True)
        ]
        recall = float(np.mean(hits)) / wanted
        if recall > best.recall:
            best = Calibration(epsilon, recall, len(queries))
        if recall >= TARGET_RECALL:
            break
    return best


def main(folder: Path, threads: int) -> None:
    """Builds and calibrates; see the module's text."""
    step_back(10)
    vectors = np.load(folder / VECTORS_FILE, mmap_mode="r", allow_pickle=False)
    build_ngt(vectors, folder / INDEX_FOLDER, threads)
    count, dimension = vectors.shape
    index = NgtIndex(folder / INDEX_FOLDER, count=count, dimension=dimension, epsilon=0.1)
    calibration = calibrate(index, np.asarray(vectors))
    index.close()
    (folder / CALIBRATION_FILE).write_text(json.dumps(asdict(calibration)), encoding="utf-8")
    (folder / VECTORS_FILE).unlink()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
