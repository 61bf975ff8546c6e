"""Galleries as spaces make them, generated, and queries composed without the server's help."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from server_process import SECONDS
from tashihiki_server.index.base import Route, VectorIndex
from tashihiki_server.index.calibration import Calibration
from tashihiki_server.index.opening import open_index
from tashihiki_server.index.request import Request
from tashihiki_server.space.base import Block

Rows = NDArray[np.float32]
Numbers = NDArray[np.int64]


def unit(rows: NDArray[np.floating[Any]]) -> Rows:
    found: Rows = (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)
    return found


@dataclass(frozen=True)
class Generated:
    """Unit rows (n, d), the values of their facets (n, facets), and the space's blocks."""

    rows: Rows
    labels: Numbers
    blocks: Sequence[Block]
    facets: Sequence[str]
    clip: bool

    def part(self, facet: int, row: int) -> Rows:
        """What an item has in a facet: a block, or in a space without blocks everything."""
        block = self.blocks[facet] if len(self.blocks) > 1 else self.blocks[0]
        found = np.zeros(self.rows.shape[1], dtype=np.float32)
        found[block.start : block.stop] = self.rows[row, block.start : block.stop]
        return found

    def value(self, facet: int, value: int) -> Rows:
        members = np.flatnonzero(self.labels[:, facet] == value)[:300]
        middle = np.median(self.rows[members], axis=0)
        block = self.blocks[facet] if len(self.blocks) > 1 else self.blocks[0]
        found = np.zeros(self.rows.shape[1], dtype=np.float32)
        found[block.start : block.stop] = unit(middle[block.start : block.stop])
        found /= np.float32(np.sqrt(len(self.blocks)))
        return found

    def queries(self, count: int, seed: int = 7) -> Rows:
        """Two values; an item with one replaced; an item and a value; two items; in turn."""
        random = np.random.default_rng(seed)
        found = []
        for number in range(count):
            first, second = random.permutation(self.labels.shape[1])[:2].tolist()
            item, other, third = random.integers(len(self.rows), size=3).tolist()
            query = self.value(first, int(self.labels[other, first]))
            if number % 4 == 0:
                query = query + self.value(second, int(self.labels[third, second]))
            elif number % 4 == 1 and len(self.blocks) > 1:
                query = query + self.rows[item] - self.part(first, item)
            elif number % 4 == 1:
                was = self.value(first, int(self.labels[item, first]))
                query = query + self.rows[item] - was
            elif number % 4 == 2:
                query = query + self.rows[item]
            else:
                query = self.rows[item] + self.rows[other]
            found.append(np.maximum(query, 0) if self.clip else query)
        return unit(np.array(found))


def factored(count: int, seed: int = 0) -> Generated:
    """Blocks of two facets and the rest, each of unit length over the root of three."""
    random = np.random.default_rng(seed)
    labels, parts = [], []
    for values, width in ((20, 16), (6, 5)):
        prototypes = unit(random.normal(size=(values, width)))
        labels.append(random.choice(values, size=count, p=random.dirichlet(np.full(values, 2.0))))
        noise = 0.7 * random.normal(size=(count, width)) / np.sqrt(width)
        parts.append(unit(prototypes[labels[-1]] + noise))
    hidden = random.normal(size=(200, 8))[random.integers(200, size=count)]
    hidden = hidden + 0.5 * random.normal(size=(count, 8))
    parts.append(unit(np.tanh(hidden @ random.normal(size=(8, 27)))))
    blocks = [Block("colour", 0, 16), Block("size", 16, 21), Block("", 21, 48)]
    rows = unit(np.concatenate(parts, axis=1))
    return Generated(rows, np.stack(labels, axis=1), blocks, ("colour", "size"), clip=False)


def raw(count: int, seed: int = 0, dimension: int = 64) -> Generated:
    """Clustered, non-negative, of low intrinsic dimension; labelled by two directions in it."""
    random = np.random.default_rng(seed)
    hidden = random.normal(size=(200, 12))[random.integers(200, size=count)]
    hidden = hidden + 0.4 * random.normal(size=(count, 12))
    rows = np.maximum(hidden @ random.normal(size=(12, dimension)), 0)
    rows = unit(rows + 0.5 * np.abs(random.normal(size=rows.shape)))
    labels = [(hidden @ random.normal(size=(12, values))).argmax(axis=1) for values in (8, 5)]
    blocks = [Block("", 0, dimension)]
    return Generated(rows, np.stack(labels, axis=1), blocks, ("colour", "size"), clip=True)


@dataclass(frozen=True)
class Built:
    """What the building process left, and its index over the rows in their new order."""

    folder: Path
    order: Numbers
    rows: Rows
    calibration: Calibration
    index: VectorIndex | None


def build(
    folder: Path,
    gallery: Generated,
    *,
    routes: Sequence[Route] = tuple(Route),
    target_recall: float = 0.99,
    previous: Calibration | None = None,
    previous_folder: Path | None = None,
) -> Built:
    """Runs the building process."""
    folder.mkdir(parents=True)
    np.save(folder / "vectors.npy", gallery.rows)
    np.save(folder / "labels.npy", gallery.labels)
    request = Request(
        blocks=gallery.blocks,
        facets=gallery.facets,
        clip=gallery.clip,
        target_recall=target_recall,
        previous=previous,
        previous_folder=previous_folder,
        routes=routes,
    )
    (folder / "request.json").write_text(request.to_json(), encoding="utf-8")
    command = [sys.executable, "-m", "tashihiki_server.index.build", str(folder), "1"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    subprocess.run(command, check=True, timeout=SECONDS, env=environment)
    rows = np.load(folder / "vectors.npy")
    calibration = Calibration.from_json((folder / "calibration.json").read_text("utf-8"))
    return Built(
        folder,
        np.load(folder / "order.npy"),
        rows,
        calibration,
        open_index(folder, rows, calibration),
    )


def recall(
    built: Built,
    queries: Rows,
    count: int,
    allowed_for: Callable[[Rows], NDArray[np.bool_] | None] = lambda query: None,
) -> tuple[float, float]:
    """The mean share of the `count` best allowed rows that are among the candidates.

    Also the share of the queries that the index answered. The others are compared exactly.
    """
    assert built.index is not None
    shares, answered = [], 0
    for query in queries:
        allowed = allowed_for(query)
        scores = built.rows.astype(np.float64) @ query.astype(np.float64)
        if allowed is not None:
            scores[~allowed] = -np.inf
        possible = min(count, int(np.isfinite(scores).sum()))
        found = built.index.look_up(query).candidates(count, allowed)
        if found is None:
            shares.append(1.0)
            continue
        answered += 1
        assert found.dtype == np.int64
        assert len(np.unique(found)) == len(found)
        assert len(found) >= possible
        assert np.isfinite(scores[found]).all(), "a row that is not allowed"
        if possible:
            worst = np.sort(scores)[-possible]
            shares.append(min(1.0, float((scores[found] >= worst - 1e-6).sum()) / possible))
    return float(np.mean(shares)), answered / len(queries)
