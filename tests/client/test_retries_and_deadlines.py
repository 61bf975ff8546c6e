from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from client.scripted_server import ScriptedServer
from tashihiki import (
    AsyncClient,
    Client,
    DeadlineExceededError,
    InternalError,
    InvalidArgumentError,
    ResourceExhaustedError,
    RetryConfig,
    TashihikiError,
    UnavailableError,
)
from tashihiki.v1 import catalog_pb2

BUSY = UnavailableError("busy", reason="BUSY")
FOUND = catalog_pb2.GetCollectionResponse(collection=catalog_pb2.Collection(name="faces"))
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
