"""Recall and time of the routes on sampled compositions, against exact search."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tashihiki_server.index.base import Route, RowNumbers
from tashihiki_server.index.calibration import COUNTS, Effort, Efforts, GraphSetting, Point
from tashihiki_server.index.cells import Cells
from tashihiki_server.index.cells_index import CellsIndex, division_of
from tashihiki_server.index.graph import look_up_size
from tashihiki_server.index.ngt import NgtIndex
from tashihiki_server.index.trial import TIMED, Trial, assured, least_reaching, median_seconds
from tashihiki_server.space.base import Vectors

# Beyond the last one NGT visits so much that comparing everything is faster.
EPSILONS = (0.02, 0.04, 0.06, 0.08, 0.1, 0.12, 0.15, 0.18, 0.22, 0.26, 0.3, 0.4)
EDGE_SIZES = (0, 40)
# Recalls that the curve shows beside the target.
_SHOWN = (0.8, 0.9, 0.95, 0.995)
# Efforts of a division, and sampled queries for each of them.
_EFFORTS = 4
_LEAST_ALIKE = 50
# Rows for queries farther off than the sampled ones, to those for the farthest of these.
_FARTHER = 2
# More rows than there are.
_UNKNOWN = 2**40


def measure_exact(trial: Trial) -> list[Point]:
    """What comparing all rows takes."""

    def search(query: Vectors) -> object:
        scores = trial.vectors @ query
        return np.partition(scores, -COUNTS[0])

    seconds = median_seconds(search, trial.queries[: TIMED // 3])
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
    return int(least_reaching(needed, recall)) if len(needed) else _UNKNOWN


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
    groups = _groups(trial.queries, divisions)
    kinds = [
        _by_nearness(cells, trial.queries, group)
        for cells, group in zip(divisions, groups, strict=True)
    ]
    first = divisions[0]
    if first.principal is not None:
        parts = [part.queries for part in kinds[0]]
        principal, passed = first.principal.measured(trial, parts, target)
        divisions = [replace(first, principal=principal), *divisions[1:]]
        asked = np.concatenate(parts)
        needed[asked] = np.where(passed, needed[asked], _UNKNOWN)
    whole, most = CellsIndex(trial.vectors, divisions), len(trial.vectors)
    cell_rows = len(trial.vectors) / len(divisions[0].centroids)
    reaching: list[Cells] = []
    points = []
    for recall in sorted({*_SHOWN, target}):
        index = whole.with_efforts([_efforts(needed, kind, recall, most) for kind in kinds])
        tried = index.divisions
        for count in COUNTS:

            def search(query: Vectors, index: CellsIndex = index, count: int = count) -> object:
                return index.look_up(query).compare(count)

            hits = [
                # What no margin lets through is not found, however many are compared.
                needed[part.queries, :count] <= min(effort.rows[count], _UNKNOWN - 1)
                for cells, kind in zip(tried, kinds, strict=True)
                for effort, part in zip(cells.efforts, kind, strict=False)
            ]
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


@dataclass(frozen=True)
class _Part:
    """Sampled queries of a division that lie about as near to its cells.

    Attributes:
        queries: their numbers.
        least: of their similarities to the nearest centroid.
        spread: the greatest of these less the least.
    """

    queries: NDArray[np.intp]
    least: float
    spread: float


def _efforts(needed: NDArray[np.int64], kind: Sequence[_Part], recall: float, rows: int) -> Efforts:
    """For each part of a division's queries, never less than for those that lie nearer.

    And one for those a little farther off than any that was sampled, as far again as the last part
    is wide: as one in so many queries is, which should not take many times as long as the others.
    """
    efforts = []
    most = dict.fromkeys(COUNTS, 1)
    for part in kind:
        most = {c: max(most[c], least_rows(needed[part.queries, :c], recall)) for c in COUNTS}
        efforts.append(Effort(part.least, most))
    beyond = {c: max(least, min(_FARTHER * least, rows)) for c, least in most.items()}
    efforts.append(Effort(kind[-1].least - kind[-1].spread, beyond))
    return tuple(efforts)


def _by_nearness(cells: Cells, queries: Vectors, group: NDArray[np.intp]) -> list[_Part]:
    """A division's queries in parts of the same size, nearest to their cells first."""
    nearest = np.array([cells.similarities(queries[number]).max() for number in group])
    parts = np.array_split(
        np.argsort(-nearest, kind="stable"), min(max(len(group) // _LEAST_ALIKE, 1), _EFFORTS)
    )
    return [_part(group[part], nearest[part]) for part in parts]


def _part(queries: NDArray[np.intp], nearest: NDArray[np.floating]) -> _Part:
    if not len(queries):
        return _Part(queries, 1.0, 0.0)
    least = float(nearest.min())
    return _Part(queries, least, float(nearest.max()) - least)


# Graph


def measure_graph(
    trial: Trial, graph: NgtIndex, target: float, rival: float
) -> tuple[dict[int, GraphSetting] | None, list[Point]]:
    """The settings by count that reach the target in the least time, and the curve.

    A setting reaches it where it does for every kind of queries: a graph that leads from item to
    item may lead a sum of items astray, and where these are few a mean would not tell.

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
    kinds = [trial.kinds == kind for kind in np.unique(trial.kinds)]
    for epsilon in EPSILONS:

        def search(query: Vectors, epsilon: float = epsilon) -> RowNumbers:
            return graph.search(query, look_up_size(count), epsilon, edge_size)

        seconds = median_seconds(search, trial.queries)
        recalls = trial.recalls(search, count)
        curve.append(Point(Route.GRAPH, epsilon, count, float(recalls.mean()), seconds))
        if min(assured(recalls[kind]) for kind in kinds) >= target:
            return curve, True
        if seconds > limit:
            break
    return curve, False
