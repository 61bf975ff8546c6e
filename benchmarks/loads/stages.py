"""Where a server says that the time of its searches went."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence

from benchmarks.results import Table
from tashihiki.v1 import search_pb2


class Stages:
    """Asks for timings, and keeps those of every answer."""

    def __init__(
        self,
        search: Callable[[search_pb2.SearchRequest], search_pb2.SearchResponse],
        requests: Sequence[search_pb2.SearchRequest],
    ) -> None:
        """Asks a server.

        Args:
            search: its method.
            requests: asked in turn, each with timings.
        """
        self._search = search
        self._requests = []
        for request in requests:
            timed = search_pb2.SearchRequest(include_timings=True)
            timed.MergeFrom(request)
            self._requests.append(timed)
        self._totals: list[float] = []
        self._beside: list[float] = []
        self._stages: dict[str, list[float]] = {}
        self._routes: set[str] = set()

    def ask(self, number: int) -> None:
        """Searches with the request of a number."""
        response = self._search(self._requests[number % len(self._requests)])
        timings = response.timings
        self._totals.append(timings.total_seconds)
        self._beside.append(timings.total_seconds - sum(stage.seconds for stage in timings.stages))
        for stage in timings.stages:
            self._stages.setdefault(stage.name, []).append(stage.seconds)
        self._routes.add(search_pb2.SearchRoute.Name(response.route).rpartition("_")[2].lower())

    @property
    def total(self) -> float:
        """Median seconds in the server."""
        return statistics.median(self._totals)

    def table(self, name: str, what: str) -> Table:
        """Medians of the stages, of what lies beside them, and of the whole.

        Args:
            name: of the table.
            what: is asked, in words.
        """
        stages = {**self._stages, "beside the stages": self._beside, "total": self._totals}
        medians = {stage: statistics.median(taken) for stage, taken in stages.items()}
        rows = [
            [stage, f"{1000 * taken:.3f}", f"{taken / self.total:.0%}"]
            for stage, taken in medians.items()
        ]
        routes = ", ".join(sorted(self._routes))
        title = f"Stages in the server, {what} (found by {routes}), medians"
        return Table(name, title, ["stage", "p50, ms", "of the total"], rows)
