"""A marketplace: "this, in red, without the background", of what is in stock at the price.

`python examples/marketplace.py localhost:50051` begins with an item of the demo, and with a file
after the address with a photo that somebody uploaded.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass

from tashihiki import (
    Client,
    Hit,
    Item,
    SearchResult,
    StoredItem,
    attribute,
    facet,
    image,
    item,
    metadata,
)
from tashihiki.composition import Composable

CATALOGUE = "items"
MUG = "mug_blue_wood_1.jpg"
BUDGET = 40.0


@dataclass(frozen=True)
class Offer:
    """What the shop knows about an item and a picture cannot show."""

    price: float
    stock: int


def write_offers(client: Client, offer: Callable[[StoredItem], Offer]) -> int:
    """Writes prices and stock onto the items; pictures and labels stay as they are.

    The etags keep a label from being undone that somebody else writes meanwhile.

    Returns:
        How many items have their offers; the others changed meanwhile and are for the next run.
    """
    current = (
        Item(
            one.id,
            attributes=one.attributes,
            metadata={**one.metadata, **vars(offer(one))},
            etag=one.etag,
        )
        for one in client.items(CATALOGUE, page_size=1000)
    )
    return client.upsert(CATALOGUE, current, batch_size=500, on_error="collect").count


def in_red(client: Client, thing: Composable, budget: float) -> SearchResult:
    """Things like this one, in red and on any background, that can be bought today."""
    return client.search(
        CATALOGUE,
        thing - facet("background") + attribute("colour", "red"),
        where=(metadata("price") <= budget) & (metadata("stock") > 0),
        limit=5,
    )


def why(result: SearchResult, hit: Hit) -> str:
    """Why the hit is there: its agreement in each facet asked for, and what each term brought."""
    asked = [block.facet for block in result.blocks if block.weight]
    agreement = [
        f"{block.facet or 'the rest'} {block.similarity:.2f}"
        for block in hit.blocks
        if block.facet in asked
    ]
    terms = [f"{term.label} {term.similarity:+.2f}" for term in hit.contributions]
    return f"agrees in {', '.join(agreement)}; from {', '.join(terms)}"


def made_up(one: StoredItem) -> Offer:
    """An offer for an item of the demo; a shop has a database."""
    prices = {"mug": 12.0, "teapot": 34.0, "lamp": 59.0}
    return Offer(prices.get(one.attributes["product"], 20.0), 0 if "_2." in one.id else 7)


def main(address: str = "localhost:50051", photo: str = "") -> None:
    with Client(address) as client:
        print(write_offers(client, made_up), "offers written")
        found = in_red(client, image(photo) if photo else item(MUG), BUDGET)
        for hit in found:
            print(f"{hit.id}: {hit.metadata['price']:.2f}, {hit.metadata['stock']:.0f} left")
            print(f"    {why(found, hit)}")


if __name__ == "__main__":
    main(*sys.argv[1:])
