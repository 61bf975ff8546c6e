"""Recall and time of the routes on sampled compositions, against exact search."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tashihiki_server.index.base import TIE, Route, RowNumbers
from tashihiki_server.index.calibration import COUNTS, Effort, Efforts, GraphSetting, Point
from tashihiki_server.index.cells import Cells, CellsIndex, division_of
from tashihiki_server.index.graph import look_up_size
from tashihiki_server.index.ngt import NgtIndex
from tashihiki_server.space.base import Vectors

# Beyond the last one NGT visits so much that comparing everything is faster.
EPSILONS = (0.02, 0.04, 0.06, 0.08, 0.1, 0.12, 0.15, 0.18, 0.22, 0.26, 0.3, 0.4)
EDGE_SIZES = (0, 40)
# Recalls that the curve shows beside the target.
_SHOWN = (0.8, 0.9, 0.95, 0.995)
_TIMED = 60
_WARMING = 3
_PIECE = 16_384
# Efforts of a division, and sampled queries for each of them.
_EFFORTS = 4
_LEAST_ALIKE = 50
# More rows than there are.
_UNKNOWN = 2**40

_Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Trial:
    """Queries, and what an exact search finds.

    Attributes:
        vectors: (n, d).
        queries: (m, d).
        nearest: (m, largest of `COUNTS`), most similar rows first; -1 where there are no more.
        scores: of these, (m, largest of `COUNTS`).
    """

    vectors: Vectors
    queries: Vectors
    nearest: RowNumbers
    scores: Vectors

    @classmethod
    def of(cls, vectors: Vectors, queries: Vectors) -> Trial:
        """Searches exactly, in pieces."""
        count = COUNTS[-1]
        scores = np.full((len(queries), count), -np.inf, dtype=np.float32)
        rows = np.full((len(queries), count), -1, dtype=np.int64)
        for start in range(0, len(vectors), _PIECE):
            piece = queries @ np.asarray(vectors[start : start + _PIECE]).T
            numbers = np.broadcast_to(np.arange(start, start + piece.shape[1]), piece.shape)
            piece = np.concatenate([scores, piece], axis=1)
            numbers = np.concatenate([rows, numbers], axis=1)
            best = np.argpartition(-piece, count - 1, axis=1)[:, :count]
            scores = np.take_along_axis(piece, best, axis=1)
            rows = np.take_along_axis(numbers, best, axis=1)
        order = np.argsort(-scores, axis=1)
        scores = np.take_along_axis(scores, order, axis=1)
        rows = np.where(np.isfinite(scores), np.take_along_axis(rows, order, axis=1), -1)
        return cls(vectors, queries, rows, scores)

    def recalls(self, search: Callable[[Vectors], RowNumbers], count: int) -> _Floats:
        """The share of each query's `count` nearest rows that a search finds, (queries,)."""
        return np.array(
            [
                min(1.0, float((self.vectors[search(query)] @ query >= worst - TIE).sum()) / count)
                for query, worst in zip(self.queries, self.scores[:, count - 1], strict=True)
            ]
        )


def assured(recalls: _Floats) -> float:
    """The mean less its standard error: a sample's luck shall not pass for recall."""
    return float(recalls.mean() - recalls.std() / np.sqrt(len(recalls)))


def median_seconds(search: Callable[[Vectors], object], queries: Vectors) -> float:
    """Of one call."""
    for query in queries[:_WARMING]:
        search(query)
    taken = []
    for query in queries[:_TIMED]:
        began = time.perf_counter()
        search(query)
        taken.append(time.perf_counter() - began)
    return float(np.median(taken))


def measure_exact(trial: Trial) -> list[Point]:
    """What comparing all rows takes."""

    def search(query: Vectors) -> object:
        scores = trial.vectors @ query
        return np.partition(scores, -COUNTS[0])

    seconds = median_seconds(search, trial.queries[: _TIMED // 3])
    return [Point(Route.EXACT, 0.0, count, 1.0, seconds, chosen=True) for count in COUNTS]


# Cells


def rows_needed(trial: Trial, divisions: Sequence[Cells]) -> NDArray[np.int64]:
    """How many rows must be compared to come upon each neighbour, (m, neighbours).

    It follows from the order of the cells, without a search.
    """
    places = [_places(cells, len(trial.vectors)) for cells in divisions]
    needed = np.empty(trial.nearest.shape, dtype=np.int64)
    for number, query in enumerate(trial.queries):
        division = division_of(query, divisions)
        cells, cell_of = divisions[division], places[division]
        sizes = cells.sizes
        order = np.argsort(-cells.similarities(query))
        before = np.empty(len(order), dtype=np.int64)
        before[order] = np.cumsum(sizes[order]) - sizes[order]
        needed[number] = before[cell_of[trial.nearest[number]]] + 1
    # Where there is no neighbour, nothing is missed.
    needed[trial.nearest < 0] = 1
    return needed


def _places(cells: Cells, count: int) -> NDArray[np.int32]:
    """The cell of every row."""
    numbers = np.arange(len(cells.centroids), dtype=np.int32)
    stored = np.repeat(numbers, np.diff(cells.starts))
    if cells.rows is None:
        return stored
    places = np.empty(count, dtype=np.int32)
    places[cells.rows] = stored
    return places


def least_rows(needed: NDArray[np.int64], recall: float) -> int:
    """The fewest rows to compare that reach a recall, as far as the sample assures it.

    Args:
        needed: (m, count).
        recall: below 1.

    Without a sample, so many that all are compared.
    """
    if not len(needed):
        return _UNKNOWN
    steps = np.unique(needed)
    low, high = 0, len(steps) - 1
    while low < high:
        middle = (low + high) // 2
        if assured((needed <= steps[middle]).mean(axis=1)) >= recall:
            high = middle
        else:
            low = middle + 1
    return int(steps[low])


def measure_cells(
    trial: Trial, divisions: Sequence[Cells], target: float
) -> tuple[list[Cells], list[Point]]:
    """The divisions with efforts that reach the target, and the curve; their points are chosen.

    Args:
        trial: queries.
        divisions: see `CellsIndex`; of efforts that do not matter.
        target: recall at each of `COUNTS`.
    """
    needed = rows_needed(trial, divisions)
    kinds = [
        _by_nearness(cells, trial.queries, group)
        for cells, group in zip(divisions, _groups(trial.queries, divisions), strict=True)
    ]
    whole = CellsIndex(trial.vectors, divisions)
    cell_rows = len(trial.vectors) / len(divisions[0].centroids)
    reaching: list[Cells] = []
    points = []
    for recall in sorted({*_SHOWN, target}):
        index = whole.with_efforts([_efforts(needed, kind, recall) for kind in kinds])
        tried = index.divisions
        for count in COUNTS:

            def search(query: Vectors, index: CellsIndex = index, count: int = count) -> object:
                return index.compare(query, count)

            hits = [
                needed[alike, :count] <= effort.rows[count]
                for cells, kind in zip(tried, kinds, strict=True)
                for effort, (_, alike) in zip(cells.efforts, kind, strict=True)
            ]
            most = len(trial.vectors)
            compared = np.mean([min(e.rows[count], most) for e in tried[0].efforts])
            points.append(
                Point(
                    Route.CELLS,
                    round(float(compared) / cell_rows, 2),
                    count,
                    float(np.concatenate(hits).mean()),
                    median_seconds(search, trial.queries),
                    chosen=recall == target,
                )
            )
        if recall == target:
            reaching = list(tried)
    return reaching, points


def _groups(queries: Vectors, divisions: Sequence[Cells]) -> list[NDArray[np.intp]]:
    """The queries that are looked up in each division."""
    numbers = np.array([division_of(query, divisions) for query in queries])
    return [np.flatnonzero(numbers == number) for number in range(len(divisions))]


def _efforts(
    needed: NDArray[np.int64], kind: Sequence[tuple[float, NDArray[np.intp]]], recall: float
) -> Efforts:
    """For each part of a division's queries, never less than for those that lie nearer."""
    efforts = []
    most = dict.fromkeys(COUNTS, 1)
    for least, alike in kind:
        most = {c: max(most[c], least_rows(needed[alike, :c], recall)) for c in COUNTS}
        efforts.append(Effort(least, most))
    return tuple(efforts)


def _by_nearness(
    cells: Cells, queries: Vectors, group: NDArray[np.intp]
) -> list[tuple[float, NDArray[np.intp]]]:
    """A division's queries in parts of the same size, nearest to their cells first.

    Each with the least similarity to the nearest centroid in it.
    """
    nearest = np.array([cells.similarities(queries[number]).max() for number in group])
    parts = np.array_split(
        np.argsort(-nearest, kind="stable"), min(max(len(group) // _LEAST_ALIKE, 1), _EFFORTS)
    )
    return [(float(nearest[part].min(initial=1.0)), group[part]) for part in parts]


# Graph


def measure_graph(
    trial: Trial, graph: NgtIndex, target: float, rival: float
) -> tuple[dict[int, GraphSetting] | None, list[Point]]:
    """The settings by count that reach the target in the least time, and the curve.

    The points of these settings are chosen; there are none where no setting reaches the target
    in about the rival's time.

    Args:
        trial: queries.
        graph: over the rows.
        target: recall at each of `COUNTS`.
        rival: seconds of another route, the mean of both counts.
    """
    curves: list[Point] = []
    best: list[Point] = []
    settings = None
    for edge_size in EDGE_SIZES:
        reached = []
        for count in COUNTS:
            curve, assuring = _follow(trial, graph, count, edge_size, target, 2 * rival)
            curves += curve
            if not assuring:
                break
            reached.append(curve[-1])
        if len(reached) < len(COUNTS):
            continue
        if not best or _mean_seconds(reached) < _mean_seconds(best):
            best = reached
            settings = {
                point.count: GraphSetting(point.setting, edge_size, point.seconds)
                for point in reached
            }
    return settings, [replace(point, chosen=any(point is one for one in best)) for point in curves]


def _mean_seconds(points: Sequence[Point]) -> float:
    return float(np.mean([point.seconds for point in points]))


def _follow(
    trial: Trial, graph: NgtIndex, count: int, edge_size: int, target: float, limit: float
) -> tuple[list[Point], bool]:
    curve: list[Point] = []
    for epsilon in EPSILONS:

        def search(query: Vectors, epsilon: float = epsilon) -> RowNumbers:
            return graph.search(query, look_up_size(count), epsilon, edge_size)

        seconds = median_seconds(search, trial.queries)
        recalls = trial.recalls(search, count)
        curve.append(Point(Route.GRAPH, epsilon, count, float(recalls.mean()), seconds))
        if assured(recalls) >= target:
            return curve, True
        if seconds > limit:
            break
    return curve, False
