"""What a test can do with the server of `tashihiki.testing`."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from calls import random_picture
from tashihiki import (
    AsyncClient,
    Client,
    DeadlineExceededError,
    HealthStatus,
    InvalidArgumentError,
    Item,
    NotFoundError,
    RetryConfig,
    UnavailableError,
    image,
)
from tashihiki.testing import FakeServer
from tashihiki.v1 import search_pb2

PEOPLE = ("KR", "AB", "CD")
MOODS = ("HAPPY", "SAD", "CALM")
FACES = [
    Item(f"{person}_{mood}", attributes={"person": person, "mood": mood})
    for person in PEOPLE
    for mood in MOODS
]
# What the server would need and the fake must not.
HEAVY = {"openvino", "ngtpy", "skia", "pyarrow", "PIL", "cachetools", "threadpoolctl", "uvicorn"}
EXAMPLE = """
from tashihiki import Client, Item
from tashihiki.testing import FakeServer
items = [Item("a", attributes={"person": "KR"}), Item("b", attributes={"person": "AB"})]
with FakeServer({"faces": items}) as server, Client(server.address) as client:
    print(client.search("faces", "KR", where="not person:AB")[0].id)
"""


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with FakeServer({"faces": FACES}) as server:
        yield server


@pytest.fixture
def client(server: FakeServer) -> Iterator[Client]:
    with Client(server.address, timeout=5) as client:
        yield client


def test_items_with_both_values_come_first_in_a_stable_order(client: Client) -> None:
    found = client.search("faces", "person KR + HAPPY")
    assert [hit.id for hit in found][:5] == [
        "KR_HAPPY",
        "AB_HAPPY",
        "CD_HAPPY",
        "KR_CALM",
        "KR_SAD",
    ]
    assert found[0].similarity == 1.0
    assert client.search("faces", "this item - mood", this_item="KR_SAD", limit=2).hits == tuple(
        client.search("faces", "item(KR_SAD) - mood", limit=2)
    )


async def test_asynchronous_clients_are_answered(server: FakeServer) -> None:
    async with AsyncClient(server.address) as client:
        assert (await client.search("faces", "KR + SAD"))[0].id == "KR_SAD"
        assert [item.id async for item in client.items("faces", where="person:KR")] == [
            f"KR_{mood}" for mood in sorted(MOODS)
        ]


def test_planned_failures_come_in_turn_and_then_answers_again(
    server: FakeServer, client: Client
) -> None:
    gone = NotFoundError("it went", reason="UNKNOWN_COLLECTION", field="collection", remedy="Wait.")
    server.fail_next("Search", gone)
    with pytest.raises(NotFoundError) as caught:
        client.search("faces", "KR")
    assert (caught.value.reason, caught.value.message) == ("UNKNOWN_COLLECTION", "it went")
    assert (caught.value.field, caught.value.remedy) == ("collection", "Wait.")
    assert client.get_collection("faces").item_count == len(FACES)
    assert client.search("faces", "KR")[0].attributes["person"] == "KR"


def test_calls_that_clients_repeat_are_counted(server: FakeServer) -> None:
    error = UnavailableError("starting", reason="STARTING")
    server.fail_next("GetCollection", error, times=2)
    with Client(server.address, retry=RetryConfig(max_attempts=3)) as client:
        assert client.get_collection("faces").name == "faces"
    assert len(server.received("GetCollection")) == 3


def test_a_delayed_call_meets_its_deadline(server: FakeServer, client: Client) -> None:
    server.delay_next("Search", 60)
    with pytest.raises(DeadlineExceededError):
        client.search("faces", "KR", timeout=0.2)
    (asked,) = server.received("Search")
    assert asked.time_remaining is not None
    assert asked.time_remaining <= 0.2
    assert client.search("faces", "KR")[0].attributes["person"] == "KR"


def test_closing_does_not_wait_for_delays(client: Client, server: FakeServer) -> None:
    server.delay_next("Search", 600)
    failed: list[Exception] = []

    def ask() -> None:
        try:
            client.search("faces", "KR", timeout=300)
        except Exception as error:
            failed.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    while not server.received("Search"):
        time.sleep(0.001)
    server.close()
    client.close()
    thread.join()
    assert len(failed) == 1


def test_requests_are_recorded_as_they_were_sent(server: FakeServer, client: Client) -> None:
    client.search("faces", "KR", limit=3)
    client.attributes("faces")
    assert [one.method for one in server.received()] == ["Search", "ListAttributes"]
    (asked,) = server.received("Search")
    assert isinstance(asked.request, search_pb2.SearchRequest)
    assert (asked.request.limit, asked.request.query.expression) == (3, "KR")


def test_pictures_show_what_they_are_said_to_show(server: FakeServer, client: Client) -> None:
    photo, other = random_picture(1)[1], random_picture(2)[1]
    server.recognise(photo, {"person": "cd", "mood": "sad"})
    assert client.search("faces", image(photo))[0].id == "CD_SAD"
    assert client.search("faces", "this image - mood + HAPPY", this_image=photo)[0].id == "CD_HAPPY"
    client.upsert("faces", [Item("new", image=other, attributes={"person": "AB"})])
    assert client.search("faces", image(other))[0].id == "new"


def test_wrong_use_is_refused_at_once(server: FakeServer) -> None:
    error = UnavailableError("no", reason="NO")
    with pytest.raises(ValueError, match="there is no method 'search'"):
        server.fail_next("search", error)
    with pytest.raises(ValueError, match="times is at least 1"):
        server.fail_next("Search", error, times=0)
    with pytest.raises(InvalidArgumentError, match="ATTRIBUTE_INVALID"):
        server.load("faces", [Item("x", attributes={"": "y"})])
    with pytest.raises(InvalidArgumentError, match="NAME_INVALID"):
        FakeServer({"No Such Name": []})


def test_servers_share_nothing(client: Client) -> None:
    with FakeServer() as other, Client(other.address) as beside:
        assert beside.list_collections() == []
        assert beside.health() is HealthStatus.SERVING
    assert len(client.list_collections()) == 1


def _run_without(modules: set[str]) -> subprocess.CompletedProcess[str]:
    blocked = f"import sys\nfor name in {sorted(modules)!r}: sys.modules[name] = None\n"
    probe = [sys.executable, "-c", blocked + EXAMPLE]
    return subprocess.run(probe, capture_output=True, text=True)


def test_it_runs_without_what_only_the_server_needs() -> None:
    run = _run_without(HEAVY)
    assert run.stdout == "a\n", run.stderr


def test_what_is_not_installed_is_named() -> None:
    run = _run_without({"lark"})
    assert "TESTING_NOT_INSTALLED" in run.stderr
    assert "pip install -e '.[testing]'" in run.stderr


def test_what_is_subtracted_in_the_sum_counts_against_a_hit() -> None:
    mugs = [
        Item(f"{n}-{colour}", attributes={"kind": "mug", "colour": colour})
        for n, colour in enumerate(("red", "blue"))
    ]
    with FakeServer({"items": mugs}) as server, Client(server.address) as client:
        assert [hit.id for hit in client.search("items", "mug - red")] == ["1-blue", "0-red"]


def test_a_client_without_an_address_asks_the_one_of_the_environment(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TASHIHIKI_SERVER", server.address)
    with Client() as client:
        assert client.get_collection("faces").item_count == len(FACES)
