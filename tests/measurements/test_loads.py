"""How load is put on a server, and what is seen meanwhile."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

import grpc
import numpy as np
import psutil

from benchmarks.floors.empty_service import empty_service
from benchmarks.loads.machine_watch import MachineWatch
from benchmarks.loads.open_loop import Calls, Schedule, open_loop
from benchmarks.loads.processor_watch import ProcessorWatch
from benchmarks.loads.stages import Stages
from benchmarks.loads.targets import OK, Answer
from tashihiki.v1 import composition_pb2, search_pb2, search_pb2_grpc

# What the system counts processor time in, at its coarsest.
_TICK = 0.02


def _calls(due: list[float], seconds: list[float], codes: list[str] | None = None) -> Calls:
    count = len(due)
    return Calls(
        due=np.array(due),
        seconds=np.array(seconds),
        late=np.zeros(count),
        codes=np.array(codes or [OK] * count),
        hinted=np.zeros(count, dtype=bool),
        begin=0.0,
        processor_seconds=0.0,
    )


def _spin(seconds: float) -> None:
    """Takes so much processor time."""
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


def test_arrivals_of_all_clients_make_the_rate_that_is_asked_for() -> None:
    even = Schedule(rate=100, seconds=10, poisson=False, clients=4)
    times = np.sort(np.concatenate([even.arrivals(client) for client in range(4)]))
    assert np.allclose(np.diff(times), 0.01)
    assert 990 <= len(times) <= 1000

    random = Schedule(rate=100, seconds=100, clients=2)
    parts = [random.arrivals(client) for client in range(2)]
    assert not set(parts[0]) & set(parts[1])
    gaps = np.diff(np.sort(np.concatenate(parts)))
    # Of a Poisson process the gaps' deviation is their mean.
    assert abs(gaps.mean() * 100 - 1) < 0.05
    assert abs(gaps.std() / gaps.mean() - 1) < 0.05


def test_each_minute_has_a_ratio_of_its_own() -> None:
    due = np.arange(0, 200, 0.5)
    # Even within each minute, ten times as slow in the second; one in twenty is late in the third.
    seconds = np.where((due >= 60) & (due < 120), 0.1, 0.01)
    seconds[(due >= 120) & (due % 10 == 0)] = 0.07
    # What was refused at once was no answer.
    codes = np.where(due == 30, "RESOURCE_EXHAUSTED", OK)
    calls = _calls(due.tolist(), seconds.tolist(), codes.tolist())
    # The last 20 seconds belong to the third minute.
    assert np.allclose(calls.p99_to_p50_by_minute(), [1, 1, 7])
    assert np.isclose(calls.p99_to_p50, 10)

    short = _calls([0.0, 1.0, 2.0], [0.1, 0.1, 0.1])
    assert np.allclose(short.p99_to_p50_by_minute(), [1])
    silent = _calls([30.0, 90.0, 119.0], [0.1, 5.0, 5.0], [OK, "UNAVAILABLE", "UNAVAILABLE"])
    assert silent.p99_to_p50_by_minute().tolist() == [1, np.inf]


def test_a_stall_of_the_machine_is_seen_when_it_was() -> None:
    begin = time.time()
    with MachineWatch() as watch:
        sleeper = psutil.Process(watch.pid)
        before = time.time()
        sleeper.suspend()
        time.sleep(0.3)
        sleeper.resume()
        _spin(0.3)
        after = time.time()
    end = time.time()
    assert 0.29 <= watch.late(before, after, share=1) <= after - before
    # Not one late nap only: calls that came in its first tenth of a second had waited for the rest.
    assert watch.late(before, after, share=1 - 0.1 / (after - before)) >= 0.15
    assert np.isnan(watch.late(begin - 2, begin - 1))
    assert watch.busy(begin, end) * (end - begin) >= 0.3 - 2 * _TICK
    moments, shares = watch.stolen_by_second.T
    assert moments[-1] >= after
    assert ((shares >= 0) & (shares <= 1)).all()
    assert shares.min() <= watch.stolen(begin, end) <= shares.max()


def test_processors_are_counted_for_the_process_that_takes_them() -> None:
    with ProcessorWatch(os.getpid()) as watch:
        begin, taken = time.time(), time.process_time()
        _spin(0.3)
        end, taken = time.time(), time.process_time() - taken
    assert abs(watch.cores(begin, end) * (end - begin) - taken) <= 3 * _TICK


@dataclass(frozen=True)
class _Laborious:
    """A target whose calls cost the client a known time."""

    seconds: float

    def connect(self, number: int) -> _Laborious:
        return self

    async def ask(self, number: int, timeout: float) -> Answer:
        _spin(self.seconds)
        return Answer(OK)

    async def close(self) -> None:
        pass


def test_clients_tell_what_they_took() -> None:
    schedule = Schedule(rate=20, seconds=0.5, poisson=False, clients=2)
    calls = open_loop(_Laborious(0.02), schedule)
    assert len(calls.due) >= 8
    # The calls that open connections, more than these, do not count.
    assert 0 <= calls.processor_seconds - 0.02 * len(calls.due) < 0.1


def test_the_empty_service_takes_photos_of_any_size() -> None:
    photo = composition_pb2.Term(image=bytes(6 * 2**20))
    composition = composition_pb2.Composition(terms=[photo])
    request = search_pb2.SearchRequest(query=composition_pb2.Query(composition=composition))
    with empty_service() as address, grpc.insecure_channel(address) as channel:
        response = search_pb2_grpc.SearchServiceStub(channel).Search(request)
    assert response == search_pb2.SearchResponse()


def test_stages_are_told_with_what_lies_beside_them() -> None:
    asked = []

    def search(request: search_pb2.SearchRequest) -> search_pb2.SearchResponse:
        asked.append(request)
        # The third of them was slow.
        slow = 10 * (request.limit == 3)
        stages = [
            search_pb2.Stage(name="decode", seconds=0.004 + slow),
            search_pb2.Stage(name="look_up", seconds=0.001),
        ]
        return search_pb2.SearchResponse(
            route=search_pb2.SEARCH_ROUTE_EXACT,
            timings=search_pb2.Timings(total_seconds=0.008 + slow, stages=stages),
        )

    stages = Stages(search, [search_pb2.SearchRequest(limit=limit) for limit in (1, 2, 3)])
    for number in range(3):
        stages.ask(number)
    assert [request.limit for request in asked] == [1, 2, 3]
    assert all(request.include_timings for request in asked)
    assert np.isclose(stages.total, 0.008)
    table = stages.table("stages", "photo")
    assert table.title == "Stages in the server, photo (found by exact), medians"
    assert table.rows == [
        ["decode", "4.000", "50%"],
        ["look_up", "1.000", "12%"],
        ["beside the stages", "3.000", "38%"],
        ["total", "8.000", "100%"],
    ]
