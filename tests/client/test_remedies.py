"""What the command line advises, in words that can be typed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from calls import random_picture
from client.scripted_server import ScriptedServer
from client.shell import run
from serving import Served
from tashihiki import Client, InvalidArgumentError, Item
from tashihiki.cli.remedies import COMMANDS
from tashihiki.v1 import catalog_pb2, discovery_pb2, maintenance_pb2, search_pb2

SOURCES = Path(__file__).parents[2] / "server"
# Rows of the queries are nearly orthogonal: nothing here is about similarity.
COLOURS = ("Red", "Navy Blue")


@pytest.fixture
def shop(served: Served, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Served:
    monkeypatch.setenv("TASHIHIKI_SERVER", served.address)
    monkeypatch.chdir(tmp_path)
    with Client(served.address) as client:
        client.create_collection("shop", space="sum")
        client.upsert(
            "shop",
            (
                Item(
                    f"mug_{number}.jpg",
                    image=random_picture(number)[1],
                    attributes={"colour": COLOURS[number % 2], "kind": "Tshirts"},
                    metadata={"price": number, "size": {"width": 1}},
                )
                for number in range(4)
            ),
        )
    return served


def said(capsys: pytest.CaptureFixture[str], *args: str) -> str:
    capsys.readouterr()
    assert run(*args) == 1
    return capsys.readouterr().err


def test_remedies_call_rpcs_by_names_that_the_command_line_knows() -> None:
    services = [
        service
        for module in (catalog_pb2, discovery_pb2, maintenance_pb2, search_pb2)
        for service in module.DESCRIPTOR.services_by_name.values()
    ]
    calls = {method.name for service in services for method in service.methods}
    assert set(COMMANDS) <= calls
    text = "\n".join(path.read_text("utf-8") for path in SOURCES.rglob("*.py"))
    told = re.findall(rf"\b({'|'.join(calls)}) (?:tells|makes|returns those)", text)
    assert set(told) == set(COMMANDS)


def test_an_unknown_collection_names_those_there_are(
    shop: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    error = said(capsys, "search", "shp", "red")
    assert "no collection 'shp'; did you mean shop?" in error
    assert "There is only shop; `tashihiki index` makes another." in error
    with Client(shop.address) as client:
        client.create_collection("archive")
    assert "help: There are: archive, shop; `tashihiki index` makes another." in said(
        capsys, "items", "zzz"
    )
    with Client(shop.address) as client:
        for name in ("archive", "shop"):
            client.delete_collection(name)
    assert "There is none yet; `tashihiki index` makes one." in said(capsys, "items", "zzz")


def test_an_unknown_item_names_the_nearest_and_the_command_that_lists_them(
    shop: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    for wrong in ("mug_2", "MUG_2.jpg", "mugg_2.jpg", "mug_2.png"):
        error = said(capsys, "search", "shop", f"item({wrong}) + red")
        assert "; did you mean mug_2.jpg?" in error
    error = said(capsys, "search", "shop", "this item", "--item", "mug_2")
    assert "; did you mean mug_2.jpg?" in error
    assert "`tashihiki items shop` tells the ids that there are." in error
    assert "did you mean" not in said(capsys, "search", "shop", "item(a-far-cry)")
    assert "`tashihiki items shop`" in said(capsys, "items", "shop", "--id", "gone")


@pytest.mark.parametrize(
    "args",
    [
        ("this item + red", "--item", "my-photo.jpg"),
        ("item(my-photo.jpg) + red",),
        ("red + my-photo.jpg",),
        ("my-photo.jpg",),
    ],
)
def test_a_picture_that_is_named_as_something_else_is_told_how_to_be_given(
    args: tuple[str, ...], shop: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "A picture is given with --image FILE" in said(capsys, "search", "shop", *args)
    Path("my-photo.jpg").write_bytes(random_picture(9)[1])
    error = said(capsys, "search", "shop", *args)
    assert "my-photo.jpg is a file: say --image my-photo.jpg, and call it `this image`" in error
    assert run("search", "shop", "this image + red", "--image", "my-photo.jpg") == 0


def test_names_that_are_nearly_there_are_told_as_they_are_typed(
    shop: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    for text in ("t-shirt", "red + T-Shirt", "kind:t-shirts", "t shirts"):
        assert re.search(r"did you mean (kind:)?Tshirts\?", said(capsys, "search", "shop", text))
    for text in ("navy-blue", "navy blu"):
        error = said(capsys, "search", "shop", text)
        assert 'did you mean "Navy Blue"?' in error
    # What stands apart is another name than what is written as one.
    assert "as a sum" not in said(capsys, "search", "shop", "t - shirt")
    assert "`tashihiki attributes shop` tells" in said(capsys, "search", "shop", "zzz")
    assert run("search", "shop", '"navy blue" + TSHIRTS') == 0


def test_a_filter_on_metadata_without_its_prefix_is_told_so(
    shop: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    for where in ("price:3", "exists(price)"):
        error = said(capsys, "items", "shop", "--where", where)
        assert "no facet price; did you mean metadata.price?" in error
    assert "metadata.price < 20" in said(capsys, "items", "shop", "--where", "price < 20")
    assert "metadata" not in said(capsys, "items", "shop", "--where", "prize:3")


@pytest.mark.parametrize("command", [("items", "shop"), ("search", "shop", "red")])
def test_a_path_that_no_item_has_is_told_where_nothing_is_found(
    command: tuple[str, ...], shop: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    def told(where: str) -> str:
        capsys.readouterr()
        assert run(*command, "--where", where) == 0
        return capsys.readouterr().out

    assert "no item has metadata.pric; did you mean metadata.price?" in told("metadata.pric < 3")
    assert "did you mean metadata.size.width?" in told("metadata.size.widht:1")
    assert "no item has" not in told("metadata.price > 99")
    assert "no item has" not in told("not metadata.pric < 3")


def test_a_remedy_without_a_collection_shows_where_it_stands(
    server: ScriptedServer, plain_terminal: None, capsys: pytest.CaptureFixture[str]
) -> None:
    error = InvalidArgumentError("No.", reason="X", remedy="ListAttributes tells them.")
    server.answer("ListSnapshots", error)
    assert "`tashihiki attributes COLLECTION` tells them." in said(capsys, "snapshot", "list")
