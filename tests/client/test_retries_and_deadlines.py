from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from client.scripted_server import ScriptedServer, Step
from tashihiki import (
    AsyncClient,
    Client,
    DeadlineExceededError,
    FailedPreconditionError,
    InternalError,
    InvalidArgumentError,
    ResourceExhaustedError,
    RetryConfig,
    TashihikiError,
    UnavailableError,
)
from tashihiki.v1 import catalog_pb2, discovery_pb2

BUSY = UnavailableError("busy", reason="BUSY")
FOUND = catalog_pb2.GetCollectionResponse(collection=catalog_pb2.Collection(name="faces"))


def overloaded(delay: float) -> ResourceExhaustedError:
    return ResourceExhaustedError("busy", reason="OVERLOADED", retry_delay=delay)


QUICK = RetryConfig(max_attempts=4, initial_backoff=0.01, max_backoff=0.02)


async def test_unavailable_is_retried(server: ScriptedServer) -> None:
    with Client(server.target, retry=QUICK) as client:
        server.answer("GetCollection", BUSY, BUSY, BUSY, FOUND)
        assert client.get_collection("faces").name == "faces"
    async with AsyncClient(server.target, retry=QUICK) as async_client:
        server.answer("GetCollection", BUSY, BUSY, BUSY, FOUND)
        assert (await async_client.get_collection("faces")).name == "faces"
    assert len(server.calls) == 8


def test_requests_larger_than_the_buffer_of_grpc_are_retried_too(server: ScriptedServer) -> None:
    server.answer("Embed", BUSY, catalog_pb2.EmbedResponse())
    with Client(server.target, retry=QUICK) as client:
        client.embed("faces", [bytes(5 << 20)])
    assert len(server.calls) == 2


def test_retries_end(server: ScriptedServer) -> None:
    server.answer("GetCollection", BUSY)
    with Client(server.target, retry=QUICK) as client, pytest.raises(UnavailableError) as caught:
        client.get_collection("faces")
    assert caught.value.reason == "BUSY"
    assert len(server.calls) == 4


def test_retries_can_be_turned_off(server: ScriptedServer) -> None:
    server.answer("GetCollection", BUSY)
    once = RetryConfig(max_attempts=1)
    with Client(server.target, retry=once) as client, pytest.raises(UnavailableError):
        client.get_collection("faces")
    assert len(server.calls) == 1


@pytest.mark.parametrize(
    "kind", [InternalError, InvalidArgumentError, ResourceExhaustedError, DeadlineExceededError]
)
def test_nothing_else_is_retried(kind: type[TashihikiError], server: ScriptedServer) -> None:
    server.answer("GetCollection", kind("no", reason="NO"))
    with Client(server.target, retry=QUICK) as client, pytest.raises(kind):
        client.get_collection("faces")
    assert len(server.calls) == 1


async def test_what_a_busy_server_refuses_is_sent_again_after_the_delay(
    server: ScriptedServer,
) -> None:
    with Client(server.target) as client:
        server.answer("GetCollection", overloaded(0.2), FOUND)
        begin = time.monotonic()
        assert client.get_collection("faces").name == "faces"
        assert time.monotonic() - begin >= 0.2
    async with AsyncClient(server.target) as async_client:
        server.answer("GetCollection", overloaded(0.2), FOUND)
        begin = time.monotonic()
        assert (await async_client.get_collection("faces")).name == "faces"
        assert time.monotonic() - begin >= 0.2
    assert len(server.calls) == 4


async def test_streams_are_sent_again_before_their_first_answer_only(
    server: ScriptedServer,
) -> None:
    group = discovery_pb2.FindDuplicatesResponse(group=discovery_pb2.DuplicateGroup())
    refused: list[Step] = [overloaded(0.01)]
    broken: list[Step] = [group, *refused]
    with Client(server.target) as client:
        server.answer("FindDuplicates", refused, [group])
        assert len(list(client.find_duplicates("faces"))) == 1
        server.answer("FindDuplicates", refused, broken, [group])
        with pytest.raises(ResourceExhaustedError):
            list(client.find_duplicates("faces"))
    async with AsyncClient(server.target) as async_client:
        server.answer("FindDuplicates", refused, [group])
        assert [one async for one in async_client.find_duplicates("faces")]
        server.answer("FindDuplicates", refused, broken, [group])
        with pytest.raises(ResourceExhaustedError):
            [one async for one in async_client.find_duplicates("faces")]
    assert len(server.calls) == 8


@pytest.mark.parametrize("attempts", [1, 3])
def test_a_busy_server_is_not_asked_for_ever(attempts: int, server: ScriptedServer) -> None:
    server.answer("GetCollection", overloaded(0.01))
    with (
        Client(server.target, retry=RetryConfig(max_attempts=attempts)) as client,
        pytest.raises(ResourceExhaustedError) as caught,
    ):
        client.get_collection("faces")
    assert (caught.value.reason, caught.value.retry_delay) == ("OVERLOADED", 0.01)
    assert len(server.calls) == attempts


def test_a_delay_beyond_the_deadline_is_not_waited_for(server: ScriptedServer) -> None:
    server.answer("GetCollection", overloaded(5.0))
    with Client(server.target) as client, pytest.raises(ResourceExhaustedError):
        client.get_collection("faces", timeout=4)
    assert len(server.calls) == 1


def test_the_attempts_share_one_deadline(server: ScriptedServer) -> None:
    server.answer("GetCollection", overloaded(0.5), FOUND)
    with Client(server.target) as client:
        client.get_collection("faces", timeout=9)
    # gRPC sends longer ones rounded to seconds.
    first, second = (call.time_remaining for call in server.calls)
    assert second < first - 0.4


def test_closing_ends_the_wait_for_a_busy_server(server: ScriptedServer) -> None:
    server.answer("GetCollection", overloaded(60.0))
    with Client(server.target, timeout=300) as client:
        timer = threading.Timer(0.3, client.close)
        timer.start()
        with pytest.raises(FailedPreconditionError) as caught:
            client.get_collection("faces")
        timer.join()
    assert caught.value.reason == "CLIENT_CLOSED"


def test_a_server_that_comes_up_late_is_found(server: ScriptedServer) -> None:
    late = ScriptedServer()
    timer = threading.Timer(0.3, late.start)
    timer.start()
    with Client(late.target, timeout=5, wait_for_ready=True) as client:
        client.list_collections()
    timer.join()
    late.stop()


def slow(request: Any, context: Any) -> catalog_pb2.GetCollectionResponse:
    time.sleep(0.5)
    return FOUND


async def test_a_call_ends_at_its_deadline(server: ScriptedServer) -> None:
    server.answer("GetCollection", slow)
    with Client(server.target) as client, pytest.raises(DeadlineExceededError, match="timeout="):
        client.get_collection("faces", timeout=0.1)
    async with AsyncClient(server.target) as async_client:
        with pytest.raises(DeadlineExceededError):
            await async_client.get_collection("faces", timeout=0.1)


def test_every_call_has_a_deadline(server: ScriptedServer) -> None:
    with Client(server.target) as default, Client(server.target, timeout=3) as shorter:
        default.list_collections()
        shorter.list_collections()
        shorter.list_collections(timeout=60)
    remaining = [call.time_remaining for call in server.calls]
    assert remaining == [pytest.approx(seconds, abs=1) for seconds in (10, 3, 60)]


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), float("inf")])
def test_a_timeout_is_finite_and_positive(timeout: float, client: Client) -> None:
    with pytest.raises(ValueError, match="timeout"):
        Client(timeout=timeout)
    with pytest.raises(ValueError, match="timeout"):
        client.list_collections(timeout=timeout)


@pytest.mark.parametrize("attempts", [0, 6])
def test_attempts_are_those_that_grpc_allows(attempts: int) -> None:
    with pytest.raises(ValueError, match="max_attempts"):
        RetryConfig(max_attempts=attempts)
