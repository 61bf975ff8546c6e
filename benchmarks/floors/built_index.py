"""An index as the server builds and opens it, without the server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.contents.generated import Gallery
from tashihiki_server.index.base import VectorIndex
from tashihiki_server.index.calibration import Calibration
from tashihiki_server.index.opening import open_index
from tashihiki_server.space.base import Vectors


@dataclass(frozen=True)
class BuildCost:
    """What a build took: seconds, and bytes at the most."""

    seconds: float
    peak_bytes: int


@dataclass(frozen=True)
class BuiltIndex:
    """An opened index; None stands for comparing every row."""

    vectors: Vectors
    order: NDArray[np.int64]
    calibration: Calibration
    index: VectorIndex | None

    def nearest(self, query: Vectors, count: int) -> NDArray[np.int64]:
        """The `count` nearest rows (of the gallery as it was given), best first."""
        found = None if self.index is None else self.index.look_up(query).candidates(count, None)
        if found is None:
            rows = best(self.vectors @ query, count)
        else:
            rows = found[best(self.vectors[found] @ query, count)]
        return self.order[rows]


def best(scores: NDArray[np.float32], count: int) -> NDArray[np.int64]:
    """Places of the `count` highest scores, highest first."""
    places = np.arange(len(scores))
    if len(scores) > count:
        places = np.argpartition(scores, len(scores) - count)[-count:]
    ordered: NDArray[np.int64] = places[np.argsort(-scores[places], kind="stable")]
    return ordered


def build(folder: Path, gallery: Gallery, *, target: float = 0.99, threads: int = 1) -> BuildCost:
    """Runs the building process on a gallery."""
    folder.mkdir(parents=True)
    np.save(folder / "vectors.npy", gallery.vectors)
    np.save(folder / "labels.npy", gallery.labels)
    request = {
        "blocks": [list(block) for block in gallery.blocks],
        "facets": list(gallery.facets),
        "clip": len(gallery.blocks) == 1,
        "target_recall": target,
        "previous": None,
    }
    (folder / "request.json").write_text(json.dumps(request), encoding="utf-8")
    command = [sys.executable, "-m", "tashihiki_server.index.build", str(folder), str(threads)]
    begin = time.perf_counter()
    process = subprocess.Popen(command)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise RuntimeError(f"the build ended with status {process.returncode}")
    return BuildCost(time.perf_counter() - begin, used.ru_maxrss * 1024)


def opened(folder: Path) -> BuiltIndex:
    """Opens what `build` made; the caller closes its index."""
    vectors = np.load(folder / "vectors.npy", allow_pickle=False)
    order = np.load(folder / "order.npy", allow_pickle=False)
    text = (folder / "calibration.json").read_text(encoding="utf-8")
    calibration = Calibration.from_json(text)
    return BuiltIndex(vectors, order, calibration, open_index(folder, vectors, calibration))
