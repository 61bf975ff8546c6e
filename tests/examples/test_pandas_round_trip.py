from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from demo_server import DemoServer
from examples.pandas_round_trip import MUGS, items, main, table_of
from tashihiki import Client


@pytest.fixture
def client(demo: DemoServer) -> Iterator[Client]:
    with Client(demo.address) as client:
        client.delete_collection(MUGS, allow_missing=True)
        yield client
        client.delete_collection(MUGS, allow_missing=True)


def test_a_table_comes_back_as_it_was(demo: DemoServer, client: Client) -> None:
    pictures = demo.folder / "data" / "demo" / "items"
    ids = [f"mug_{colour}_wood_1.jpg" for colour in ("blue", "green", "red", "white")]
    table = pd.DataFrame(
        {
            "product": ["mug"] * 4,
            "colour": ["blue", None, "red", "white"],
            "background": ["wood", "wood", None, "wood"],
            "price": [12.5, 9.0, None, 11.0],
        },
        pd.Index(ids, name="id"),
    )
    client.create_collection(MUGS)
    client.upsert(MUGS, items(table, pictures))
    back = table_of(client.items(MUGS))
    assert_frame_equal(back[table.columns], table)
    assert client.get_item(MUGS, ids[2]).attributes == {"product": "mug", "colour": "red"}

    somebody = table_of(client.items(MUGS)).iloc[:1].assign(price=1.0)
    client.upsert(MUGS, items(somebody))
    back["price"] = 5.0
    result = client.upsert(MUGS, items(back), on_error="collect")
    assert [error.id for error in result.errors] == ids[:1]
    assert table_of(client.items(MUGS))["price"].tolist() == [1.0, 5.0, 5.0, 5.0]


def test_hits_are_a_table(demo: DemoServer, client: Client) -> None:
    labels = Path("data") / "demo" / "items" / "labels.csv"
    hits = main(demo.address, str(demo.folder / labels))
    assert len(hits) == 10
    assert hits["similarity"].is_monotonic_decreasing
    assert {tuple(name.split("_")[:2]) for name in hits.index} == {("mug", "red")}
    assert set(hits["price"]) == {9.0}
    assert list(hits.index.str.split("_").str[2]) == list(hits["background"])
