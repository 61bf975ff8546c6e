"""`tashihiki compare` against what numpy says of a plain sum."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from calls import Floats
from client.shell import run
from gallery import GOODS, Gallery, clipped, fill, random_vectors
from serving import Served
from tashihiki.v1 import catalog_pb2

SIDE_OF_A_PICTURE = 160


@pytest.fixture(scope="module")
def shop(module_served: Served) -> Gallery:
    """Goods in a factored space, which a plain sum differs from."""
    ids = [f"good_{number:02}" for number in range(len(GOODS))]
    gallery = fill(
        module_served,
        "compared",
        dict(zip(ids, GOODS, strict=True)),
        dict(zip(ids, random_vectors(len(GOODS), 3), strict=True)),
        space=catalog_pb2.SPACE_KIND_FACTORED,
    )
    module_served.library.collection(gallery.name).settle()
    return gallery


def compared(
    served: Served, capsys: pytest.CaptureFixture[str], *arguments: str
) -> list[dict[str, Any]]:
    assert run("compare", "compared", *arguments, "--json", "--server", served.address) == 0
    sides: list[dict[str, Any]] = json.loads(capsys.readouterr().out)["sides"]
    return sides


def assert_ranked(side: dict[str, Any], gallery: Gallery, sum_: Floats, ids: Sequence[str]) -> None:
    best = gallery.ranking(sum_, ids)[: len(side["hits"])]
    assert [hit["id"] for hit in side["hits"]] == best
    expected = [float(gallery.vectors[one] @ sum_) for one in best]
    assert [hit["similarity"] for hit in side["hits"]] == pytest.approx(expected, abs=1e-5)
    assert [hit["attributes"] for hit in side["hits"]] == [gallery.attributes[i] for i in best]


def test_a_plain_sum_stands_beside_what_the_space_answers(
    module_served: Served, shop: Gallery, capsys: pytest.CaptureFixture[str]
) -> None:
    query = ["this item + 2 * red", "--item", "good_04", "--where", "not background:plain"]
    ours, plain = compared(module_served, capsys, *query, "--limit", "4")
    assert (ours["name"], plain["name"]) == ("factored space", "plain sum")
    sum_ = clipped(np.asarray(shop.vectors["good_04"] + 2 * shop.prototype("colour", "red")))
    admitted = [
        one
        for one, labels in shop.attributes.items()
        if labels["background"] != "plain" and one != "good_04"
    ]
    assert_ranked(plain, shop, sum_, admitted)
    theirs = {hit["id"] for hit in plain["hits"]}
    assert [hit["only_here"] for hit in ours["hits"]] == [
        hit["id"] not in theirs for hit in ours["hits"]
    ]


def test_labels_that_are_aliases_count_for_their_value(
    module_served: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    colours = ["red", "Crimson", "crimson", "blue"] * 2
    labels = {f"good_{n}": {"Colour": colour} for n, colour in enumerate(colours)}
    vectors = dict(zip(labels, random_vectors(len(labels), 4), strict=True))
    aliases = [("colour", "crimson", "red")]
    name = fill(module_served, "aliases-compared", labels, vectors, aliases=aliases).name
    for query in ("red", "crimson - 0.5 * blue", "item(good_3) - colour"):
        answer = run("compare", name, query, "--json", "--server", module_served.address)
        assert answer == 0
        ours, plain = json.loads(capsys.readouterr().out)["sides"]
        assert [hit["id"] for hit in plain["hits"]] == [hit["id"] for hit in ours["hits"]]
        expected = [hit["similarity"] for hit in ours["hits"]]
        assert [hit["similarity"] for hit in plain["hits"]] == pytest.approx(expected, abs=1e-5)


def test_a_query_that_only_subtracts_keeps_its_answer(
    module_served: Served, shop: Gallery, capsys: pytest.CaptureFixture[str]
) -> None:
    ours, plain = compared(module_served, capsys, "-red")
    assert len(ours["hits"]) == 10
    assert plain["hits"] == []
    assert "the terms cancel out" in plain["note"]
    assert run("compare", shop.name, "-red", "--server", module_served.address) == 0
    assert "plain sum: the terms cancel out" in capsys.readouterr().out


def test_two_queries_stand_beside_each_other(
    module_served: Served, shop: Gallery, capsys: pytest.CaptureFixture[str]
) -> None:
    red, blue = compared(module_served, capsys, "red", "--with", "-red + blue", "--limit", "6")
    assert [term["label"] for term in blue["terms"]] == ["colour:red", "colour:blue"]
    assert {hit["attributes"]["colour"] for hit in red["hits"]} == {"red"}
    assert {hit["attributes"]["colour"] for hit in blue["hits"]} == {"blue"}
    assert all(hit["only_here"] for hit in (*red["hits"], *blue["hits"]))


def test_the_table_stars_what_only_one_side_has(
    module_served: Served, shop: Gallery, capsys: pytest.CaptureFixture[str]
) -> None:
    limit = ["--limit", "6", "--server", module_served.address]
    assert run("compare", shop.name, "red", "--with", "red + red", *limit) == 0
    said = capsys.readouterr().out
    assert "*" not in said.split("in both")[0]
    assert "6 in both" in said
    assert run("compare", shop.name, "red", "--with", "blue", *limit) == 0
    said = capsys.readouterr().out
    assert said.split("in both")[0].count("*") == 12
    assert "0 in both" in said


def test_the_sheet_has_a_row_for_each_side(
    module_served: Served, shop: Gallery, tmp_path: Path
) -> None:
    heights = {}
    for command in ("search", "compare"):
        path = tmp_path / f"{command}.png"
        options = ["--limit", "5", "--sheet", str(path), "--server", module_served.address]
        assert run(command, shop.name, "red", *options) == 0
        with Image.open(path) as sheet:
            heights[command] = sheet.height
    assert heights["compare"] > heights["search"] + SIDE_OF_A_PICTURE


def test_a_large_collection_is_refused(
    module_served: Served,
    shop: Gallery,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("tashihiki_server.plain_sum.MAX_ITEMS", len(GOODS) - 1)
    assert run("compare", shop.name, "red", "--server", module_served.address) == 1
    error = capsys.readouterr().err
    assert "COLLECTION_TOO_LARGE" in error
    assert f"up to {len(GOODS) - 1} items" in error
    server = ["--server", module_served.address]
    assert run("compare", shop.name, "red", "--with", "blue", *server) == 0
