"""Server streaming: back-pressure, cancelling, deadlines and errors on the way."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import grpc
import pytest

from calls import failure
from tashihiki.errors import FailedPreconditionError
from tashihiki.v1 import discovery_pb2, discovery_pb2_grpc
from tashihiki_server.deadline import check_deadline
from tashihiki_server.service.calls import Calls
from tashihiki_server.service.pulse import Pulse
from tashihiki_server.service.workers import Workers

Response = discovery_pb2.FindDuplicatesResponse
Responses = Generator[Response, None, None]
_SERVICE = discovery_pb2.DESCRIPTOR.services_by_name["DiscoveryService"]


def progress(done: int, group: int = 0) -> Response:
    """An event; with a group of so many items it is a big one."""
    if group:
        items = [discovery_pb2.Duplicate(id="x" * 1000)] * group
        return Response(group=discovery_pb2.DuplicateGroup(items=items))
    return Response(progress=discovery_pb2.DuplicateProgress(done_count=done))


class Api:
    """Answers FindDuplicates as a test says."""

    def __init__(self, work: Callable[[], Responses]) -> None:
        self._work = work

    def find_duplicates(self, _: discovery_pb2.FindDuplicatesRequest) -> Responses:
        return self._work()

    def suggest_labels(
        self, _: discovery_pb2.SuggestLabelsRequest
    ) -> discovery_pb2.SuggestLabelsResponse:
        return discovery_pb2.SuggestLabelsResponse(unlabelled_count=7)

    def sample_items(
        self, _: discovery_pb2.SampleItemsRequest
    ) -> discovery_pb2.SampleItemsResponse:
        raise NotImplementedError


@contextmanager
def streaming(
    work: Callable[[], Responses], *, threads: int = 2, max_bytes: int = 2**20
) -> Iterator[discovery_pb2_grpc.DiscoveryServiceStub]:
    """A server whose FindDuplicates is this generator."""
    ready = threading.Event()
    address: list[str] = []
    stop: list[Callable[[], object]] = []

    async def run() -> None:
        executor = ThreadPoolExecutor(threads)
        server = grpc.aio.server()
        calls = Calls(Workers(executor, threads, 0.5), Pulse(max_wait=0.5), max_bytes)
        server.add_generic_rpc_handlers((calls.handler(Api(work), _SERVICE),))
        address.append(f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}")
        await server.start()
        ended = asyncio.Event()
        loop = asyncio.get_running_loop()
        stop.append(lambda: loop.call_soon_threadsafe(ended.set))
        ready.set()
        await ended.wait()
        await server.stop(0)
        executor.shutdown(cancel_futures=True)

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    assert ready.wait(10)
    with grpc.insecure_channel(address[0]) as channel:
        try:
            yield discovery_pb2_grpc.DiscoveryServiceStub(channel)
        finally:
            stop[0]()
            thread.join()


REQUEST = discovery_pb2.FindDuplicatesRequest()


def until(condition: Callable[[], bool], seconds: float = 5.0) -> bool:
    """Waits for something to become true."""
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
    return condition()


def test_responses_come_in_order() -> None:
    def work() -> Responses:
        for number in range(500):
            yield progress(number)

    with streaming(work) as stub:
        found = [response.progress.done_count for response in stub.FindDuplicates(REQUEST)]
    assert found == list(range(500))


def test_a_stream_may_be_empty() -> None:
    def work() -> Responses:
        yield from ()

    with streaming(work) as stub:
        assert list(stub.FindDuplicates(REQUEST)) == []


def test_a_first_response_arrives_before_the_second_is_made() -> None:
    more = threading.Event()

    def work() -> Responses:
        yield progress(1)
        assert more.wait(5)
        yield progress(2)

    with streaming(work) as stub:
        stream = stub.FindDuplicates(REQUEST)
        assert next(stream).progress.done_count == 1
        more.set()
        assert next(stream).progress.done_count == 2


def test_a_slow_reader_holds_the_generator_back_and_no_thread() -> None:
    made = 0
    total = 2000

    def work() -> Responses:
        nonlocal made
        for _ in range(total):
            made += 1
            yield progress(0, group=100)  # 100 kB

    with streaming(work, threads=1) as stub:
        stream = stub.FindDuplicates(REQUEST)
        next(stream)
        time.sleep(0.5)
        held = made
        time.sleep(0.5)
        assert made == held < 200
        # The only thread is free for others meanwhile.
        other = stub.SuggestLabels(discovery_pb2.SuggestLabelsRequest(), timeout=5)
        assert other.unlabelled_count == 7
        assert sum(1 for _ in stream) == total - 1


def test_a_cancelled_call_closes_the_generator() -> None:
    closed = threading.Event()

    def work() -> Responses:
        try:
            for number in range(10**9):
                yield progress(number)
        finally:
            closed.set()

    with streaming(work) as stub:
        stream = stub.FindDuplicates(REQUEST)
        next(stream)
        stream.cancel()
        assert closed.wait(5)


def test_a_cancelled_call_ends_a_long_step_at_its_next_check() -> None:
    started, closed = threading.Event(), threading.Event()

    def work() -> Responses:
        try:
            yield progress(0)
            started.set()
            while True:
                check_deadline()
                time.sleep(0.01)
        finally:
            closed.set()

    with streaming(work) as stub:
        stream = stub.FindDuplicates(REQUEST)
        next(stream)
        assert started.wait(5)
        stream.cancel()
        assert closed.wait(5)


def test_a_server_that_stops_closes_the_generator() -> None:
    closed = threading.Event()

    def work() -> Responses:
        try:
            while True:
                yield progress(0, group=100)
        finally:
            closed.set()

    with streaming(work) as stub:
        stream = stub.FindDuplicates(REQUEST)
        next(stream)
        time.sleep(0.1)
        assert not closed.is_set()
    assert closed.wait(5)
    with pytest.raises(grpc.RpcError):
        list(stream)


def test_a_deadline_ends_the_stream() -> None:
    closed = threading.Event()

    def work() -> Responses:
        try:
            while True:
                yield progress(0)
                for _ in range(5):
                    time.sleep(0.01)
                    check_deadline()
        finally:
            closed.set()

    with streaming(work) as stub:
        stream = stub.FindDuplicates(REQUEST, timeout=0.3)
        with pytest.raises(grpc.RpcError) as caught:
            list(stream)
        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert closed.wait(5)


def test_an_error_on_the_way_follows_what_was_sent() -> None:
    def work() -> Responses:
        yield progress(1)
        raise FailedPreconditionError("no more", reason="NO_MORE", field="x", remedy="Do less.")

    with streaming(work) as stub:
        stream = stub.FindDuplicates(REQUEST)
        assert next(stream).progress.done_count == 1
        found = failure(lambda: next(stream))
    assert (found.code, found.reason, found.field, found.remedy) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "NO_MORE",
        "x",
        "Do less.",
    )


def test_a_fault_of_the_server_is_logged_and_internal(caplog: pytest.LogCaptureFixture) -> None:
    def work() -> Responses:
        yield progress(1)
        raise RuntimeError("secret")

    with streaming(work) as stub:
        found = failure(lambda: list(stub.FindDuplicates(REQUEST)))
    assert (found.code, found.reason) == (grpc.StatusCode.INTERNAL, "INTERNAL")
    assert "secret" not in found.message
    assert "secret" in caplog.text


def test_a_response_over_the_limit_is_refused_and_the_generator_closed() -> None:
    closed = threading.Event()

    def work() -> Responses:
        try:
            yield progress(0, group=2000)
            yield progress(1)
        finally:
            closed.set()

    with streaming(work, max_bytes=2**20) as stub:
        found = failure(lambda: list(stub.FindDuplicates(REQUEST)))
        assert found.reason == "RESPONSE_TOO_LARGE"
        assert closed.wait(5)


def test_more_slow_readers_than_threads_do_not_stop_the_others(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING)
    closed = 0

    def work() -> Responses:
        nonlocal closed
        try:
            while True:
                yield progress(0, group=100)
        finally:
            closed += 1

    with streaming(work, threads=1) as stub:
        streams = [stub.FindDuplicates(REQUEST) for _ in range(8)]
        for stream in streams:
            next(stream)
        assert stub.SuggestLabels(discovery_pb2.SuggestLabelsRequest(), timeout=5)
        for stream in streams:
            stream.cancel()
        assert until(lambda: closed == 8)
    assert not caplog.records
