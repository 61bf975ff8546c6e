from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from demo_server import DemoServer
from examples.marketplace import MUG, Offer, in_red, why, write_offers
from tashihiki import Client, Item, StoredItem, image, item


@pytest.fixture
def market(demo: DemoServer) -> Iterator[Client]:
    with Client(demo.address) as client:
        assert write_offers(client, offer) == 8 * 8 * 6 * 2
        yield client


def offer(one: StoredItem) -> Offer:
    """Grass is dear, and bricks are sold out."""
    _, _, background, _ = one.id.split("_")
    return Offer(50.0 if background == "grass" else 10.0, 0 if background == "bricks" else 3)


def relabelled(one: StoredItem, attributes: Mapping[str, str]) -> Item:
    return Item(one.id, attributes=attributes, metadata=one.metadata)


def test_this_in_red_without_the_background(market: Client, demo: DemoServer) -> None:
    teapot = demo.folder / "data" / "demo" / "items" / "teapot_green_grass_1.jpg"
    for thing, product in ((item(MUG), "mug"), (image(Path(teapot)), "teapot")):
        found = in_red(market, thing, 20.0)
        assert len(found) == 5
        shown = [hit.id.split("_")[:3] for hit in found]
        assert {(what, colour) for what, colour, _ in shown} == {(product, "red")}
        backgrounds = {background for _, _, background in shown}
        assert len(backgrounds) > 2, "whatever the background"
        assert not backgrounds & {"grass", "bricks"}, "too dear, or sold out"
        reason = why(found, found[0])
        assert "colour:red +" in reason
        assert "product " in reason
        assert "background 0" not in reason, "nothing was asked about it"


def test_an_offer_undoes_no_label_that_was_written_meanwhile(market: Client) -> None:
    def late(one: StoredItem) -> Offer:
        if one.id == MUG:
            current = market.get_item("items", MUG)
            market.upsert("items", [relabelled(current, {**one.attributes, "state": "chipped"})])
        return Offer(11.0, 1)

    assert write_offers(market, late) == 8 * 8 * 6 * 2 - 1
    mug = market.get_item("items", MUG)
    assert mug.attributes["state"] == "chipped"
    as_drawn = dict(zip(("product", "colour", "background"), MUG.split("_"), strict=False))
    market.upsert("items", [relabelled(mug, as_drawn)])
