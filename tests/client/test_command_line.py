from __future__ import annotations

import json
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from PIL import Image
from rich.console import Console

from client.scripted_server import ScriptedServer
from client.shell import run
from client.test_verbs import ANSWER, DESCRIBED, FACTORED_ANSWER
from tashihiki import InvalidArgumentError, NotFoundError
from tashihiki.cli.app import application, main
from tashihiki.cli.failure import caret
from tashihiki.v1 import catalog_pb2, composition_pb2, search_pb2

pytestmark = pytest.mark.usefixtures("plain_terminal")


def test_a_search_prints_how_it_was_understood_and_the_hits(
    server: ScriptedServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.answer("Search", ANSWER)
    assert run("search", "items", "this item − background + 0.5 red", "--item", "mug_7") == 0
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert lines[:5] == [
        "[1] + item(mug_7)",
        "[2] + 0.5 × colour:red (9 items)",
        "[3] − background (ignored)",
        "    + item(x) (left out: UNKNOWN_ITEM)",
        "norm 1.500, generation 4, route exact",
    ]
    rows = [line.split() for line in lines if "mug_" in line][1:]
    assert rows == [
        ["1", "mug_1", "0.7500", "+0.500", "+0.250", "+0.000", "colour:red"],
        ["2", "mug_2", "0.5000", "+0.500", "+0.000", "+0.000"],
    ]
    assert server.received("Search")[0].query.bindings.this_item == "mug_7"


def test_hits_of_a_factored_space_are_explained_block_by_block(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    server.answer("Search", FACTORED_ANSWER)
    monkeypatch.setattr("tashihiki.cli.search_report.console", lambda: narrow(80))
    arguments = ["search", "items", "this item − background + red", "--item", "mug_7"]
    assert run(*arguments, "--mode", "add", "--rerank") == 0
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert lines[3:] == [
        "blocks: product 25% [1]  colour 50% [2]  background 0%  rest 25% [1]",
        "norm 1.500, generation 0, route exact",
        "",
        "#  id     similarity  posterior  product [1]  colour [2]  rest [1]",
        "1  mug_1      0.7000      0.500       +0.800      +0.900    +0.200",
        "   colour:red product:mug",
    ]
    request = server.received("Search")[0]
    assert request.attribute_mode == composition_pb2.ATTRIBUTE_MODE_ADD
    assert request.rerank == search_pb2.RERANK_ON
    assert run("search", "items", "red", "--json", "--no-rerank") == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["blocks"][1] == {"facet": "colour", "weight": 0.5, "terms": [1]}
    assert answer["hits"][0]["posterior"] == 0.5
    assert answer["hits"][0]["blocks"][1] == {
        "facet": "colour",
        "similarity": 0.9,
        "contribution": 0.45,
    }
    assert server.received("Search")[1].rerank == search_pb2.RERANK_OFF


def test_a_search_says_that_the_space_is_being_fitted(
    server: ScriptedServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.answer("Search", FACTORED_ANSWER)
    said = "the space is being fitted to the newest items; answers may change"
    said_of_sum = "these are the plain sum's answers; a space is being fitted"
    gone = NotFoundError("deleted meanwhile", reason="UNKNOWN_COLLECTION")
    pending = catalog_pb2.GetCollectionResponse(collection=DESCRIBED)
    first = catalog_pb2.GetCollectionResponse(
        collection=catalog_pb2.Collection(
            space_in_force=catalog_pb2.SPACE_KIND_SUM, space_pending=True
        )
    )
    settled = catalog_pb2.GetCollectionResponse()
    for answer, remarks in ((pending, [said]), (first, [said_of_sum]), (settled, [])):
        server.answer("GetCollection", answer)
        assert run("search", "items", "red") == 0
        shown = capsys.readouterr()
        lines = shown.out.splitlines()
        assert [line for line in lines if line in (said, said_of_sum)] == remarks
        # What is asked for there is `auto`, and the sum is what came of it.
        assert ("note: the plain sum answers" in shown.err) == (answer is settled)
    server.answer("GetCollection", gone)
    assert run("search", "items", "red") == 0
    assert "mug_1" in capsys.readouterr().out


def test_blocks_under_a_hit_are_not_broken(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    server.answer("Search", FACTORED_ANSWER)
    monkeypatch.setattr("tashihiki.cli.search_report.console", lambda: narrow(40))
    assert run("search", "items", "this item − background + red", "--item", "mug_7") == 0
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert lines[lines.index("") + 1 :] == [
        "#  id     similarity",
        "1  mug_1      0.7000",
        "   posterior 0.500  product [1] +0.800",
        "   colour [2] +0.900  rest [1] +0.200",
        "   colour:red product:mug",
    ]


def test_a_mode_is_one_of_two(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("search", "items", "red", "--mode", "both") == 2
    assert "--mode" in capsys.readouterr().err


def test_a_collection_is_described_with_its_space(
    server: ScriptedServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.answer("GetCollection", catalog_pb2.GetCollectionResponse(collection=DESCRIBED))
    assert run("collections", "faces") == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    for row in (
        "space factored, refitting (asked for: auto)",
        "fitted to 213 items, 70 combinations of values",
        "additive R² 0.875",
        "person 60.0% 9",
        "interaction 10.0%",
        "residual 20.0%",
        "rest 64",
        "recognised 75.0% of held-out values",
        "person expression 71.5",
    ):
        assert row.split() in rows
    assert run("collections", "faces", "--json") == 0
    described = json.loads(capsys.readouterr().out)
    assert described["space_in_force"] == "factored"
    assert described["diagnostics"]["angles"] == [
        {"facet": "person", "other": "expression", "degrees": 71.5}
    ]
    server.answer("GetCollection", catalog_pb2.GetCollectionResponse())
    assert run("collections", "plain") == 0
    assert "sum (asked for: auto)" in capsys.readouterr().out


def narrow(columns: int) -> Console:
    return Console(width=columns, markup=False, emoji=False, highlight=False)


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        (
            80,
            [
                "#  id     similarity     [1]     [2]     [3]",
                "1  mug_1      0.7500  +0.500  +0.250  +0.000",
                "   colour:red " + "shape:" + "x" * 30,
                "2  mug_2      0.5000  +0.500  +0.000  +0.000",
            ],
        ),
        (
            40,
            [
                "#  id     similarity",
                "1  mug_1      0.7500",
                "   [1] +0.500  [2] +0.250  [3] +0.000",
                "   colour:red",
                "   shape:" + "x" * 30,
                "2  mug_2      0.5000",
                "   [1] +0.500  [2] +0.000  [3] +0.000",
            ],
        ),
    ],
)
def test_what_does_not_fit_stands_under_its_hit(
    columns: int,
    expected: list[str],
    server: ScriptedServer,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    answer = search_pb2.SearchResponse()
    answer.CopyFrom(ANSWER)
    answer.hits[0].attributes["shape"] = "x" * 30
    server.answer("Search", answer)
    monkeypatch.setattr("tashihiki.cli.search_report.console", lambda: narrow(columns))
    assert run("search", "items", "red") == 0
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert lines[lines.index("") + 1 :] == expected


def test_piped_ids_are_whole(server: ScriptedServer, capsys: pytest.CaptureFixture[str]) -> None:
    long_id = "[red]" + "x" * 500
    page = catalog_pb2.ListItemsResponse(items=[catalog_pb2.Item(id=long_id)])
    server.answer("ListItems", page)
    assert run("items", "items") == 0
    assert long_id in capsys.readouterr().out


def test_control_characters_do_not_reach_the_terminal(
    server: ScriptedServer, capsys: pytest.CaptureFixture[str]
) -> None:
    item = catalog_pb2.Item(id="a", attributes={"colour": "\x1b[31mred"})
    server.answer("ListItems", catalog_pb2.ListItemsResponse(items=[item]))
    assert run("items", "items") == 0
    assert "\x1b" not in capsys.readouterr().out


def test_ids_are_shown_as_they_are_but_for_what_steers_a_terminal(
    server: ScriptedServer, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = "a\N{NO-BREAK SPACE}👩\N{ZERO WIDTH JOINER}🚀\N{SOFT HYPHEN}b"
    steering = "\x9b31m\N{RIGHT-TO-LEFT OVERRIDE}\N{LEFT-TO-RIGHT ISOLATE}\N{LINE SEPARATOR}\x7f"
    server.answer(
        "ListItems", catalog_pb2.ListItemsResponse(items=[catalog_pb2.Item(id=kept + steering)])
    )
    assert run("items", "items") == 0
    shown = capsys.readouterr().out
    assert kept in shown
    assert not set(steering.replace("31m", "")) & set(shown)


def test_json_escapes_the_controls_that_a_terminal_obeys(
    server: ScriptedServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.answer(
        "ListItems", catalog_pb2.ListItemsResponse(items=[catalog_pb2.Item(id="猫\x9b31m\x7f")])
    )
    assert run("items", "items", "--json") == 0
    shown = capsys.readouterr().out
    assert json.loads(shown)["id"] == "猫\x9b31m\x7f"
    assert not {"\x9b", "\x7f"} & set(shown)
    assert "猫" in shown


def test_json_for_scripts(server: ScriptedServer, capsys: pytest.CaptureFixture[str]) -> None:
    server.answer("Search", ANSWER)
    assert run("search", "items", "red", "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["hits"][0]["contributions"][1] == {
        "label": "red",
        "weight": 0.5,
        "similarity": 0.25,
    }
    assert (answer["route"], answer["generation"]) == ("exact", 4)
    assert answer["unresolved_terms"][0]["reason"] == "UNKNOWN_ITEM"


def test_items_attributes_and_collections_as_json(
    server: ScriptedServer, capsys: pytest.CaptureFixture[str]
) -> None:
    items = [catalog_pb2.Item(id="a"), catalog_pb2.Item(id="猫")]
    server.answer("ListItems", catalog_pb2.ListItemsResponse(items=items))
    assert run("items", "items", "--json", "--limit", "0", "--where", "colour:red") == 0
    assert [json.loads(line)["id"] for line in capsys.readouterr().out.splitlines()] == ["a", "猫"]
    value = catalog_pb2.ValueSummary(value="HAPPY", member_count=30)
    summary = catalog_pb2.FacetSummary(facet="expression", values=[value])
    server.answer("ListAttributes", catalog_pb2.ListAttributesResponse(facets=[summary]))
    assert run("attributes", "faces", "--json") == 0
    assert json.loads(capsys.readouterr().out)[0]["values"][0]["member_count"] == 30
    collections = [catalog_pb2.Collection(name="faces", item_count=213)]
    server.answer("ListCollections", catalog_pb2.ListCollectionsResponse(collections=collections))
    assert run("collections", "--json") == 0
    assert json.loads(capsys.readouterr().out)[0]["item_count"] == 213


def test_items_attributes_and_collections_as_tables(
    server: ScriptedServer, capsys: pytest.CaptureFixture[str]
) -> None:
    item = catalog_pb2.Item(id="a", attributes={"colour": "red"})
    server.answer("GetItem", catalog_pb2.GetItemResponse(item=item))
    assert run("items", "items", "--id", "a") == 0
    assert "colour:red" in capsys.readouterr().out
    value = catalog_pb2.ValueSummary(value="HAPPY", member_count=30, aliases=["HA"])
    summary = catalog_pb2.FacetSummary(facet="expression", values=[value], unlabelled_count=2)
    server.answer("ListAttributes", catalog_pb2.ListAttributesResponse(facets=[summary]))
    assert run("attributes", "faces", "--facet", "expression") == 0
    shown = capsys.readouterr().out
    assert "HAPPY" in shown
    assert "(no label)" in shown
    assert run("collections") == 0
    assert "no collections" in capsys.readouterr().out


@pytest.mark.parametrize("dashes", [[], ["--"]])
def test_an_expression_may_begin_with_a_minus(dashes: list[str], server: ScriptedServer) -> None:
    assert run("search", "items", "--limit", "3", *dashes, "-red + blue") == 0
    assert server.received("Search")[0].query.expression == "-red + blue"
    assert server.received("Search")[0].limit == 3


def test_pictures_are_bound(server: ScriptedServer, tmp_path: Path) -> None:
    mug = tmp_path / "mug.jpg"
    mug.write_bytes(b"jpeg")
    bindings = ["--image", str(mug), "--bind", f"a={mug}", "--bind", f"b={mug}"]
    assert run("search", "items", "this image + image(a) - image(b)", *bindings) == 0
    bound = server.received("Search")[0].query.bindings
    assert (bound.this_image, dict(bound.images)) == (b"jpeg", {"a": b"jpeg", "b": b"jpeg"})


def test_an_error_points_at_its_place(
    server: ScriptedServer, capsys: pytest.CaptureFixture[str]
) -> None:
    error = InvalidArgumentError(
        "`red` may be two things",
        reason="AMBIGUOUS_VALUE",
        field="query.expression",
        remedy="Name the facet.",
        details={"position": "5", "length": "3", "candidates": "colour:red, trim:red"},
    )
    server.answer("Search", error)
    assert run("search", "items", "赤い + red") == 1
    assert capsys.readouterr().err.splitlines() == [
        "error: AMBIGUOUS_VALUE: `red` may be two things (field query.expression).",
        "  赤い + red",
        "         ^^^",
        "  candidates: colour:red, trim:red",
        "  help: Name the facet.",
    ]


@pytest.mark.parametrize(
    ("field", "option"),
    [
        ("query.bindings.this_item", "--item ID"),
        ("query.bindings.this_image", "--image FILE"),
        ("query.bindings.images[a]", "--bind NAME=FILE"),
    ],
)
def test_an_unbound_operand_names_the_option(
    field: str, option: str, server: ScriptedServer, capsys: pytest.CaptureFixture[str]
) -> None:
    error = InvalidArgumentError("no", reason="UNBOUND_OPERAND", field=field, remedy="Bind it.")
    server.answer("Search", error)
    assert run("search", "items", "this item") == 1
    assert option in capsys.readouterr().err


def test_candidates_are_named_once(
    server: ScriptedServer, capsys: pytest.CaptureFixture[str]
) -> None:
    error = InvalidArgumentError(
        "no value 'reddd'",
        reason="UNKNOWN_VALUE",
        remedy="Did you mean colour:red?",
        details={"candidates": "colour:red"},
    )
    server.answer("Search", error)
    assert run("search", "items", "reddd") == 1
    assert capsys.readouterr().err.splitlines() == [
        "error: UNKNOWN_VALUE: no value 'reddd'.",
        "  help: Did you mean colour:red?",
    ]


def test_an_error_in_the_filter_points_into_the_filter(
    server: ScriptedServer, capsys: pytest.CaptureFixture[str]
) -> None:
    error = InvalidArgumentError(
        "no", reason="FILTER_INVALID", field="filter.expression", details={"position": "7"}
    )
    server.answer("ListItems", error)
    assert run("items", "items", "--where", "colour ! red") == 1
    assert capsys.readouterr().err.splitlines()[1:] == ["  colour ! red", "         ^"]


@pytest.mark.parametrize(
    ("text", "position", "length", "mark"),
    [("a + ", 4, "1", "    ^"), ("a\n+ b", 2, "", "  ^"), ("猫 + 犬", 4, "1", "     ^^")],
)
def test_carets(text: str, position: int, length: str, mark: str) -> None:
    assert caret(text, position, length)[1] == f"  {mark}"


def test_errors_of_the_server_exit_with_1(
    server: ScriptedServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.answer("GetItem", NotFoundError("No such item.", reason="UNKNOWN_ITEM"))
    assert run("items", "items", "--id", "x") == 1
    assert capsys.readouterr().err == "error: UNKNOWN_ITEM: No such item.\n"
    assert run("items", "items", "--server", "127.0.0.1:1") == 1
    assert capsys.readouterr().err.splitlines() == [
        "error: UNAVAILABLE: cannot reach 127.0.0.1:1 (connection refused).",
        "  help: Start one with `tashihiki serve`, or name another with --server"
        " or TASHIHIKI_SERVER.",
    ]
    assert run("items", "items", "--server", "http://localhost:1") == 2
    assert "Write host:port." in capsys.readouterr().err


@pytest.mark.parametrize(
    "args",
    [
        ["search"],
        ["search", "items"],
        ["search", "items", "red", "--limit", "0"],
        ["search", "items", "red", "--limt", "3"],
        ["search", "items", "--red"],
        ["search", "items", "red", "--image", "/no/such.jpg"],
        ["search", "items", "red", "--bind", "a"],
        ["search", "items", "red", "--bind", "a=/no/such.jpg"],
        ["items", "items", "--id", "a", "--where", "colour:red"],
        ["items", "items", "--timeout", "0"],
        ["no-such-command"],
    ],
)
def test_usage_errors_exit_with_2(
    args: list[str], server: ScriptedServer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*args) == 2
    assert "Traceback" not in capsys.readouterr().err
    assert not server.calls


def test_version_and_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--version") == 0
    assert capsys.readouterr().out.startswith("tashihiki ")
    assert run("--help") == 0
    shown = capsys.readouterr().out
    ours = "search items attributes collections duplicates suggest sample snapshot encoder"
    for name in (*ours.split(), "config", "doctor", "serve", "demo", "index", "train"):
        assert name in shown


@pytest.mark.parametrize("extra", ["server", "training"])
def test_a_missing_package_is_named(extra: str, capsys: pytest.CaptureFixture[str]) -> None:
    entry = EntryPoint("serve", f"tashihiki_{extra}.not_there:command", "tashihiki.commands")
    app = application([entry])
    with pytest.raises(SystemExit) as ended:
        app(args=["--help"], prog_name="tashihiki")
    assert ended.value.code == 0
    assert "Serve collections" in capsys.readouterr().out
    with pytest.raises(SystemExit) as ended:
        app(args=["serve", "--port", "1"], prog_name="tashihiki")
    assert ended.value.code == 1
    error = capsys.readouterr().err
    assert f"serve needs more than is installed (tashihiki_{extra}.not_there)" in error
    assert f"pip install -e '.[{extra}]'" in error


PLUGIN = """
import typer
app = typer.Typer(add_completion=False)

@app.command()
def serve(port: int = 1, fail: bool = False, needy: bool = False, exit_code: int = 0):
    "Serves."
    if fail:
        raise OSError("port in use")
    if needy:
        import not_there_at_all
    print("port", port)
    raise typer.Exit(exit_code)

command = typer.main.get_command(app)
"""


@pytest.mark.parametrize("name", ["app", "command"])
def test_other_packages_bring_commands(
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "plugin_for_a_test.py").write_text(PLUGIN)
    monkeypatch.syspath_prepend(tmp_path)
    entry = EntryPoint("serve", f"plugin_for_a_test:{name}", "tashihiki.commands")
    cases = [
        (["--port", "7"], 0, "port 7"),
        (["--exit-code", "3"], 3, "port 1"),
        (["--port", "x"], 2, "--port"),
        (["--fail"], 1, "error: port in use"),
        (["--needy"], 1, "needs more than is installed (not_there_at_all)"),
        (["--help"], 0, "tashihiki serve"),
    ]
    for args, code, text in cases:
        with pytest.raises(SystemExit) as ended:
            application([entry])(args=["serve", *args], prog_name="tashihiki")
        assert ended.value.code == code
        captured = capsys.readouterr()
        assert text in captured.out + captured.err


def test_a_fault_of_our_own_shows_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*args: object) -> None:
        raise RuntimeError("oops")

    monkeypatch.setattr("tashihiki.cli.search.print_hits", fail)
    assert run("search", "items", "red") == 1
    assert "RuntimeError: oops" in capsys.readouterr().err
    monkeypatch.setenv("TASHIHIKI_TRACEBACK", "1")
    with pytest.raises(RuntimeError):
        main(["search", "items", "red"])


def test_the_sheet_is_a_picture(server: ScriptedServer, tmp_path: Path) -> None:
    server.answer("Search", ANSWER)
    picture, sheet = tmp_path / "mug.png", tmp_path / "sheet.png"
    Image.new("RGB", (30, 20), "red").save(picture)
    thumbnail = picture.read_bytes()
    item = catalog_pb2.Item(id="猫", thumbnail=thumbnail)
    server.answer("GetItem", catalog_pb2.GetItemResponse(item=item))
    query = "this item − 赤い + " + "long " * 99
    assert run("search", "items", query, "--image", str(picture), "--sheet", str(sheet)) == 0
    assert server.received("Search")[0].include_thumbnails
    with Image.open(sheet) as drawn:
        assert drawn.format == "PNG"
        colours = {colour for _, colour in drawn.getcolors(1 << 20) or []}
    assert {(255, 0, 0), (200, 200, 200)} <= colours


def test_a_sheet_that_cannot_be_written(
    server: ScriptedServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for sheet, why in ((tmp_path / "no" / "sheet.png", "no folder"), (tmp_path / "a.jpg", ".png")):
        assert run("search", "items", "red", "--sheet", str(sheet)) == 2
        assert why in capsys.readouterr().err
    assert not server.calls


def test_a_sheet_without_pillow_says_what_to_install(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    assert run("search", "items", "red", "--sheet", "sheet.png") == 1
    assert "pip install -e '.[sheet]'" in capsys.readouterr().err
    assert not server.calls
