from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from client.scripted_server import ScriptedServer
from tashihiki import (
    AsyncClient,
    Client,
    InvalidArgumentError,
    Item,
    RetryConfig,
    UnavailableError,
)
from tashihiki._batches import BATCH_BYTES
from tashihiki.status import to_status
from tashihiki.v1 import catalog_pb2

BAD = InvalidArgumentError("Broken.", reason="IMAGE_BROKEN")


def refuse_bad(request: Any, context: Any) -> catalog_pb2.UpsertItemsResponse:
    bad = [index for index, item in enumerate(request.items) if item.id.startswith("bad")]
    errors = [
        catalog_pb2.ItemError(index=index, id=request.items[index].id, error=to_status(BAD))
        for index in bad
    ]
    return catalog_pb2.UpsertItemsResponse(
        upserted_count=len(request.items) - len(bad),
        errors=errors,
        unchanged_count=1,
        unchanged_image_count=2,
        etags=["" if index in bad else f"<{one.id}>" for index, one in enumerate(request.items)],
    )


def sizes(server: ScriptedServer) -> list[int]:
    return [len(request.items) for request in server.received("UpsertItems")]


def test_items_go_in_batches_by_count(server: ScriptedServer, client: Client) -> None:
    server.answer("UpsertItems", refuse_bad)
    items = (Item(str(number), vector=np.ones(4)) for number in range(250))
    assert client.upsert("items", items).count == 250
    assert sizes(server) == [100, 100, 50]


def test_items_go_in_batches_by_size(server: ScriptedServer, client: Client) -> None:
    server.answer("UpsertItems", refuse_bad)
    third, whole = bytes(BATCH_BYTES // 3), bytes(BATCH_BYTES + 1)
    pictures = [third, third, third, whole, third]
    client.upsert("items", [Item(str(n), image=data) for n, data in enumerate(pictures)])
    assert sizes(server) == [2, 1, 1, 1]


def test_pictures_are_read_batch_by_batch(
    server: ScriptedServer, client: Client, tmp_path: Path
) -> None:
    server.answer("UpsertItems", refuse_bad)

    def items() -> Iterator[Item]:
        for number in range(4):
            path = tmp_path / f"{number}.jpg"
            path.write_bytes(b"jpeg")
            labels = {"colour": "red"}
            yield Item(str(number), image=path, attributes=labels, metadata={"n": number})
            path.unlink()

    client.upsert("items", items(), batch_size=2)
    sent = server.received("UpsertItems")[1].items[1]
    assert (sent.id, sent.image, dict(sent.attributes)) == ("3", b"jpeg", {"colour": "red"})
    assert dict(sent.metadata) == {"n": 3}
    assert not server.received("UpsertItems")[0].allow_partial


async def test_refusals_are_collected_with_their_places(server: ScriptedServer) -> None:
    server.answer("UpsertItems", refuse_bad)
    items = [
        Item("a", vector=[1]),
        Item("bad_1", vector=[1]),
        Item("gone", image="/no/such.jpg"),
        Item("b", vector=[1]),
        Item("bad_4", vector=[1]),
        Item("nan", vector=[float("nan")]),
    ]
    with Client(server.target) as client:
        result = client.upsert("items", items, batch_size=2, on_error="collect")
    async with AsyncClient(server.target) as async_client:
        same = await async_client.upsert("items", items, batch_size=2, on_error="collect")
    for answer in (result, same):
        assert answer.count == 2
        assert answer.etags == ("<a>", "", "", "<b>", "", "")
        assert (answer.unchanged_count, answer.unchanged_image_count) == (2, 4)
        assert [(error.index, error.id, error.error.reason) for error in answer.errors] == [
            (1, "bad_1", "IMAGE_BROKEN"),
            (2, "gone", "IMAGE_NOT_FOUND"),
            (4, "bad_4", "IMAGE_BROKEN"),
            (5, "nan", "VECTOR_INVALID"),
        ]
    assert server.received("UpsertItems")[0].allow_partial


def test_the_first_bad_batch_stops(server: ScriptedServer, client: Client) -> None:
    server.answer("UpsertItems", catalog_pb2.UpsertItemsResponse(upserted_count=1), BAD)
    with pytest.raises(InvalidArgumentError, match="Broken"):
        client.upsert("items", [Item(str(n), vector=[1]) for n in range(5)], batch_size=1)
    assert sizes(server) == [1, 1]


def test_every_write_can_be_told_from_every_other(server: ScriptedServer, client: Client) -> None:
    items = [Item(str(n), vector=[1]) for n in range(3)]
    for _ in range(2):
        client.upsert("items", items, batch_size=1)
        client.delete_items("items", map(str, range(1001)))
        client.create_collection("items")
    ids = [call.request.request_id for call in server.calls]
    assert len(ids) == 12
    assert len(set(ids)) == 12
    assert all(1 <= len(one) <= 128 for one in ids)


async def test_a_write_that_is_sent_again_is_the_same_write(server: ScriptedServer) -> None:
    busy = UnavailableError("busy", reason="BUSY")
    quick = RetryConfig(initial_backoff=0.01, max_backoff=0.02)
    with Client(server.target, retry=quick) as client:
        server.answer("UpsertItems", busy, busy, catalog_pb2.UpsertItemsResponse())
        client.upsert("items", [Item("a", vector=[1])])
        server.answer("DeleteItems", busy, busy, catalog_pb2.DeleteItemsResponse())
        client.delete_items("items", ["a"])
    async with AsyncClient(server.target, retry=quick) as async_client:
        server.answer("UpsertItems", busy, busy, catalog_pb2.UpsertItemsResponse())
        await async_client.upsert("items", [Item("a", vector=[1])])
    ids = [call.request.request_id for call in server.calls]
    assert len(ids) == 9
    assert [len(set(ids[start : start + 3])) for start in (0, 3, 6)] == [1, 1, 1]
    assert len(set(ids)) == 3


def test_an_item_is_written_on_condition(server: ScriptedServer, client: Client) -> None:
    client.upsert("items", [Item("a", vector=[1], etag="7"), Item("b", vector=[1])])
    assert [item.etag for item in server.received("UpsertItems")[0].items] == ["7", ""]


def test_a_server_without_etags_is_answered_for(server: ScriptedServer, client: Client) -> None:
    server.answer("UpsertItems", catalog_pb2.UpsertItemsResponse(upserted_count=2))
    result = client.upsert("items", [Item("a", vector=[1]), Item("b", vector=[1])])
    assert (result.count, result.etags) == (2, ("", ""))


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        (Item("a", image=b"x", vector=[1]), "ITEM_INVALID"),
        (Item("a", metadata={"when": object()}), "METADATA_INVALID"),
        (Item("a", image="/no/such.jpg"), "IMAGE_NOT_FOUND"),
    ],
)
def test_bad_items_are_refused_here(item: Item, reason: str, client: Client) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        client.upsert("items", [item])
    assert caught.value.reason == reason


def test_arguments_are_checked(client: Client) -> None:
    with pytest.raises(TypeError):
        client.upsert("items", ["a"])  # type: ignore[list-item]
    with pytest.raises(ValueError, match="batch_size"):
        client.upsert("items", [], batch_size=1001)
    with pytest.raises(ValueError, match="on_error"):
        client.upsert("items", [], on_error="ignore")  # type: ignore[arg-type]
    assert client.upsert("items", []).count == 0
