"""Both clients and the command line against the real server."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator

import numpy as np
import pytest

from calls import fresh_name, random_picture
from client.shell import run
from gallery import random_vectors
from serving import Served
from tashihiki import (
    AbortedError,
    AsyncClient,
    Client,
    Item,
    attribute,
    item,
    metadata,
)

COLOURS = ["red", "green", "blue"]
COUNT = 60


@pytest.fixture
def client(served: Served) -> Iterator[Client]:
    with Client(served.address, timeout=30) as client:
        yield client


@pytest.fixture
def goods(client: Client) -> dict[str, np.ndarray]:
    """60 items with a colour and a price in the collection `goods`; their vectors by id."""
    client.create_collection("goods", space="sum")
    rows = random_vectors(COUNT, seed=5)
    ids = [f"good_{number:02}" for number in range(COUNT)]
    client.upsert(
        "goods",
        [
            Item(
                one,
                vector=rows[number],
                attributes={"colour": COLOURS[number % 3]},
                metadata={"price": number},
            )
            for number, one in enumerate(ids)
        ],
    )
    return dict(zip(ids, rows, strict=True))


def test_a_picture_that_is_sent_again_is_not_encoded(client: Client) -> None:
    name = fresh_name()
    client.create_collection(name)
    _, picture = random_picture(1)
    first = client.upsert(name, [Item("a", image=picture, attributes={"colour": "red"})])
    same = client.upsert(name, [Item("a", image=picture, attributes={"colour": "red"})])
    other = client.upsert(name, [Item("a", image=picture, attributes={"colour": "blue"})])
    assert (first.count, first.unchanged_count, first.unchanged_image_count) == (1, 0, 0)
    assert (same.count, same.unchanged_count, same.unchanged_image_count) == (1, 1, 1)
    assert (other.count, other.unchanged_count, other.unchanged_image_count) == (1, 0, 1)
    assert first.etags == same.etags != other.etags
    stored = client.get_item(name, "a")
    assert (stored.etag,) == other.etags
    assert stored.image_sha256 == hashlib.sha256(picture).digest()


def test_an_item_that_has_changed_is_not_overwritten(client: Client) -> None:
    name = fresh_name()
    client.create_collection(name)
    vector = random_vectors(1, seed=1)[0]
    old = client.upsert(name, [Item("a", vector=vector)]).etags[0]
    client.upsert(name, [Item("a", attributes={"colour": "red"})])
    with pytest.raises(AbortedError) as caught:
        client.upsert(name, [Item("a", attributes={"colour": "blue"}, etag=old)])
    assert caught.value.reason == "ETAG_MISMATCH"
    stored = client.get_item(name, "a")
    assert stored.attributes == {"colour": "red"}
    client.upsert(name, [Item("a", attributes={"colour": "blue"}, etag=stored.etag)])
    assert client.get_item(name, "a").attributes == {"colour": "blue"}


def test_collections_come_and_go(client: Client) -> None:
    name = fresh_name()
    assert client.create_collection(name, target_recall=0.9).target_recall == 0.9
    found = client.get_collection(name)
    assert found.index is not None
    assert (found.index.indexed_count, found.encoder_change, found.fault) == (0, None, "")
    client.delete_collection(name)
    client.delete_collection(name, allow_missing=True)


async def test_pages_hold_every_item_once_and_in_order(
    served: Served, client: Client, goods: dict[str, np.ndarray]
) -> None:
    direction = goods["good_00"]
    wanted = sorted(set(goods) - {"good_00"}, key=lambda one: -float(goods[one] @ direction))
    pages = list(client.search_pages("goods", item("good_00"), page_size=7))
    assert [hit.id for page in pages for hit in page] == wanted
    assert [len(page) for page in pages] == [7] * 8 + [3]
    async with AsyncClient(served.address, timeout=30) as async_client:
        found = [
            hit.id
            async for page in async_client.search_pages("goods", item("good_00"), page_size=25)
            for hit in page
        ]
    assert found == wanted


def test_hits_are_chosen(client: Client, goods: dict[str, np.ndarray]) -> None:
    direction = goods["good_00"]
    wanted = sorted(set(goods) - {"good_00"}, key=lambda one: -float(goods[one] @ direction))
    near = client.similar("goods", "good_00", limit=5)
    assert [hit.id for hit in near] == wanted[:5]
    edge = near[2].similarity
    close = client.similar("goods", "good_00", limit=50, min_similarity=edge)
    assert [hit.id for hit in close] == wanted[:3]
    cheap = client.similar("goods", "good_00", limit=60, where=metadata("price") < 10)
    assert [hit.id for hit in cheap] == [one for one in wanted if one < "good_10"]
    grouped = client.similar("goods", "good_00", limit=60, group_by=("colour", 2))
    assert sorted(hit.attributes["colour"] for hit in grouped) == sorted(COLOURS * 2)
    diverse = client.search("goods", attribute("red"), limit=5, diversity=0.3)
    plain = client.search("goods", attribute("red"), limit=5, rerank=False)
    assert (len(diverse), diverse[0].id) == (5, plain[0].id)


def test_duplicates_are_found(client: Client) -> None:
    name = fresh_name()
    client.create_collection(name, space="sum")
    first, second = (random_picture(seed)[1] for seed in (1, 2))
    vectors = random_vectors(2, seed=9)
    items = [
        Item("a", image=first),
        Item("b", image=second),
        Item("c", image=first),
        Item("x", vector=vectors[0]),
        Item("y", vector=vectors[0]),
        Item("z", vector=vectors[1]),
    ]
    client.upsert(name, items)
    groups = list(client.find_duplicates(name, min_similarity=0.9999))
    assert ([one.id for one in groups[0]], groups[0].identical) == (["a", "c"], True)
    assert [[one.id for one in group] for group in groups[1:]] == [["x", "y"]]
    assert [len(group) for group in client.find_duplicates(name, exact_only=True)] == [2]
    (same,) = client.find_duplicates(name, image=second, exact_only=True)
    assert [one.id for one in same] == ["b"]


def test_items_are_suggested_and_drawn(client: Client, goods: dict[str, np.ndarray]) -> None:
    client.upsert("goods", [Item(one) for one in ("good_03", "good_04")])
    found = client.suggest_labels("goods", facet="colour", limit=5)
    assert {one.item.id for one in found} == {"good_03", "good_04"}
    assert found.unlabelled_count == 2
    drawn = client.sample("goods", 7, seed=3, where="colour:red")
    again = client.sample("goods", 7, seed=3, where="colour:red")
    assert [one.id for one in drawn] == [one.id for one in again]
    assert {one.attributes["colour"] for one in drawn} == {"red"}
    assert (len({one.id for one in drawn}), drawn.admitted_count) == (7, 19)


async def test_a_snapshot_brings_a_collection_back(
    served: Served, client: Client, goods: dict[str, np.ndarray]
) -> None:
    shares: list[float] = []
    made = client.create_snapshot("goods", "before", progress=shares.append)
    assert (made.name, made.item_count) == ("before", COUNT)
    assert shares == sorted(shares)
    assert shares[-1] == 1
    assert client.list_snapshots("goods") == [made]
    client.delete_items("goods", ["good_00"])
    async with AsyncClient(served.address, timeout=30) as async_client:
        restored = await async_client.restore_snapshot("goods", "before", "again")
    assert (restored.name, restored.item_count) == ("again", COUNT)
    assert client.get_item("again", "good_00").attributes == {"colour": "red"}
    client.delete_snapshot("goods", "before")
    assert client.list_snapshots() == []


def test_commands_work(
    served: Served,
    goods: dict[str, np.ndarray],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("TASHIHIKI_SERVER", served.address)
    assert run("search", "goods", "red", "--limit", "50", "--pages", "2", "--json") == 0
    pages = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert sorted(hit["id"] for page in pages for hit in page["hits"]) == sorted(goods)
    commands = [
        "duplicates goods",
        "suggest goods --facet colour",
        "sample goods --where metadata.price<10",
        "snapshot create goods --name one",
        "snapshot list",
        "snapshot restore goods one two",
        "snapshot delete goods one",
        "encoder status goods",
        "collections goods",
        "collections",
    ]
    for command in commands:
        assert run(*command.split()) == 0, command
    assert "two" in capsys.readouterr().out
