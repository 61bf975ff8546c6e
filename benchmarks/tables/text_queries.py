"""Text queries of two attributes beside the bare look-up and the empty call."""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import grpc

from benchmarks.contents.filled_server import filled
from benchmarks.contents.inside import Inside, look_inside
from benchmarks.contents.requests import LIMIT, text_filling, text_requests, unrepeated
from benchmarks.floors.bare_ngt import BareNgt
from benchmarks.floors.empty_service import empty_service
from benchmarks.loads.alone import block_medians
from benchmarks.loads.closed_loop import CALLERS, in_turns
from benchmarks.loads.stages import Stages
from benchmarks.loads.targets import GrpcTarget
from benchmarks.results import Table
from server_process import ServerProcess, running
from tashihiki.v1 import search_pb2, search_pb2_grpc
from tashihiki_server.service.hits.rerank import CANDIDATES
from tashihiki_server.space.base import Vectors

# So many requests are no more than a server remembers the answers of.
REPEATED = 100
TUNING_QUERIES = 100
_EMPTY = "empty call"
_TIMED = "in the server"
_TRIP = "round trip"
_AGAIN = "again"
_LOOK_UP = "look-up"
# About what passes in one caller's round trip besides the search.
PAUSE = 0.0015


def main(arguments: Sequence[str] = ()) -> list[Table]:
    """One caller, where the time goes, and many callers."""
    plan = _options(arguments)
    filling = text_filling(plan.items, plan.dimension)
    requests = text_requests(filling.kind)
    folder = f"{plan.data}/text" if plan.data else None
    with filled(filling, folder=folder) as place, empty_service() as empty:
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
    return [*alone, Table("many", title, ["calls", "calls/s", "to the empty call"], many)]


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser("text_queries", description=__doc__)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--dimension", type=int, default=128, help="of the items")
    parser.add_argument("--calls", type=int, default=2000, help="of one caller")
    parser.add_argument("--seconds", type=float, default=10.0, help="of a turn of many callers")
    parser.add_argument("--rounds", type=int, default=3, help="turns of many callers")
    parser.add_argument("--data", default=None, help="folder that is kept and used again")
    return parser.parse_args(arguments)


def _target(server: ServerProcess, requests: Sequence[search_pb2.SearchRequest]) -> GrpcTarget:
    return GrpcTarget(f"127.0.0.1:{server.port}", [r.SerializeToString() for r in requests])


def _alone(
    plan: argparse.Namespace,
    server: ServerProcess,
    empty: str,
    requests: Sequence[search_pb2.SearchRequest],
    inside: Inside,
    graph: BareNgt,
) -> list[Table]:
    stages = Stages(server.search.Search, requests)
    every, some = unrepeated(requests), requests[:REPEATED]
    with grpc.insecure_channel(empty) as channel:
        nothing = search_pb2_grpc.SearchServiceStub(channel)
        rivals: dict[str, Callable[[int], object]] = {
            _EMPTY: lambda n: nothing.Search(search_pb2.SearchRequest()),
            _TRIP: lambda n: server.search.Search(every[n % len(every)]),
            _AGAIN: lambda n: server.search.Search(some[n % len(some)]),
            _TIMED: stages.ask,
        }
        look_ups = _LookUps(graph, inside.composed)
        found = block_medians({**rivals, **look_ups.rivals}, plan.calls)
        ten = look_ups.taken(found, LIMIT)
        # What re-ranking needs of neighbours, and one more for the next page.
        graph.tune(inside.composed[:TUNING_QUERIES], CANDIDATES + 1)
        hundred = look_ups.taken(block_medians(look_ups.rivals, plan.calls), CANDIDATES + 1)
    inner, trip, nothing_at_all = stages.total, found[_TRIP], found[_EMPTY]
    rows = [
        *ten.rows,
        *hundred.rows,
        [
            "text query, in the server",
            _ms(inner),
            f"{inner / ten.at_once:.2f} and {inner / hundred.at_once:.2f} × the look-ups;"
            f" {inner / ten.rested:.2f} and {inner / hundred.rested:.2f} × those after a pause",
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
        Table("alone", title, ["one caller", "p50, ms", "ratio"], rows),
        stages.table("stages", "text query"),
    ]


@dataclass(frozen=True)
class _LookUp:
    """A bare look-up, in seconds."""

    name: str
    at_once: float
    rested: float

    @property
    def rows(self) -> list[list[str]]:
        return [
            [self.name, _ms(self.at_once), ""],
            [f"the same after a pause of {1000 * PAUSE:g} ms", _ms(self.rested), ""],
        ]


class _LookUps:
    """NGT's, one after the other as no server has them, and with pauses as between calls.

    After a pause the core wakes up, and its caches have lost rows and graph.
    """

    def __init__(self, graph: BareNgt, queries: Vectors) -> None:
        self._graph = graph
        self._queries = queries
        self._rested: list[float] = []

    @property
    def rivals(self) -> dict[str, Callable[[int], object]]:
        return {_LOOK_UP: self._at_once, "rested": self._after_a_pause}

    def _at_once(self, number: int) -> None:
        self._graph.search(self._queries[number % len(self._queries)])

    def _after_a_pause(self, number: int) -> None:
        time.sleep(PAUSE)
        begin = time.perf_counter()
        self._at_once(number)
        self._rested.append(time.perf_counter() - begin)

    def taken(self, found: Mapping[str, float], count: int) -> _LookUp:
        """What was measured since the last time, of look-ups of so many neighbours."""
        rested, self._rested = statistics.median(self._rested), []
        about = f"recall {self._graph.recall:.3f}; {self._graph.setting}"
        return _LookUp(f"bare NGT look-up of {count} ({about})", found[_LOOK_UP], rested)


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:.3f}"
