from __future__ import annotations

import asyncio
import inspect
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from client.scripted_server import CONTRACT, ScriptedServer
from tashihiki import (
    AsyncClient,
    Client,
    FailedPreconditionError,
    HealthStatus,
    InternalError,
    UnavailableError,
)
from tashihiki.v1 import catalog_pb2

ECHO = {
    "GetCollection": lambda request, context: catalog_pb2.GetCollectionResponse(
        collection=catalog_pb2.Collection(name=request.name)
    )
}


def verbs(cls: type) -> dict[str, Any]:
    return {
        name: member
        for name, member in inspect.getmembers(cls, inspect.isfunction)
        if not name.startswith("_") or name == "__init__"
    }


def test_both_clients_have_the_same_verbs_and_signatures() -> None:
    sync, asynchronous = verbs(Client), verbs(AsyncClient)
    assert sync.keys() == asynchronous.keys()
    for name, verb in sync.items():
        twin = asynchronous[name]
        one, other = inspect.signature(verb), inspect.signature(twin)
        assert one.parameters == other.parameters, name
        expected = one.return_annotation.replace("Iterator", "AsyncIterator")
        assert expected == other.return_annotation, name
        awaited = inspect.iscoroutinefunction(twin) or inspect.isasyncgenfunction(twin)
        assert awaited == (name != "__init__"), name


def test_every_method_of_the_contract_is_called(server: ScriptedServer, client: Client) -> None:
    client.search("c", "a")
    client.batch_search([])
    client.compose("c", "a")
    client.create_collection("c")
    client.get_collection("c")
    client.list_collections()
    client.delete_collection("c")
    client.upsert("c", [])
    list(client.items("c"))
    client.get_item("c", "a")
    client.delete_items("c", ["a"])
    client.attributes("c")
    client.embed("c", [b""])
    list(client.find_duplicates("c"))
    client.suggest_labels("c")
    client.sample("c")
    client.list_snapshots()
    client.delete_snapshot("c", "s")
    client.change_encoder("c", "e")
    client.roll_back_encoder("c")
    client.cancel_encoder_change("c")
    for copy in (client.create_snapshot, lambda name: client.restore_snapshot("c", "s", name)):
        with pytest.raises(InternalError, match="INCOMPLETE_ANSWER"):
            copy("c")
    methods = {
        method.name
        for pb2 in CONTRACT
        for service in pb2.DESCRIPTOR.services_by_name.values()
        for method in service.methods
    }
    assert {call.method for call in server.calls} == methods - {"UpsertItems"}


def test_one_client_serves_many_threads(server: ScriptedServer, client: Client) -> None:
    server.answer("GetCollection", ECHO["GetCollection"])
    names = [str(number) for number in range(200)]
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda name: client.get_collection(name).name, names))
    assert found == names


async def test_calls_of_one_loop_overlap(server: ScriptedServer, async_client: AsyncClient) -> None:
    server.answer("GetCollection", ECHO["GetCollection"])
    names = [str(number) for number in range(200)]
    found = await asyncio.gather(*(async_client.get_collection(name) for name in names))
    assert [collection.name for collection in found] == names


async def test_async_lists_go_through_all_pages(
    server: ScriptedServer, async_client: AsyncClient
) -> None:
    pages = [
        catalog_pb2.ListItemsResponse(items=[catalog_pb2.Item(id=name)], next_page_token=token)
        for name, token in [("a", "1"), ("b", "")]
    ]
    server.answer("ListItems", *pages)
    assert [item.id async for item in async_client.items("items")] == ["a", "b"]


def test_an_async_client_made_outside_a_loop_serves_one_loop_after_another(
    server: ScriptedServer,
) -> None:
    client = AsyncClient(server.target)
    for _ in range(2):
        assert asyncio.run(client.list_collections()) == []
    asyncio.run(client.close())


def test_two_loops_at_once_are_refused(server: ScriptedServer) -> None:
    async def use() -> None:
        async with AsyncClient(server.target) as client:
            await client.list_collections()
            await asyncio.to_thread(lambda: asyncio.run(client.list_collections()))

    with pytest.raises(FailedPreconditionError) as caught:
        asyncio.run(use())
    assert caught.value.reason == "WRONG_EVENT_LOOP"


async def test_a_closed_client_says_so(server: ScriptedServer) -> None:
    with Client(server.target) as client:
        pass
    client.close()
    with pytest.raises(FailedPreconditionError) as caught:
        client.list_collections()
    assert caught.value.reason == "CLIENT_CLOSED"
    async with AsyncClient(server.target) as async_client:
        pass
    await async_client.close()
    with pytest.raises(FailedPreconditionError):
        await async_client.list_collections()


def test_cancelling_a_task_cancels_its_call(server: ScriptedServer) -> None:
    cancelled = []

    def wait(request: Any, context: Any) -> catalog_pb2.GetCollectionResponse:
        context.add_callback(lambda: cancelled.append(True))
        while context.is_active():
            pass
        return catalog_pb2.GetCollectionResponse()

    server.answer("GetCollection", wait)

    async def use() -> None:
        async with AsyncClient(server.target) as client:
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(client.get_collection("faces"), 0.2)

    asyncio.run(use())
    server.stop()
    assert cancelled == [True]


async def test_health_speaks_the_standard_protocol() -> None:
    server = ScriptedServer()
    service = health.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(service, server._server)
    server.start()
    with Client(server.target) as client:
        assert client.health() is HealthStatus.SERVING
        service.set("", health_pb2.HealthCheckResponse.NOT_SERVING)
        assert client.health() is HealthStatus.NOT_SERVING
    async with AsyncClient(server.target) as async_client:
        assert await async_client.health() is HealthStatus.NOT_SERVING
    server.stop()
    with Client(server.target) as client, pytest.raises(UnavailableError):
        client.health()
