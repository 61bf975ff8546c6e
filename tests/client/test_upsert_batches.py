from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from client.scripted_server import ScriptedServer
from tashihiki import AsyncClient, Client, InvalidArgumentError, Item
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
        upserted_count=len(request.items) - len(bad), errors=errors
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
