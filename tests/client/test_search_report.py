"""What `tashihiki search` says of the hits beside how similar they are."""

from __future__ import annotations

import pytest

from client.scripted_server import ScriptedServer
from client.shell import run
from tashihiki.v1 import catalog_pb2, search_pb2

pytestmark = pytest.mark.usefixtures("plain_terminal")


def _answer(server: ScriptedServer) -> None:
    answer = search_pb2.SearchResponse(hits=[search_pb2.Hit(id="a"), search_pb2.Hit(id="b")])
    answer.hits[0].metadata.update(
        {"price": 12, "size": {"unit cm": 4.5}, "sold": True, "note": "for “metadata.brand”"}
    )
    answer.hits[1].metadata.update({"price": 7.25, "size.unit cm": "\x1b[31mtwo"})
    server.answer("Search", answer)


@pytest.mark.parametrize(
    ("where", "names", "cells"),
    [
        ("metadata.price < 20", ["metadata.price"], [["12"], ["7.25"]]),
        (
            'exists(metadata.size."unit cm") and not metadata.sold:false',
            ['metadata.size."unit cm"', "metadata.sold"],
            [["4.5", "true"], ["\ufffd[31mtwo", ""]],
        ),
        ("metadata.brand:acme or colour:red", [], [[], []]),
    ],
)
def test_the_metadata_that_was_filtered_by_is_shown(
    where: str,
    names: list[str],
    cells: list[list[str]],
    server: ScriptedServer,
    capsys: pytest.CaptureFixture[str],
) -> None:
    _answer(server)
    assert run("search", "items", "red", "--where", where) == 0
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    heading, *rows = lines[lines.index("") + 1 :]
    assert heading.split("similarity")[1].split() == " ".join([*names, "attributes"]).split()
    for row, identifier, expected in zip(rows, "ab", cells, strict=True):
        assert row.split()[1] == identifier
        assert row.split()[3:] == [cell for cell in expected if cell]


def test_a_tiny_posterior_is_not_shown_as_none(
    server: ScriptedServer, capsys: pytest.CaptureFixture[str]
) -> None:
    posteriors = (0.25, 0.0005, 0.0000213, 0.0)
    hits = [search_pb2.Hit(id=f"i{p}", posterior=p) for p in posteriors]
    server.answer("Search", search_pb2.SearchResponse(hits=hits))
    assert run("search", "items", "red") == 0
    lines = capsys.readouterr().out.splitlines()[-4:]
    shown = ["0.250", "0.001", "2e-05", "0.000"]
    assert [line.split()[3] for line in lines] == shown


@pytest.mark.parametrize(("best", "told"), [(0.002, 1), (0.02, 0)])
def test_an_answer_of_unlikely_hits_says_so(
    server: ScriptedServer, capsys: pytest.CaptureFixture[str], best: float, told: int
) -> None:
    hits = [search_pb2.Hit(id="a", posterior=best), search_pb2.Hit(id="b", posterior=0.0001)]
    server.answer("Search", search_pb2.SearchResponse(hits=hits))
    assert run("search", "items", "red") == 0
    assert capsys.readouterr().out.count("none of these is likely to show") == told


def test_a_filter_that_admits_nothing_is_told_of(
    server: ScriptedServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.answer("Search", search_pb2.SearchResponse())
    server.answer("ListItems", catalog_pb2.ListItemsResponse())
    assert run("search", "items", "red", "--where", "colour:red and colour:blue") == 0
    assert "no hits: no item meets the filter" in capsys.readouterr().out
    item = catalog_pb2.Item(id="a")
    server.answer("ListItems", catalog_pb2.ListItemsResponse(items=[item]))
    assert run("search", "items", "red", "--where", "colour:red", "--min-similarity", "1") == 0
    assert "no hits\n" in capsys.readouterr().out


def test_what_stands_in_quotes_is_no_path(
    server: ScriptedServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.answer("Search", search_pb2.SearchResponse())
    server.answer("ListItems", catalog_pb2.ListItemsResponse())
    where = """metadata.note = "see metadata.x" or metadata.note = '(metadata.y' """
    assert run("search", "items", "red", "--where", where) == 0
    said = capsys.readouterr().out
    assert "no item has metadata.note" in said
    assert "metadata.x" not in said
    assert "metadata.y" not in said


def test_items_show_the_metadata_too(
    server: ScriptedServer, capsys: pytest.CaptureFixture[str]
) -> None:
    item = catalog_pb2.Item(id="a", attributes={"colour": "red"})
    item.metadata.update({"price": 7.25})
    server.answer("ListItems", catalog_pb2.ListItemsResponse(items=[item]))
    assert run("items", "items", "--where", "metadata.price < 20") == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert rows == [["id", "metadata.price", "attributes"], ["a", "7.25", "colour:red"]]
