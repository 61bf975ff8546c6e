from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from google.protobuf import json_format

from client.scripted_server import ScriptedServer
from client.shell import run
from client.test_discovery_verbs import EVENTS
from client.test_search_pages import PAGES
from tashihiki import NotFoundError
from tashihiki.v1 import catalog_pb2, discovery_pb2, search_pb2

pytestmark = pytest.mark.usefixtures("plain_terminal")


def rows(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines()]


def test_duplicates_as_a_table_and_as_lines(
    server: ScriptedServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.answer("FindDuplicates", EVENTS)
    picture = tmp_path / "mug.jpg"
    picture.write_bytes(b"jpeg")
    options = ["--min-similarity", "0.9", "--image", str(picture), "--exact-only"]
    assert run("duplicates", "items", *options, "--where", "colour:red") == 0
    shown = capsys.readouterr()
    assert rows(shown.out) == [
        ["group", "files", "similarity", "id"],
        ["1", "identical", "1.0000", "a"],
        ["1.0000", "b"],
        ["2", "different", "1.0000", "c"],
        ["0.9900", "d"],
    ]
    assert shown.err == ""
    assert json_format.MessageToDict(server.received("FindDuplicates")[0]) == {
        "collection": "items",
        "filter": {"expression": "colour:red"},
        "minSimilarity": 0.9,
        "image": "anBlZw==",
        "exactOnly": True,
    }
    assert run("duplicates", "items", "--json") == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["identical"] for line in lines] == [True, False]
    assert lines[1]["items"][1] == {"id": "d", "similarity": 0.99}
    server.answer("FindDuplicates", [])
    assert run("duplicates", "items") == 0
    assert capsys.readouterr().out == "no duplicates\n"


def test_a_search_for_duplicates_takes_its_time(server: ScriptedServer) -> None:
    assert run("duplicates", "items") == 0
    assert run("duplicates", "items", "--timeout", "60") == 0
    remaining = [call.time_remaining for call in server.calls]
    assert remaining == [pytest.approx(3600, abs=20), pytest.approx(60, abs=5)]


def test_a_bar_is_drawn_on_a_terminal_and_not_into_the_answer(server: ScriptedServer) -> None:
    server.answer("FindDuplicates", EVENTS)
    code = (
        "import sys\n"
        "sys.stderr.isatty = lambda: True\n"
        "from tashihiki.cli.app import main\n"
        "main(['duplicates', 'items'])\n"
    )
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert b"comparing" in finished.stderr
    assert b"identical" in finished.stdout
    assert b"\x1b" not in finished.stdout
    assert b"identical" not in finished.stderr


def test_suggestions_as_a_table_and_as_json(
    server: ScriptedServer, capsys: pytest.CaptureFixture[str]
) -> None:
    item = catalog_pb2.Item(id="a", attributes={"colour": "red"}, etag="7")
    answer = discovery_pb2.SuggestLabelsResponse(
        suggestions=[discovery_pb2.LabelSuggestion(item=item, similarity=0.25)],
        unlabelled_count=40,
    )
    server.answer("SuggestLabels", answer)
    options = ["--facet", "shape", "--limit", "3", "--where", "colour:red"]
    assert run("suggest", "items", *options) == 0
    assert rows(capsys.readouterr().out) == [
        ["#", "id", "similarity", "attributes"],
        ["1", "a", "0.2500", "colour:red"],
        ["40", "items", "without", "the", "label"],
    ]
    sent = server.received("SuggestLabels")[0]
    assert (sent.facet, sent.limit, sent.filter.expression) == ("shape", 3, "colour:red")
    assert run("suggest", "items", "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["unlabelled_count"] == 40
    assert (shown["suggestions"][0]["id"], shown["suggestions"][0]["similarity"]) == ("a", 0.25)


def test_where_all_is_labelled_the_facets_that_lack_labels_are_named(
    server: ScriptedServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.answer("SuggestLabels", discovery_pb2.SuggestLabelsResponse())
    facets = [
        catalog_pb2.FacetSummary(facet="colour", unlabelled_count=12),
        catalog_pb2.FacetSummary(facet="shape"),
    ]
    server.answer("ListAttributes", catalog_pb2.ListAttributesResponse(facets=facets))
    assert run("suggest", "items") == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "no item is without any label; labels are missing of colour (12)" in told
    assert "--facet" in told
    server.answer("ListAttributes", catalog_pb2.ListAttributesResponse(facets=facets[1:]))
    assert run("suggest", "items", "--facet", "shape", "--where", "colour:red") == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "no item that --where admits is without a label of shape, and none lacks" in told
    server.answer("SuggestLabels", discovery_pb2.SuggestLabelsResponse())
    assert run("suggest", "items", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"suggestions": [], "unlabelled_count": 0}


def test_a_sample_is_listed_as_items_are(
    server: ScriptedServer, capsys: pytest.CaptureFixture[str]
) -> None:
    item = catalog_pb2.Item(id="a", image_sha256=bytes(32), etag="7")
    server.answer("SampleItems", discovery_pb2.SampleItemsResponse(items=[item]))
    assert run("sample", "items", "--count", "3", "--seed", "-1", "--where", "colour:red") == 0
    assert "a" in capsys.readouterr().out
    sent = server.received("SampleItems")[0]
    assert (sent.count, sent.seed, sent.filter.expression) == (3, -1, "colour:red")
    assert run("sample", "items", "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["id"], shown["etag"], shown["image_sha256"]) == ("a", "7", "00" * 32)
    assert not server.received("SampleItems")[1].HasField("seed")


def test_a_search_chooses_its_hits(server: ScriptedServer) -> None:
    options = ["--min-similarity", "-0.5", "--group-by", "a=b=2", "--diversity", "0.7"]
    assert run("search", "items", "red", *options) == 0
    assert run("search", "items", "red", "--group-by", "colour") == 0
    first, second = server.received("Search")
    assert (first.min_similarity, first.diversity.balance) == (-0.5, 0.7)
    assert (first.grouping.facet, first.grouping.max_per_value) == ("a=b", 2)
    assert (second.grouping.facet, second.grouping.max_per_value) == ("colour", 1)


def test_pages_are_printed_one_after_another(
    server: ScriptedServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.answer("Search", *PAGES)
    assert run("search", "items", "red", "--limit", "2", "--pages", "2") == 0
    shown = rows(capsys.readouterr().out)
    hits = [["1", "a", "0.0000"], ["2", "b", "0.0000"], ["3", "c", "0.0000"], ["4", "d", "0.0000"]]
    assert [row for row in shown if row[-1:] == ["0.0000"]] == hits
    assert shown[-1] == ["next", "page:", "--page", "2"]
    assert run("search", "items", "red", "--page", "2") == 0
    assert rows(capsys.readouterr().out)[-1] == ["1", "e", "0.0000"]
    assert [sent.page_token for sent in server.received("Search")] == ["", "1", "2"]
    server.answer("Search", *PAGES)
    assert run("search", "items", "red", "--pages", "9", "--json") == 0
    pages = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [page["next_page_token"] for page in pages] == ["1", "2", ""]
    server.answer("Search", *PAGES)
    assert run("search", "items", "red") == 0
    assert "--page" not in capsys.readouterr().out


def test_hits_after_those_that_were_reranked_have_no_posterior(
    server: ScriptedServer, capsys: pytest.CaptureFixture[str]
) -> None:
    hits = [search_pb2.Hit(id="a", posterior=0.5), search_pb2.Hit(id="b")]
    server.answer("Search", search_pb2.SearchResponse(hits=hits))
    assert run("search", "items", "red") == 0
    shown = rows(capsys.readouterr().out)
    assert shown[-3:] == [
        ["#", "id", "similarity", "posterior", "attributes"],
        ["1", "a", "0.0000", "0.500"],
        ["2", "b", "0.0000"],
    ]


@pytest.mark.parametrize(
    "args",
    [
        ["search", "items", "red", "--group-by", "=1"],
        ["search", "items", "red", "--group-by", "colour=0"],
        ["search", "items", "red", "--group-by", "colour=x"],
        ["search", "items", "red", "--diversity", "1.5"],
        ["search", "items", "red", "--min-similarity", "-2"],
        ["search", "items", "red", "--pages", "0"],
        ["search", "items", "red", "--pages", "2", "--sheet", "sheet.png"],
        ["duplicates"],
        ["duplicates", "items", "--min-similarity", "2"],
        ["duplicates", "items", "--image", "/no/such.jpg"],
        ["suggest", "items", "--limit", "0"],
        ["sample", "items", "--count", "1001"],
        ["sample", "items", "--seed", "x"],
    ],
)
def test_usage_errors_exit_with_2(args: list[str], server: ScriptedServer) -> None:
    assert run(*args) == 2
    assert not server.calls


def test_errors_exit_with_1(server: ScriptedServer, capsys: pytest.CaptureFixture[str]) -> None:
    error = NotFoundError("No such collection.", reason="UNKNOWN_COLLECTION")
    for method in ("FindDuplicates", "SuggestLabels", "SampleItems"):
        server.answer(method, error)
    for command in ("duplicates", "suggest", "sample"):
        assert run(command, "nothing") == 1
        assert capsys.readouterr().err == "error: UNKNOWN_COLLECTION: No such collection.\n"
