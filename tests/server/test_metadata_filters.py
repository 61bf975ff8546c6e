"""Filters over metadata while items change, and after the server has started again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from calls import (
    Floats,
    create,
    delete,
    failure,
    hit_ids,
    listed_ids,
    metadata,
    search,
    term,
    text_filter,
    upsert,
    vector,
    vector_item,
)
from gallery import random_vectors
from serving import Served, serving
from tashihiki import Client, exists, facet
from tashihiki import metadata as at
from tashihiki.v1 import catalog_pb2
from tashihiki_server.library import Library

COUNT = 120
VECTORS = random_vectors(COUNT, 8)
BRANDS = ("acme", "A & B", "true", "7")


def item(number: int, content: Mapping[str, Any], row: Floats) -> catalog_pb2.ItemInput:
    made = vector_item(f"i{number:03}", row, colour=("red", "blue")[number % 2])
    made.metadata.CopyFrom(metadata(content))
    return made


def check(
    served: Served, name: str, prices: Mapping[str, float], brands: Mapping[str, str]
) -> None:
    """Compares lists and searches with the prices and brands that items ought to have."""
    for low, high in ((0.0, 50.0), (20.0, 20.5), (99.0, 1e9)):
        expected = sorted(i for i, price in prices.items() if low <= price < high)
        form = text_filter(f"metadata.price >= {low} and metadata.price < {high}")
        assert listed_ids(served, name, filter=form) == expected
        found = search(served, name, [term(vector=vector(VECTORS[0]))], filter=form, limit=1000)
        assert sorted(hit_ids(found)) == expected
    for brand in BRANDS:
        expected = sorted(i for i, given in brands.items() if given == brand)
        assert listed_ids(served, name, filter=text_filter(f'metadata.brand:"{brand}"')) == expected
    expected = sorted(i for i in prices if i not in brands)
    form = text_filter("exists(metadata.price) and not exists(metadata.brand)")
    assert listed_ids(served, name, filter=form) == expected


def test_filters_follow_every_write_and_a_start(open_library: Callable[..., Library]) -> None:
    random = np.random.default_rng(9)
    prices: dict[str, float] = {}
    brands: dict[str, str] = {}

    def content(number: int) -> dict[str, Any]:
        made: dict[str, Any] = {"price": float(random.integers(0, 120))}
        prices[f"i{number:03}"] = made["price"]
        brands.pop(f"i{number:03}", None)
        if random.random() < 0.6:
            made["brand"] = brands[f"i{number:03}"] = str(random.choice(BRANDS))
        return made

    library = open_library()
    with serving(library) as served:
        create(served, "c", space=catalog_pb2.SPACE_KIND_UNSPECIFIED)
        for start in range(0, COUNT, 40):
            block = range(start, start + 40)
            upsert(served, "c", [item(n, content(n), VECTORS[n]) for n in block])
            check(served, "c", prices, brands)
        upsert(served, "c", [item(n, content(n), VECTORS[n]) for n in range(0, COUNT, 3)])
        check(served, "c", prices, brands)
        gone = [f"i{n:03}" for n in range(0, COUNT, 5)]
        delete(served, "c", *gone)
        for identifier in gone:
            prices.pop(identifier)
            brands.pop(identifier, None)
        check(served, "c", prices, brands)
    library.close()
    with serving(open_library()) as served:
        check(served, "c", prices, brands)
        upsert(served, "c", [item(n, content(n), VECTORS[n]) for n in range(COUNT // 2)])
        check(served, "c", prices, brands)


def test_metadata_moves_to_a_new_space_with_the_items(served: Served) -> None:
    """Those that were there when the fit began, and those that are written meanwhile."""
    create(served, "c", space=catalog_pb2.SPACE_KIND_FACTORED)

    def write(numbers: range, price: Callable[[int], float]) -> None:
        items = []
        for number in numbers:
            labels = {
                "colour": ("red", "blue")[number % 2],
                "kind": ("mug", "pot")[number // 2 % 2],
            }
            made = vector_item(f"i{number:03}", VECTORS[number], **labels)
            made.metadata.CopyFrom(metadata({"price": price(number), "brand": f"b{number % 3}"}))
            items.append(made)
        upsert(served, "c", items)

    write(range(40), float)
    write(range(36, 60), lambda number: 100.0 + number)
    delete(served, "c", "i041")
    collection = served.library.collection("c")
    collection.settle()
    assert collection.state.space.kind == "factored"
    cases = {
        "metadata.price < 7 and colour:red": ["i000", "i002", "i004", "i006"],
        "metadata.price in (5, 36, 137, 141, 142)": ["i005", "i037", "i042"],
        "metadata.price > 100 and metadata.brand:b0": [f"i{n:03}" for n in range(36, 60, 3)],
        "not exists(metadata.price)": [],
    }
    for text, expected in cases.items():
        assert listed_ids(served, "c", filter=text_filter(text)) == expected
        found = search(served, "c", "red", filter=text_filter(text), limit=100)
        assert sorted(hit_ids(found)) == expected


def test_a_path_beyond_the_limit_is_an_error_and_others_are_answered(served: Served) -> None:
    create(served, "c")
    many = {f"k{number:03}": "x" for number in range(200)}
    upsert(served, "c", [item(0, {"price": 5.0}, VECTORS[0]), item(1, many, VECTORS[1])])
    upsert(served, "c", [item(2, {"price": 6.0}, VECTORS[2])])
    assert listed_ids(served, "c", filter=text_filter("metadata.price > 5")) == ["i002"]
    assert listed_ids(served, "c", filter=text_filter("metadata.k000:x")) == ["i001"]
    assert listed_ids(served, "c", filter=text_filter("not exists(metadata.none)"))[0] == "i000"
    found = failure(lambda: listed_ids(served, "c", filter=text_filter("metadata.k199:x")))
    assert found.code.name == "FAILED_PRECONDITION"
    assert (found.reason, found.field) == ("FILTER_PATH_LIMIT", "filter")
    assert "128" in found.message
    assert found.remedy


def test_the_client_filters_by_metadata(served: Served) -> None:
    create(served, "c")
    contents: list[dict[str, Any]] = [
        {"price": 10.0, "sold": True},
        {"price": 20.0, "sold": False, "box": {"unit cm": "A & B"}},
        {"price": "20", "sold": "true"},
        {},
    ]
    upsert(served, "c", [item(n, content, VECTORS[n]) for n, content in enumerate(contents)])
    cases = [
        (at("price") >= 10, ["i000", "i001"]),
        (at("price") < 20, ["i000"]),
        (np.float64(10) < at("price"), ["i001"]),
        (at("price").between(10, 20) & ~(at("sold") == True), ["i001"]),  # noqa: E712
        (at("price") == "20", ["i002"]),
        (at("price") != "20", ["i000", "i001", "i003"]),
        (at("box.unit cm").isin(["A & B"]), ["i001"]),
        (at("price").exists() & facet("colour").isin("red"), ["i000", "i002"]),
        (exists("colour") & ~at("sold").exists(), ["i003"]),
    ]
    with Client(served.address) as client:
        for condition, expected in cases:
            for where in (condition, repr(condition)):
                assert [found.id for found in client.items("c", where=where)] == expected
