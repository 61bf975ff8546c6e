from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from client.scripted_server import ScriptedServer
from tashihiki import (
    AsyncClient,
    CancelledError,
    Client,
    DeadlineExceededError,
    DuplicateGroup,
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
    RetryConfig,
    UnavailableError,
)
from tashihiki.v1 import discovery_pb2

BUSY = UnavailableError("busy", reason="BUSY")
QUICK = RetryConfig(max_attempts=4, initial_backoff=0.01, max_backoff=0.02)


def group(*ids: str) -> discovery_pb2.FindDuplicatesResponse:
    items = [discovery_pb2.Duplicate(id=one, similarity=1) for one in ids]
    return discovery_pb2.FindDuplicatesResponse(group=discovery_pb2.DuplicateGroup(items=items))


def ids(groups: list[DuplicateGroup]) -> list[list[str]]:
    return [[item.id for item in group] for group in groups]


class Endless:
    """Groups without end, until nobody listens."""

    def __init__(self) -> None:
        self.ended = threading.Event()

    def __call__(
        self, request: Any, context: Any
    ) -> Iterator[discovery_pb2.FindDuplicatesResponse]:
        context.add_callback(self.ended.set)
        while context.is_active():
            yield group("a", "b")
            time.sleep(0.01)


async def test_answers_come_in_their_order(
    server: ScriptedServer, client: Client, async_client: AsyncClient
) -> None:
    names = [(f"{n}", f"{n}'") for n in range(300)]
    server.answer("FindDuplicates", [group(*pair) for pair in names])
    expected = [list(pair) for pair in names]
    assert ids(list(client.find_duplicates("c"))) == expected
    assert ids([one async for one in async_client.find_duplicates("c")]) == expected


def test_an_answer_can_be_used_before_the_next_is_made(
    server: ScriptedServer, client: Client
) -> None:
    seen = threading.Event()

    def answer(request: Any, context: Any) -> Iterator[discovery_pb2.FindDuplicatesResponse]:
        yield group("a", "b")
        assert seen.wait(5)
        yield group("c", "d")

    server.answer("FindDuplicates", answer)
    found = client.find_duplicates("c")
    assert ids([next(found)]) == [["a", "b"]]
    seen.set()
    assert ids(list(found)) == [["c", "d"]]


async def test_what_fails_before_its_first_answer_is_retried(server: ScriptedServer) -> None:
    with Client(server.target, retry=QUICK) as client:
        server.answer("FindDuplicates", BUSY, BUSY, BUSY, [group("a", "b")])
        assert ids(list(client.find_duplicates("c"))) == [["a", "b"]]
    async with AsyncClient(server.target, retry=QUICK) as async_client:
        server.answer("FindDuplicates", BUSY, BUSY, BUSY, [group("a", "b")])
        assert ids([one async for one in async_client.find_duplicates("c")]) == [["a", "b"]]
    assert len(server.calls) == 8


async def test_what_fails_after_its_first_answer_is_not(server: ScriptedServer) -> None:
    server.answer("FindDuplicates", [group("a", "b"), BUSY])
    with Client(server.target, retry=QUICK) as client:
        found = client.find_duplicates("c")
        assert ids([next(found)]) == [["a", "b"]]
        with pytest.raises(UnavailableError, match="busy") as caught:
            next(found)
        assert caught.value.reason == "BUSY"
    async with AsyncClient(server.target, retry=QUICK) as async_client:
        with pytest.raises(UnavailableError, match="busy"):
            [one async for one in async_client.find_duplicates("c")]
    assert len(server.calls) == 2


async def test_errors_are_typed(
    server: ScriptedServer, client: Client, async_client: AsyncClient
) -> None:
    server.answer("FindDuplicates", NotFoundError("No.", reason="UNKNOWN_COLLECTION"))
    with pytest.raises(NotFoundError) as caught:
        list(client.find_duplicates("c"))
    assert caught.value.reason == "UNKNOWN_COLLECTION"
    with pytest.raises(NotFoundError):
        [one async for one in async_client.find_duplicates("c")]
    with pytest.raises(InvalidArgumentError):
        next(client.find_duplicates("c", image="/no/such.jpg"))


async def test_the_deadline_is_for_all_answers(
    server: ScriptedServer, client: Client, async_client: AsyncClient
) -> None:
    server.answer("FindDuplicates", Endless())
    with pytest.raises(DeadlineExceededError, match="timeout="):
        list(client.find_duplicates("c", timeout=0.2))
    with pytest.raises(DeadlineExceededError):
        [one async for one in async_client.find_duplicates("c", timeout=0.2)]
    server.answer("FindDuplicates", [])
    list(client.find_duplicates("c"))
    assert server.calls[-1].time_remaining == pytest.approx(3600, abs=20)
    with pytest.raises(ValueError, match="timeout"):
        next(client.find_duplicates("c", timeout=0))


def test_leaving_the_iteration_ends_the_call(server: ScriptedServer, client: Client) -> None:
    endless = Endless()
    server.answer("FindDuplicates", endless)
    for _ in client.find_duplicates("c"):
        break
    assert endless.ended.wait(5)


async def test_leaving_the_async_iteration_ends_the_call(
    server: ScriptedServer, async_client: AsyncClient
) -> None:
    endless = Endless()
    server.answer("FindDuplicates", endless)
    async for _ in async_client.find_duplicates("c"):
        break
    assert await asyncio.to_thread(endless.ended.wait, 5)


async def test_cancelling_a_task_ends_its_stream(
    server: ScriptedServer, async_client: AsyncClient
) -> None:
    endless = Endless()
    server.answer("FindDuplicates", endless)

    async def listen() -> None:
        async for _ in async_client.find_duplicates("c"):
            pass

    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(listen(), 0.2)
    assert await asyncio.to_thread(endless.ended.wait, 5)


def test_what_a_callback_raises_ends_the_call(server: ScriptedServer, client: Client) -> None:
    ended = threading.Event()

    def answer(request: Any, context: Any) -> Iterator[discovery_pb2.FindDuplicatesResponse]:
        context.add_callback(ended.set)
        while context.is_active():
            yield discovery_pb2.FindDuplicatesResponse(
                progress=discovery_pb2.DuplicateProgress(done_count=1, total_count=2)
            )

    def fail(done: int, total: int) -> None:
        raise RuntimeError(f"{done} of {total}")

    server.answer("FindDuplicates", answer)
    with pytest.raises(RuntimeError, match="1 of 2"):
        next(client.find_duplicates("c", progress=fail))
    assert ended.wait(5)


async def test_a_closed_client_streams_no_more(server: ScriptedServer) -> None:
    server.answer("FindDuplicates", Endless())
    client = Client(server.target)
    found = client.find_duplicates("c")
    next(found)
    client.close()
    with pytest.raises(CancelledError):
        list(found)
    with pytest.raises(FailedPreconditionError) as caught:
        next(client.find_duplicates("c"))
    assert caught.value.reason == "CLIENT_CLOSED"
    async_client = AsyncClient(server.target)
    await async_client.close()
    with pytest.raises(FailedPreconditionError):
        await anext(aiter(async_client.find_duplicates("c")))


def test_a_server_that_goes_away_ends_the_stream(server: ScriptedServer) -> None:
    server.answer("FindDuplicates", Endless())
    with Client(server.target, retry=RetryConfig(max_attempts=1)) as client:
        found = client.find_duplicates("c")
        next(found)
        server.stop()
        with pytest.raises((UnavailableError, CancelledError)):
            list(found)
