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

and removes the other inputs. The rows stay in files; the coordinates that belong to facets are held
in memory, twice, as each division has them in its own order, and so are wide rows' principal axes.
"""

from __future__ import annotations

import math
import shutil
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tashihiki_server.child_process import end_with_parent
from tashihiki_server.index.base import Route, RowNumbers
from tashihiki_server.index.calibration import Calibration, Fitted, Point
from tashihiki_server.index.compositions import Compositions, Gallery
from tashihiki_server.index.divisions import Divider, facet_columns
from tashihiki_server.index.measurement import measure_cells, measure_exact, measure_graph
from tashihiki_server.index.ngt import NgtIndex, build_ngt
from tashihiki_server.index.opening import GRAPH_FOLDER, remove_cells, write_cells
from tashihiki_server.index.request import Request
from tashihiki_server.index.trial import Trial
from tashihiki_server.space.base import Vectors

VECTORS_FILE = "vectors.npy"
LABELS_FILE = "labels.npy"
REQUEST_FILE = "request.json"
ORDER_FILE = "order.npy"
CALIBRATION_FILE = "calibration.json"

QUERIES = 360
# Fewer rows are compared before anything else has begun.
MIN_ROWS = 1000
# A route that needs more memory must take less than this share of another's time.
_WORTH = 0.9
# A look-up this fast needs no graph, which takes long to build.
_FAST_SECONDS = 0.001
# A graph of more rows takes the better part of an hour to build.
_MOST_GRAPH_ROWS = 500_000
_PIECE = 16_384


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
        divider = Divider.like(request, len(vectors), random)
        if divider.fitted is None:
            calibration = _build(folder, request, divider, labels, threads, random)
        else:
            # A graph is tried once it is clear that the centroids do no longer.
            plain = replace(request, routes=[r for r in request.routes if r is not Route.GRAPH])
            calibration = _build(folder, plain, divider, labels, threads, random)
            if divider.worn(calibration):
                remove_cells(folder)
                calibration = _build(folder, request, Divider(random), labels, threads, random)
    (folder / CALIBRATION_FILE).write_text(calibration.to_json(), encoding="utf-8")
    (folder / LABELS_FILE).unlink()
    (folder / REQUEST_FILE).unlink()


def _read(path: Path) -> Vectors:
    vectors: Vectors = np.load(path, mmap_mode="r", allow_pickle=False).view(np.ndarray)
    if vectors.dtype != np.float32 or vectors.ndim != 2:
        raise ValueError(f"{path.name} has an array of shape {vectors.shape}, {vectors.dtype}")
    return vectors


def _rewrite(path: Path, vectors: Vectors, order: RowNumbers) -> None:
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        header = np.lib.format.header_data_from_array_1_0(vectors)
        np.lib.format.write_array_header_1_0(file, header)
        for start in range(0, len(order), _PIECE):
            file.write(vectors[order[start : start + _PIECE]].tobytes())
    part.replace(path)


def _build(
    folder: Path,
    request: Request,
    divider: Divider,
    labels: NDArray[np.int64],
    threads: int,
    random: np.random.Generator,
) -> Calibration:
    """Orders the rows, measures the routes, and leaves what the fastest one needs.

    Args:
        folder: whose vectors may be in an order already.
        request: what to build.
        divider: of the rows.
        labels: in the order of the request.
        threads: at most.
        random: draws the compositions.
    """
    before = folder / ORDER_FILE
    vectors = _read(folder / VECTORS_FILE)
    whole, order = divider.whole(vectors)
    _rewrite(folder / VECTORS_FILE, vectors, order)
    if before.exists():
        order = np.load(before, allow_pickle=False)[order]
    np.save(before, order)
    vectors, labels = _read(folder / VECTORS_FILE), labels[order]
    gallery = Gallery(
        vectors, labels, request.facets, request.blocks, request.clip, request.rest_weight
    )
    queries, kinds = Compositions(gallery, random).draw(QUERIES)
    trial = Trial.of(vectors, queries, kinds)
    target = request.target_recall
    divisions = [whole]
    for number, columns in enumerate(facet_columns(request.blocks), 1):
        divisions.append(divider.by_columns(vectors, columns, number))
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
    efforts = tuple(cells.efforts for cells in divisions) if best is Route.CELLS else ()
    principal = divisions[0].principal if efforts else None
    return Calibration(
        route=best,
        target=target,
        rows=len(vectors),
        queries=len(queries),
        row_seconds=points[0].seconds / len(vectors),
        graph_tried_at=tried_at,
        points=tuple(replace(p, chosen=p.chosen and p.route is best) for p in points),
        cells=efforts,
        graph=graph if best is Route.GRAPH else None,
        fitted=(divider.fitted or Fitted(len(vectors), efforts)) if efforts else None,
        margins={} if principal is None else principal.margins,
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
