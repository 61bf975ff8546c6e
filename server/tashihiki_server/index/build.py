"""Builds an index in a process of its own, since ngtpy holds the GIL while it builds.

`python -m tashihiki_server.index.build FOLDER THREADS` reads

    vectors.npy     (n, d) float32, rows of unit length
    labels.npy      (n, facets) int64, numbers of values, -1 for none
    request.json    see `Request`

and writes

    order.npy         (n,) int64: which row of the input each row now is
    vectors.npy       in that order
    calibration.json  see `Calibration`
    cells-0.npz, cells-1.npz … or ngt/, whatever the route needs

and removes the other inputs. All but samples stays in files, so that a gallery larger than the
memory can be built.
"""

from __future__ import annotations

import json
import math
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tashihiki_server.child_process import end_with_parent
from tashihiki_server.index.base import Route, RowNumbers
from tashihiki_server.index.calibration import Calibration, Point
from tashihiki_server.index.cells import Cells
from tashihiki_server.index.compositions import Compositions, Gallery
from tashihiki_server.index.kmeans import assign, fit_centroids
from tashihiki_server.index.measurement import (
    Trial,
    measure_cells,
    measure_exact,
    measure_graph,
)
from tashihiki_server.index.ngt import NgtIndex, build_ngt
from tashihiki_server.index.opening import GRAPH_FOLDER, write_cells
from tashihiki_server.space.base import Block, Vectors

VECTORS_FILE = "vectors.npy"
LABELS_FILE = "labels.npy"
REQUEST_FILE = "request.json"
ORDER_FILE = "order.npy"
CALIBRATION_FILE = "calibration.json"

QUERIES = 360
CELLS_PER_ROOT = 8
# Fewer rows are compared before anything else has begun.
MIN_ROWS = 1000
# A route that needs more memory must take less than this share of another's time.
_WORTH = 0.9
# A look-up this fast needs no graph, which takes long to build.
_FAST_SECONDS = 0.001
# A graph of more rows takes the better part of an hour to build.
_MOST_GRAPH_ROWS = 500_000
_PIECE = 16_384


@dataclass(frozen=True)
class Request:
    """What an index is to be built of.

    Attributes:
        blocks: of the space.
        facets: names of the columns of the labels.
        clip: whether a composition's negative coordinates are set to 0.
        target_recall: of the ten nearest rows of a composition; 1 for exact search.
        rest_weight: of an item's coordinates that belong to no facet.
        previous: calibration of the last index.
        routes: to choose from.
    """

    blocks: Sequence[Block]
    facets: Sequence[str]
    clip: bool = False
    target_recall: float = 0.99
    rest_weight: float = 1.0
    previous: Calibration | None = None
    routes: Sequence[Route] = tuple(Route)

    def to_json(self) -> str:
        """The request as text."""
        return json.dumps(
            {
                "blocks": [[block.facet, block.start, block.stop] for block in self.blocks],
                "facets": list(self.facets),
                "clip": self.clip,
                "target_recall": self.target_recall,
                "rest_weight": self.rest_weight,
                "previous": self.previous and json.loads(self.previous.to_json()),
                "routes": [route.value for route in self.routes],
            }
        )

    @classmethod
    def from_json(cls, text: str) -> Request:
        """Reads what `to_json` wrote."""
        content = json.loads(text)
        previous = content.get("previous")
        return cls(
            blocks=[Block(*block) for block in content["blocks"]],
            facets=content["facets"],
            clip=content["clip"],
            target_recall=content["target_recall"],
            rest_weight=content.get("rest_weight", 1.0),
            previous=Calibration.from_json(json.dumps(previous)) if previous else None,
            routes=[Route(route) for route in content.get("routes", [r.value for r in Route])],
        )


def main(folder: Path, threads: int) -> None:
    """Builds and calibrates; see the module's text."""
    end_with_parent()
    request = Request.from_json((folder / REQUEST_FILE).read_text(encoding="utf-8"))
    vectors = _read(folder / VECTORS_FILE)
    labels = np.load(folder / LABELS_FILE, allow_pickle=False)
    if request.target_recall >= 1 or len(vectors) < MIN_ROWS:
        np.save(folder / ORDER_FILE, np.arange(len(vectors)))
        calibration = Calibration(Route.EXACT, request.target_recall, len(vectors))
    else:
        random = np.random.default_rng(0)
        whole, order = _divide(vectors, random)
        _rewrite(folder / VECTORS_FILE, vectors, order)
        np.save(folder / ORDER_FILE, order)
        calibration = _calibrate(folder, request, labels[order], whole, threads, random)
    (folder / CALIBRATION_FILE).write_text(calibration.to_json(), encoding="utf-8")
    (folder / LABELS_FILE).unlink()
    (folder / REQUEST_FILE).unlink()


def cell_count(rows: int) -> int:
    """Into how many cells so many rows go.

    Small cells leave out more, until looking for the nearest ones takes as long.
    """
    return max(1, round(CELLS_PER_ROOT * math.sqrt(rows)))


def _read(path: Path) -> Vectors:
    vectors: Vectors = np.load(path, mmap_mode="r", allow_pickle=False).view(np.ndarray)
    if vectors.dtype != np.float32 or vectors.ndim != 2:
        raise ValueError(f"{path.name} has an array of shape {vectors.shape}, {vectors.dtype}")
    return vectors


def _divide(vectors: Vectors, random: np.random.Generator) -> tuple[Cells, RowNumbers]:
    """Cells without settings, and the order of the rows that puts each cell's side by side."""
    centroids = fit_centroids(vectors, cell_count(len(vectors)), random)
    cells = assign(vectors, centroids)
    order = np.argsort(cells, kind="stable")
    sizes = np.bincount(cells, minlength=len(centroids))
    starts = np.append(0, np.cumsum(sizes[sizes > 0]))
    whole = Cells((0, vectors.shape[1]), centroids[sizes > 0], starts, None, {})
    return whole, order


def _divide_by_block(vectors: Vectors, block: Block, random: np.random.Generator) -> Cells:
    part = np.ascontiguousarray(vectors[:, block.start : block.stop])
    cells, rows = _divide(part, random)
    return replace(cells, columns=(block.start, block.stop), rows=rows)


def _rewrite(path: Path, vectors: Vectors, order: RowNumbers) -> None:
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        header = np.lib.format.header_data_from_array_1_0(vectors)
        np.lib.format.write_array_header_1_0(file, header)
        for start in range(0, len(order), _PIECE):
            file.write(vectors[order[start : start + _PIECE]].tobytes())
    part.replace(path)


def _calibrate(
    folder: Path,
    request: Request,
    labels: NDArray[np.int64],
    whole: Cells,
    threads: int,
    random: np.random.Generator,
) -> Calibration:
    """Measures the routes, and leaves in the folder what the fastest one needs."""
    vectors = _read(folder / VECTORS_FILE)
    gallery = Gallery(
        vectors, labels, request.facets, request.blocks, request.clip, request.rest_weight
    )
    queries = Compositions(gallery, random).draw(QUERIES)
    trial = Trial.of(vectors, queries)
    target = request.target_recall
    divisions = [whole]
    if gallery.factored:
        divisions += [_divide_by_block(vectors, b, random) for b in request.blocks if b.facet]
    points = measure_exact(trial)
    divisions, found = measure_cells(trial, divisions, target)
    points += found
    best, seconds = _fastest(points, request.routes)
    graph, tried_at = None, request.previous.graph_tried_at if request.previous else 0
    if _graph_is_due(request, len(vectors), seconds):
        build_ngt(vectors, folder / GRAPH_FOLDER, threads)
        count, dimension = vectors.shape
        index = NgtIndex(folder / GRAPH_FOLDER, count=count, dimension=dimension)
        graph, found = measure_graph(trial, index, target, seconds)
        index.close()
        points += found
        tried_at = count
        best, _ = _fastest(points, request.routes)
    if best is Route.CELLS:
        for number, cells in enumerate(divisions):
            write_cells(folder, number, cells)
    if best is not Route.GRAPH:
        shutil.rmtree(folder / GRAPH_FOLDER, ignore_errors=True)
    return Calibration(
        route=best,
        target=target,
        rows=len(vectors),
        queries=len(queries),
        row_seconds=points[0].seconds / len(vectors),
        graph_tried_at=tried_at,
        points=tuple(replace(p, chosen=p.chosen and p.route is best) for p in points),
        cells=tuple(cells.settings for cells in divisions) if best is Route.CELLS else (),
        graph=graph if best is Route.GRAPH else None,
    )


def _fastest(points: Sequence[Point], routes: Sequence[Route]) -> tuple[Route, float]:
    """The route to take, and the seconds of its chosen points, their mean."""
    best, least = Route.EXACT, math.inf
    for route in Route:
        taken = [point.seconds for point in points if point.chosen and point.route is route]
        if route in routes and taken and np.mean(taken) < _WORTH * least:
            best, least = route, float(np.mean(taken))
    return best, least


def _graph_is_due(request: Request, rows: int, seconds: float) -> bool:
    """Whether a graph may be faster than these seconds, and was not just found not to be."""
    if Route.GRAPH not in request.routes or seconds <= _FAST_SECONDS or rows > _MOST_GRAPH_ROWS:
        return False
    before = request.previous
    return before is None or before.route is Route.GRAPH or rows >= 2 * before.graph_tried_at


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
