"""Text queries of two attributes beside the bare look-up and the empty call."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import grpc

from benchmarks.contents.filled_server import COLLECTION, Filling, filled
from benchmarks.contents.generated_items import Kind, pair_expressions
from benchmarks.contents.inside import Inside, look_inside
from benchmarks.floors.bare_ngt import BareNgt
from benchmarks.floors.empty_service import empty_service
from benchmarks.loads.alone import block_medians
from benchmarks.loads.closed_loop import in_turns
from benchmarks.loads.targets import GrpcTarget
from benchmarks.results import Table
from server_process import ServerProcess, running
from tashihiki.v1 import composition_pb2, search_pb2, search_pb2_grpc
from tashihiki_server.service.hits.rerank import CANDIDATES

COLOURS, SHAPES = 40, 30
LIMIT = 10
CALLERS = 16
# So many requests are no more than a server remembers the answers of.
REPEATED = 100
TUNING_QUERIES = 100
_EMPTY = "empty call"
_TIMED = "in the server"
_TRIP = "round trip"
_AGAIN = "again"


@dataclass(frozen=True)
class TextPlan:
    """How much is measured.

    Attributes:
        items: in the collection.
        dimension: of their vectors.
        calls: of one caller, of each rival.
        seconds: of each turn of many callers.
        rounds: turns.
        folder: that is kept for the next run; None for a temporary one.
    """

    items: int
    dimension: int
    calls: int
    seconds: float
    rounds: int
    folder: str | None

    @property
    def filling(self) -> Filling:
        """The items; more pairs than a small cache of answers would hold."""
        return Filling(self.items, Kind(self.dimension, COLOURS, SHAPES), "factored")


def text_requests(kind: Kind) -> list[search_pb2.SearchRequest]:
    """A search for every pair of a colour and a shape."""
    return [
        search_pb2.SearchRequest(
            collection=COLLECTION, query=composition_pb2.Query(expression=pair), limit=LIMIT
        )
        for pair in pair_expressions(kind)
    ]


def unrepeated(
    requests: Sequence[search_pb2.SearchRequest], least: int = 4800
) -> list[search_pb2.SearchRequest]:
    """At least so many, no two alike: the same ones, each time with another minimum similarity.

    There is nothing below it. A server that gives answers again has none for these, as long as it
    remembers fewer.
    """
    made = []
    for number in range(-(-least // len(requests))):
        for request in requests:
            made.append(search_pb2.SearchRequest(min_similarity=1e-6 * number - 1.0))
            made[-1].MergeFrom(request)
    return made


def text_tables(plan: TextPlan) -> list[Table]:
    """One caller, where the time goes, and many callers."""
    requests = text_requests(plan.filling.kind)
    with filled(plan.filling, folder=plan.folder) as place, empty_service() as empty:
        inside = look_inside(place, requests)
        with tempfile.TemporaryDirectory() as folder:
            graph = BareNgt(
                inside.vectors, Path(folder) / "ngt", inside.composed[:TUNING_QUERIES], LIMIT
            )
            with running(place.data, place.bundle) as server:
                alone = _alone(plan, server, empty, requests, inside, graph)
                rates = in_turns(
                    {
                        "text queries": _target(server, unrepeated(requests)),
                        f"{REPEATED} of them, again and again": _target(
                            server, requests[:REPEATED]
                        ),
                        _EMPTY: GrpcTarget(empty, [search_pb2.SearchRequest().SerializeToString()]),
                    },
                    CALLERS,
                    plan.seconds,
                    plan.rounds,
                )
            graph.close()
    per_second = {name: rate.per_second for name, rate in rates.items()}
    failed = sum(sum(rate.failures.values()) for rate in rates.values())
    many = [
        [name, f"{rate:.0f}", f"{rate / per_second[_EMPTY]:.2f}"]
        for name, rate in per_second.items()
    ]
    title = f"{CALLERS} callers, calls a second; {failed} failed"
    return [*alone, Table("text-many", title, ["calls", "calls/s", "to the empty call"], many)]


def _target(server: ServerProcess, requests: Sequence[search_pb2.SearchRequest]) -> GrpcTarget:
    return GrpcTarget(f"127.0.0.1:{server.port}", [r.SerializeToString() for r in requests])


def _alone(
    plan: TextPlan,
    server: ServerProcess,
    empty: str,
    requests: Sequence[search_pb2.SearchRequest],
    inside: Inside,
    graph: BareNgt,
) -> list[Table]:
    stages = _Stages(server, requests)
    every, some = unrepeated(requests), requests[:REPEATED]
    with grpc.insecure_channel(empty) as channel:
        nothing = search_pb2_grpc.SearchServiceStub(channel)
        rivals: dict[str, Callable[[int], object]] = {
            _EMPTY: lambda n: nothing.Search(search_pb2.SearchRequest()),
            _TRIP: lambda n: server.search.Search(every[n % len(every)]),
            _AGAIN: lambda n: server.search.Search(some[n % len(some)]),
            _TIMED: stages.ask,
            "look-up": lambda n: graph.search(inside.composed[n % len(requests)]),
        }
        found = block_medians(rivals, plan.calls)
    ten, recall, setting = found["look-up"], graph.recall, graph.setting
    # What re-ranking needs of neighbours, and one more for the next page.
    graph.tune(inside.composed[:TUNING_QUERIES], CANDIDATES + 1)
    hundred = block_medians({"look-up": rivals["look-up"]}, plan.calls)["look-up"]
    inner, trip, nothing_at_all = stages.total, found[_TRIP], found[_EMPTY]
    more = f"recall {graph.recall:.3f}; {graph.setting}"
    rows = [
        [f"bare NGT look-up of {LIMIT} (recall {recall:.3f}; {setting})", _ms(ten), ""],
        [f"bare NGT look-up of {CANDIDATES + 1} ({more})", _ms(hundred), ""],
        [
            "text query, in the server",
            _ms(inner),
            f"{inner / ten:.2f} and {inner / hundred:.2f} × the look-ups",
        ],
        ["empty call, round trip", _ms(nothing_at_all), ""],
        ["text query, round trip", _ms(trip), f"{trip / nothing_at_all:.2f} × the empty call"],
        [
            f"one of {REPEATED} again and again, round trip",
            _ms(found[_AGAIN]),
            f"{found[_AGAIN] / nothing_at_all:.2f} × the empty call",
        ],
    ]
    title = (
        f"Two attributes of {len(requests)} pairs, limit {LIMIT}, {plan.items} items of"
        f" {plan.dimension} dimensions, factored space, one caller, medians"
    )
    return [
        Table("text-alone", title, ["one caller", "p50, ms", "ratio"], rows),
        stages.table,
    ]


class _Stages:
    """Where the server says that the time went."""

    def __init__(self, server: ServerProcess, requests: Sequence[search_pb2.SearchRequest]) -> None:
        self._server = server
        self._requests = []
        for request in requests:
            timed = search_pb2.SearchRequest(include_timings=True)
            timed.MergeFrom(request)
            self._requests.append(timed)
        self._totals: list[float] = []
        self._stages: dict[str, list[float]] = {}
        self._routes: set[str] = set()

    def ask(self, number: int) -> None:
        response = self._server.search.Search(self._requests[number % len(self._requests)])
        self._totals.append(response.timings.total_seconds)
        for stage in response.timings.stages:
            self._stages.setdefault(stage.name, []).append(stage.seconds)
        self._routes.add(search_pb2.SearchRoute.Name(response.route).rpartition("_")[2].lower())

    @property
    def total(self) -> float:
        return statistics.median(self._totals)

    @property
    def table(self) -> Table:
        medians = {name: statistics.median(taken) for name, taken in self._stages.items()}
        rows = [[name, _ms(taken), f"{taken / self.total:.0%}"] for name, taken in medians.items()]
        title = f"Stages in the server (found by {', '.join(sorted(self._routes))}), medians"
        return Table("text-stages", title, ["stage", "p50, ms", "of the total"], rows)


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:.3f}"
