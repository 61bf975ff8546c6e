"""More calls than a server can answer: refused at once, with the delay until the next attempt."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from server_process import eventually
from serving import LOOPBACK, Served, serving
from tashihiki.errors import TashihikiError
from tashihiki.status import from_rpc_error
from tashihiki.v1 import (
    catalog_pb2,
    discovery_pb2,
    discovery_pb2_grpc,
    maintenance_pb2,
    maintenance_pb2_grpc,
    search_pb2,
)
from tashihiki_server.deadline import check_deadline
from tashihiki_server.library import Library
from tashihiki_server.service.catalog import CatalogApi
from tashihiki_server.service.discovery import DiscoveryApi
from tashihiki_server.service.maintenance import MaintenanceApi
from tashihiki_server.service.search import SearchApi
from tashihiki_server.service.server import ServerConfig

SECONDS = 20.0
# What waits is never refused up to here.
ALWAYS = 16

Response = search_pb2.SearchResponse


@dataclass
class Gate:
    """Holds calls of an API, which are known by their collections, until it is opened."""

    begun: list[str] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    opened: threading.Event = field(default_factory=threading.Event)

    def pass_through(self, collection: str) -> None:
        self.begun.append(collection)
        try:
            while not self.opened.wait(0.01):
                check_deadline()
        finally:
            self.ended.append(collection)

    def search(self, _: object, request: search_pb2.SearchRequest) -> Response:
        self.pass_through(request.collection)
        return Response()


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    gate = Gate()
    monkeypatch.setattr(SearchApi, "search", lambda api, request: gate.search(api, request))
    monkeypatch.setattr(SearchApi, "search_at_once", lambda api, request: None)
    yield gate
    gate.opened.set()


@contextmanager
def narrow(library: Library, threads: int = 1, max_wait: float = 0.0) -> Iterator[Served]:
    """A server that has few threads and, after the first 16 calls, no patience."""
    config = ServerConfig(address=LOOPBACK, grace=2.0, threads=threads, max_wait=max_wait)
    with serving(library, config) as served:
        yield served


def send(served: Served, name: str = "", timeout: float = SECONDS) -> Any:
    """A search that is under way."""
    request = search_pb2.SearchRequest(collection=name)
    return served.search.Search.future(request, timeout=timeout)


def fill(served: Served, gate: Gate, last: float = SECONDS) -> list[Any]:
    """Searches that take the only thread and all the places to wait; the last has a deadline."""
    first = send(served, "first")
    eventually(lambda: gate.begun == ["first"], "the first search begins")
    waiting = [send(served, "waiting") for _ in range(ALWAYS - 1)]
    taken = [first, *waiting, send(served, "last", timeout=last)]
    # What comes later is not to overtake them.
    served.catalog.ListCollections(catalog_pb2.ListCollectionsRequest(), timeout=SECONDS)
    return taken


def refusal(call: Any) -> TashihikiError:
    """Why the server refused a call."""
    error = call.exception(SECONDS)
    assert error is not None
    return from_rpc_error(error)


def is_refused(call: Any) -> bool:
    """Whether a call is refused, as far as a little patience tells."""
    try:
        return call.exception(0.2) is not None
    except grpc.FutureTimeoutError:
        return False


def healthy(served: Served) -> bool:
    stub: Any = health_pb2_grpc.HealthStub(served.channel)
    status: int = stub.Check(health_pb2.HealthCheckRequest(), timeout=SECONDS).status
    return status == health_pb2.HealthCheckResponse.SERVING


def test_what_does_not_fit_is_refused_with_a_hint_while_health_answers(
    library: Library, gate: Gate
) -> None:
    with narrow(library) as served:
        taken = fill(served, gate)
        refused = [refusal(send(served)) for _ in range(5)]
        assert healthy(served)
        # Nobody who was taken on has been answered yet.
        assert not any(call.done() for call in taken)
        gate.opened.set()
        for call in taken:
            call.result(SECONDS)
        assert send(served, "later").result(SECONDS) == Response()
    for error in refused:
        assert error.code is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert error.reason == "OVERLOADED"
        assert error.remedy
        assert error.retry_delay is not None
        assert error.retry_delay > 0
    assert len(gate.begun) == len(taken) + 1


def test_sixteen_callers_are_not_refused_however_slow(library: Library, gate: Gate) -> None:
    with narrow(library) as served:
        calls = [send(served) for _ in range(16)]
        eventually(lambda: len(gate.begun) == 1, "a search begins")
        gate.opened.set()
        for call in calls:
            call.result(SECONDS)


def test_quick_calls_may_wait_in_greater_numbers(library: Library, gate: Gate) -> None:
    gate.opened.set()
    with narrow(library, max_wait=5.0) as served:
        for _ in range(5):
            send(served).result(SECONDS)
        gate.opened.clear()
        calls = [send(served) for _ in range(150)]
        # Seen in the order of arrival, so all of them are by now.
        served.catalog.ListCollections(catalog_pb2.ListCollectionsRequest(), timeout=SECONDS)
        assert not any(call.done() for call in calls)
        gate.opened.set()
        for call in calls:
            call.result(SECONDS)


def test_a_flood_that_the_event_loop_cannot_read_is_thinned_out(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(api: SearchApi, request: search_pb2.SearchRequest) -> Response:
        time.sleep(0.01)
        return Response()

    # Which of the two, depends on how well the event loop keeps up.
    monkeypatch.setattr(SearchApi, "search_at_once", slow)
    monkeypatch.setattr(SearchApi, "search", slow)
    with narrow(library, max_wait=0.2) as served:
        # Three times as many as can be answered, for some times as long as one may wait.
        calls = []
        for _ in range(600):
            calls.append(send(served))
            time.sleep(0.003)
        errors = [refusal(call) for call in calls if call.exception(SECONDS) is not None]
        eventually(lambda: send(served).exception(SECONDS) is None, "calls are answered again")
    assert 100 < len(errors) < 590
    assert {error.reason for error in errors} == {"OVERLOADED"}
    assert all(error.retry_delay for error in errors)


def test_there_is_an_end_to_it_even_for_the_quickest(library: Library, gate: Gate) -> None:
    gate.opened.set()
    with narrow(library, max_wait=1e9) as served:
        send(served).result(SECONDS)
        gate.opened.clear()
        calls = [send(served) for _ in range(1050)]
        eventually(lambda: any(call.done() for call in calls), "a call is refused")
        gate.opened.set()
        refused = sum(call.exception(SECONDS) is not None for call in calls)
    assert 0 < refused < 100


def test_each_service_has_places_of_its_own(library: Library, gate: Gate) -> None:
    with narrow(library) as served:
        taken = fill(served, gate)
        assert is_refused(send(served))
        served.catalog.ListCollections(catalog_pb2.ListCollectionsRequest(), timeout=SECONDS)
        gate.opened.set()
        for call in taken:
            call.result(SECONDS)


def upserting(served: Served) -> Callable[[], Any]:
    request = catalog_pb2.UpsertItemsRequest()
    return lambda: served.catalog.UpsertItems.future(request, timeout=SECONDS)


def streaming(served: Served) -> Callable[[], Any]:
    stub = discovery_pb2_grpc.DiscoveryServiceStub(served.channel)
    return lambda: stub.FindDuplicates(discovery_pb2.FindDuplicatesRequest(), timeout=SECONDS)


def maintaining(served: Served) -> Callable[[], Any]:
    stub = maintenance_pb2_grpc.MaintenanceServiceStub(served.channel)
    return lambda: stub.CreateSnapshot(maintenance_pb2.CreateSnapshotRequest(), timeout=SECONDS)


@pytest.mark.parametrize(
    ("api", "method", "sending"),
    [
        (CatalogApi, "upsert_items", upserting),
        (DiscoveryApi, "find_duplicates", streaming),
        (MaintenanceApi, "create_snapshot", maintaining),
    ],
)
def test_writes_and_streams_are_refused_too(
    api: type,
    method: str,
    sending: Callable[[Served], Callable[[], Any]],
    library: Library,
    gate: Gate,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def unary(_: object, request: object) -> catalog_pb2.UpsertItemsResponse:
        gate.pass_through(method)
        return catalog_pb2.UpsertItemsResponse()

    def stream(_: object, request: object) -> Iterator[object]:
        gate.pass_through(method)
        yield from ()

    monkeypatch.setattr(api, method, unary if api is CatalogApi else stream)
    with narrow(library) as served:
        send_one = sending(served)
        first = send_one()
        eventually(lambda: gate.begun == [method], "the first one begins")
        # Which of them is last, only the server knows.
        others = [send_one() for _ in range(ALWAYS + 1)]
        eventually(lambda: any(call.done() for call in others), "one is refused")
        (refused,) = (call for call in others if call.done())
        error = refusal(refused)
        assert (error.reason, error.retry_delay is not None) == ("OVERLOADED", True)
        gate.opened.set()
        for call in [first, *others]:
            assert (call.exception(SECONDS) is None) == (call is not refused)


def test_a_stream_that_was_taken_on_is_not_refused_at_its_next_step(
    library: Library, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    Progress = discovery_pb2.FindDuplicatesResponse

    def stream(_: object, request: object) -> Iterator[discovery_pb2.FindDuplicatesResponse]:
        for number in range(300):
            items = [discovery_pb2.Duplicate(id="x" * 1000)] * 100
            yield Progress(group=discovery_pb2.DuplicateGroup(items=items, identical=number == 299))

    def suggest(_: object, request: object) -> discovery_pb2.SuggestLabelsResponse:
        gate.pass_through("suggest")
        return discovery_pb2.SuggestLabelsResponse()

    monkeypatch.setattr(DiscoveryApi, "find_duplicates", stream)
    monkeypatch.setattr(DiscoveryApi, "suggest_labels", suggest)
    with narrow(library) as served:
        stub = discovery_pb2_grpc.DiscoveryServiceStub(served.channel)
        request = discovery_pb2.SuggestLabelsRequest()
        slow = stub.FindDuplicates(discovery_pb2.FindDuplicatesRequest(), timeout=SECONDS)
        next(slow)
        # The server is at a standstill with the stream now, for nobody reads it on.
        others = [stub.SuggestLabels.future(request, timeout=SECONDS)]
        eventually(lambda: gate.begun == ["suggest"], "another call takes the thread")
        others += [stub.SuggestLabels.future(request, timeout=SECONDS) for _ in range(2 * ALWAYS)]
        eventually(lambda: any(call.done() for call in others), "a call is refused")
        threading.Timer(0.2, gate.opened.set).start()
        rest = list(slow)
        assert len(rest) == 299
        assert rest[-1].group.identical
        reasons = {refusal(call).reason for call in others if call.exception(SECONDS)}
        assert reasons == {"OVERLOADED"}


def test_a_call_whose_deadline_passes_while_it_waits_is_never_begun(
    library: Library, gate: Gate
) -> None:
    with narrow(library) as served:
        first = send(served, "first")
        eventually(lambda: gate.begun == ["first"], "the first search begins")
        late = send(served, "late", timeout=0.1)
        assert late.exception(SECONDS).code() is grpc.StatusCode.DEADLINE_EXCEEDED
        # The server counts from when it saw the call, a moment later.
        time.sleep(0.1)
        last = send(served, "last")
        gate.opened.set()
        first.result(SECONDS)
        last.result(SECONDS)
    assert gate.begun == ["first", "last"]


def test_a_deadline_that_passes_ends_the_work(library: Library, gate: Gate) -> None:
    with narrow(library) as served:
        late = send(served, "late", timeout=2.0)
        eventually(lambda: gate.begun == ["late"], "the search begins")
        assert late.exception(SECONDS).code() is grpc.StatusCode.DEADLINE_EXCEEDED
        # The gate stays shut: the call left it since nobody waited any more.
        eventually(lambda: gate.ended == ["late"], "the work ends")
        next_one = send(served, "next")
        eventually(lambda: gate.begun == ["late", "next"], "the thread is free for another")
        gate.opened.set()
        next_one.result(SECONDS)


def test_a_cancelled_call_ends_its_work(library: Library, gate: Gate) -> None:
    with narrow(library) as served:
        gone = send(served, "gone")
        eventually(lambda: gate.begun == ["gone"], "the search begins")
        gone.cancel()
        eventually(lambda: gate.ended == ["gone"], "the work ends")
        next_one = send(served, "next")
        eventually(lambda: gate.begun == ["gone", "next"], "the thread is free for another")
        gate.opened.set()
        next_one.result(SECONDS)


@pytest.mark.parametrize("how", ["cancelled", "late"])
def test_a_call_that_leaves_while_it_waits_frees_its_place_at_once(
    how: str, library: Library, gate: Gate
) -> None:
    with narrow(library) as served:
        *taken, leaving = fill(served, gate, last=2.0 if how == "late" else SECONDS)
        assert is_refused(send(served))
        if how == "cancelled":
            leaving.cancel()
        # The only thread is held all the while.
        place: list[Any] = []

        def found() -> bool:
            place[:] = [send(served, "after")]
            return not is_refused(place[0])

        eventually(found, "a place is free")
        assert is_refused(send(served))
        assert gate.begun == ["first"]
        gate.opened.set()
        for call in [*taken, *place]:
            call.result(SECONDS)
    assert gate.begun == ["first", *["waiting"] * (ALWAYS - 1), "after"]
