"""What a build measured, and the settings that searches take from it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, TypeAlias

from tashihiki_server.index.base import Route

# A page of hits, and the candidates of a re-ranking.
COUNTS = (10, 100)


@dataclass(frozen=True)
class Point:
    """A setting of a route, and what it came to.

    Attributes:
        route: that it is of.
        setting: NGT's epsilon, or how many cells are looked through; 0 of the exact route.
        count: how many neighbours were asked for.
        recall: share of them that was found, the mean over the sampled compositions.
        seconds: median time of a look-up.
        chosen: searches use it.
    """

    route: Route
    setting: float
    count: int
    recall: float
    seconds: float
    chosen: bool = False


@dataclass(frozen=True)
class GraphSetting:
    """How far a graph is followed.

    Attributes:
        epsilon: how far beyond the nearest found NGT looks on; more finds more.
        edge_size: how many edges of a node it follows; 0 for all.
        seconds: median time of a look-up.
    """

    epsilon: float
    edge_size: int
    seconds: float


@dataclass(frozen=True)
class Effort:
    """How much is looked through for queries that lie so near to a cell.

    Attributes:
        similarity: their least cosine to the nearest centroid.
        rows: how many of them to compare, by count.
    """

    similarity: float
    rows: Mapping[int, int]


Efforts: TypeAlias = tuple[Effort, ...]
"""For the nearest queries first. What lies farther off than any that was sampled has none."""


@dataclass(frozen=True)
class Fitted:
    """What centroids were worth when they were fitted.

    Attributes:
        rows: how many there were.
        cells: the efforts for each division.
    """

    rows: int
    cells: tuple[Efforts, ...]


@dataclass(frozen=True)
class Calibration:
    """The route that answers, and why.

    Attributes:
        route: the fastest one that reaches the target.
        target: recall of the `COUNTS` nearest rows on composed queries, each.
        rows: how many there are.
        queries: how many compositions were sampled.
        row_seconds: of comparing one row where all are compared.
        graph_tried_at: how many rows there were when a graph was last built; 0 for never.
        points: the curve.
        cells: the efforts for each division of the rows; of that route only.
        margins: of its first division's candidates, by count, where that is on principal axes.
        graph: settings by count, of that route only.
        fitted: of the route through cells only; later indexes may take its centroids over.
    """

    route: Route
    target: float
    rows: int
    queries: int = 0
    row_seconds: float = 0.0
    graph_tried_at: int = 0
    points: tuple[Point, ...] = ()
    cells: tuple[Efforts, ...] = ()
    graph: Mapping[int, GraphSetting] | None = None
    fitted: Fitted | None = None
    margins: Mapping[int, float] = field(default_factory=dict)

    def recall(self, count: int = COUNTS[0]) -> float:
        """What was measured of the chosen setting; 1 where all rows are compared."""
        found = [point.recall for point in self.points if point.chosen and point.count == count]
        return found[0] if found else 1.0

    def to_json(self) -> str:
        """The calibration as text."""
        content = asdict(self)
        content["route"] = self.route.value
        for point in content["points"]:
            point["route"] = point["route"].value
        return json.dumps(content, indent=1)

    @classmethod
    def from_json(cls, text: str) -> Calibration:
        """Reads what `to_json` wrote.

        Raises:
            ValueError: for anything else.
        """
        try:
            content: dict[str, Any] = json.loads(text)
            route = Route(content["route"])
            return cls(
                route=route,
                target=float(content["target"]),
                rows=int(content["rows"]),
                queries=int(content["queries"]),
                row_seconds=float(content["row_seconds"]),
                graph_tried_at=int(content["graph_tried_at"]),
                points=tuple(
                    Point(**{**point, "route": Route(point["route"])})
                    for point in content["points"]
                ),
                cells=_efforts(content["cells"]),
                graph=content["graph"]
                and {count: GraphSetting(**content["graph"][str(count)]) for count in COUNTS},
                fitted=_fitted(content.get("fitted")),
                # An earlier release had no axes.
                margins={int(c): float(m) for c, m in content.get("margins", {}).items()},
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"this is no calibration: {error!r}") from error


def _efforts(content: Sequence[Any]) -> tuple[Efforts, ...]:
    # An earlier release had one effort for each division, by count.
    divisions: list[list[dict[str, Any]]] = [
        [{"similarity": -1.0, "rows": one}] if isinstance(one, dict) else one for one in content
    ]
    return tuple(
        tuple(
            Effort(float(one["similarity"]), {c: int(one["rows"][str(c)]) for c in COUNTS})
            for one in division
        )
        for division in divisions
    )


def _fitted(content: Mapping[str, Any] | None) -> Fitted | None:
    # An index of an earlier release says nothing of it.
    return Fitted(int(content["rows"]), _efforts(content["cells"])) if content else None


def between(counts: tuple[float, float], count: float) -> float:
    """What two numbers, for the two `COUNTS`, make for another count.

    Along the power law through both from the first on, the second in proportion beyond it.
    """
    low, high = COUNTS
    first, second = counts
    if count <= low or first <= 0:
        return first
    if count >= high:
        return second * count / high
    power = math.log(count / low) / math.log(high / low)
    return float(first * (second / first) ** power)
