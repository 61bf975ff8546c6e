from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from client.scripted_server import ScriptedServer
from client.shell import run
from docs.markdown import DOCS
from tashihiki.v1 import search_pb2

WATCHED = ("--data", "--address", "--encoder", "--grace", "--max-wait")

pytestmark = pytest.mark.usefixtures("plain_terminal", "nobodys_configuration")


@pytest.fixture
def nobodys_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))


def write(text: str, file: str = "tashihiki.toml") -> None:
    path = Path(file)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def in_force(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, dict[str, Any]]:
    """The options of one command by their names."""
    capsys.readouterr()
    assert run("config", *words, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    return {option["option"]: option for option in told["options"]}


def test_a_flag_counts_before_a_variable_and_that_before_the_file(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.answer("Search", search_pb2.SearchResponse())
    write("[search]\nlimit = 3\nmin-similarity = 0.25\n")
    limits = []
    for variable, flags in (("", []), ("4", []), ("4", ["--limit", "5"])):
        monkeypatch.setenv("TASHIHIKI_SEARCH_LIMIT", variable)
        assert run("search", "items", "red", *flags) == 0
        limits.append(server.received("Search")[-1].limit)
    Path("tashihiki.toml").unlink()
    monkeypatch.delenv("TASHIHIKI_SEARCH_LIMIT")
    assert run("search", "items", "red") == 0
    limits.append(server.received("Search")[-1].limit)
    assert limits == [3, 4, 5, 10]
    similarities = [request.min_similarity for request in server.received("Search")]
    assert similarities == [0.25, 0.25, 0.25, 0.0]


def test_the_file_is_the_named_one_or_here_or_the_users(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def limit(*before: str) -> int:
        capsys.readouterr()
        assert run(*before, "config", "search", "--json") == 0
        options = json.loads(capsys.readouterr().out)["options"]
        return next(int(one["value"]) for one in options if one["option"] == "--limit")

    assert limit() == 10
    write("[search]\nlimit = 1\n", "xdg/tashihiki/tashihiki.toml")
    assert limit() == 1
    write("[search]\nlimit = 2\n")
    assert limit() == 2
    write("[search]\nlimit = 3\n", "third.toml")
    monkeypatch.setenv("TASHIHIKI_CONFIG", "third.toml")
    assert limit() == 3
    write("[search]\nlimit = 4\n", "fourth.toml")
    assert limit("--config", "fourth.toml") == 4


def test_each_value_says_where_it_came_from(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("TASHIHIKI_SERVER")
    write('server = "there:1"\ntimeout = 7\n[serve]\nmax-wait = 1\naddress = "127.0.0.1:9"\n')
    monkeypatch.setenv("TASHIHIKI_SERVE_GRACE", "3")
    served = in_force(capsys, "serve")
    assert {name: (served[name]["value"], served[name]["source"]) for name in WATCHED} == {
        "--data": ("data", "default"),
        "--address": ("127.0.0.1:9", "file"),
        "--encoder": (None, "default"),
        "--grace": (3.0, "environment"),
        "--max-wait": (1.0, "file"),
    }
    assert served["--max-image-bytes"]["variable"] == "TASHIHIKI_SERVE_MAX_IMAGE_BYTES"
    for command in (["search"], ["snapshot", "list"], ["export"]):
        options = in_force(capsys, *command)
        assert options["--server"] == {
            "command": " ".join(command),
            "option": "--server",
            "value": "there:1",
            "source": "file",
            "variable": "TASHIHIKI_SERVER",
        }
        assert options["--timeout"]["value"] == 7
    # A timeout for the whole is another option than one for each call.
    assert in_force(capsys, "snapshot", "create")["--timeout"]["value"] == 3600
    # `index` works on a folder unless it is told otherwise.
    assert in_force(capsys, "index")["--server"]["value"] is None
    assert run("config", "serve", "--all") == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["--grace", "3.0", "TASHIHIKI_SERVE_GRACE", "TASHIHIKI_SERVE_GRACE"] in rows
    assert ["--max-wait", "1.0", "tashihiki.toml", "TASHIHIKI_SERVE_MAX_WAIT"] in rows


def test_only_what_differs_is_shown_and_the_rest_is_counted(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("TASHIHIKI_SERVER")
    assert run("config") == 0
    shown = capsys.readouterr().out
    assert run("config", "--json") == 0
    options = json.loads(capsys.readouterr().out)["options"]
    assert shown.splitlines()[0].startswith("no configuration file: tashihiki.toml or ")
    assert f"{len(options)} options have their defaults; `tashihiki config --all`" in shown
    assert len(shown.splitlines()) == 3
    write('server = "there:1"\n[search]\nlimit = 3\n')
    monkeypatch.setenv("TASHIHIKI_SERVE_GRACE", "3")
    assert run("config") == 0
    lines = capsys.readouterr().out.splitlines()
    servers = sum(one["option"] == "--server" for one in options)
    # `index` and `doctor` go without a server unless they are told otherwise.
    asking = servers - 1
    assert lines[0] == "configuration file: tashihiki.toml"
    assert sorted(line.split() for line in lines[3:6]) == [
        [str(asking), "commands", "--server", "there:1", "tashihiki.toml"],
        ["search", "--limit", "3", "tashihiki.toml"],
        ["serve", "--grace", "3.0", "TASHIHIKI_SERVE_GRACE"],
    ]
    assert lines[-1].startswith(f"{len(options) - asking - 2} options have their defaults")
    assert run("--config", "tashihiki.toml", "config", "search", "--all") == 0
    assert "TASHIHIKI_SEARCH_WHERE" in capsys.readouterr().out


def test_a_command_of_another_package_reads_the_file(
    server: ScriptedServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write('[verify]\ndata = "not/there"\njson = true\n')
    run("verify")
    assert "not/there" in capsys.readouterr().err
    # An option that has to be given may stand there too.
    write('[demo]\nout = "drawn"\nshots = 0\n')
    assert run("demo") == 2
    assert "demo.shots" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "field", "said"),
    [
        ("[search]\nlimt = 5\n", "search.limt", "Did you mean `limit`?"),
        ("[search]\nmin_similarity = 0.5\n", "search.min_similarity", "`min-similarity`"),
        ("[serach]\nlimit = 5\n", "serach", "Did you mean `search`?"),
        ('sarver = "a:1"\n', "sarver", "Did you mean `server`?"),
        ('[snapshot.creat]\nname = "a"\n', "snapshot.creat", "Did you mean `create`?"),
        ('[serve]\nadress = "a:1"\n', "serve.adress", "Did you mean `address`?"),
        ("[train]\nepoch = 3\n", "train.epoch", "Did you mean `epochs`?"),
        ("search = 3\n", "search", "Write [search]"),
        ('[search]\nlimit = "5"\n', "search.limit", "Write a whole number."),
        ("[search]\nlimit = true\n", "search.limit", "Write a whole number."),
        ("[search]\nlimit = 0\n", "search.limit", "search.limit is 0: "),
        ("[search]\nwhere = 3\n", "search.where", "Write text in quotes."),
        ("[search]\njson = 1\n", "search.json", "Write true or false."),
        ('[search]\nbind = "a=b"\n', "search.bind", "Write a list, each text in quotes."),
        ('[search]\nmode = "both"\n', "search.mode", "'both' is not one of"),
        ('timeout = "x"\n', "timeout", "Write a number."),
        ("[search]\nlimit 3\n", "config", "at line 2, column 7"),
    ],
)
def test_what_no_command_understands_is_refused_by_name(
    text: str, field: str, said: str, server: ScriptedServer, capsys: pytest.CaptureFixture[str]
) -> None:
    write(text, "mine.toml")
    # Also for a command that the mistake is not about.
    assert run("--config", "mine.toml", "items", "items") == 2
    error = capsys.readouterr().err
    assert error.startswith("error: CONFIGURATION_INVALID: ")
    assert "mine.toml" in error
    assert f"(field {field})" in error
    assert said in error
    assert not server.calls


def test_the_file_in_the_document_is_understood(
    server: ScriptedServer, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (DOCS / "operating.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    write(shown)
    options = in_force(capsys, "serve")
    assert options["--encoder"]["value"] == ["encoders/clothes"]
    assert options["--address"]["source"] == "file"


def test_a_file_that_is_named_has_to_be_there(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TASHIHIKI_CONFIG", "not/there.toml")
    assert run("items", "items") == 2
    error = capsys.readouterr().err
    assert "CONFIGURATION_NOT_FOUND" in error
    assert "not/there.toml" in error


def test_a_folder_that_cannot_be_looked_into_has_no_file(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # Nobody can look into a folder with so long a name, not even root.
    monkeypatch.setenv("XDG_CONFIG_HOME", "x" * 300)
    assert in_force(capsys, "search")["--limit"]["value"] == 10


@pytest.mark.parametrize(
    ("text", "advised"),
    [
        ("[search]\nlimt = 5\n", ["config", "search", "--all"]),
        ("[snapshot]\njson = true\n", ["config", "snapshot", "--all"]),
        ("limt = 5\n", ["config", "--example"]),
        (f"a = {'[' * 10_000}", ["config", "--example"]),
        (None, ["config", "--example"]),
    ],
)
def test_what_a_refusal_advises_works_beside_the_faulty_file(
    text: str | None,
    advised: list[str],
    server: ScriptedServer,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if text is not None:
        write(text, "mine.toml")
    assert run("--config", "mine.toml", "items", "items") == 2
    refused = capsys.readouterr().err
    assert refused.startswith("error: CONFIGURATION_")
    assert run("--config", "mine.toml", *advised) == 0
    told = capsys.readouterr()
    assert told.err == refused.replace("error: ", "warning: ", 1)
    assert "limit = 10" in told.out or "--limit" in told.out or "--name" in told.out
    assert "no configuration file:" not in told.out


@pytest.mark.parametrize("text", ["timeout = inf", "timeout = nan", 'server = "http://x"'])
def test_a_shared_value_that_no_command_takes_is_refused(
    text: str, server: ScriptedServer, capsys: pytest.CaptureFixture[str]
) -> None:
    write(text)
    assert run("items", "items") == 2
    assert f"(field {text.partition(' ')[0]})" in capsys.readouterr().err


@pytest.mark.parametrize("args", [["search", "items", "red"], ["config", "search"]])
def test_a_wrong_variable_is_named(
    args: list[str],
    server: ScriptedServer,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("TASHIHIKI_SEARCH_LIMIT", "many")
    assert run(*args) == 2
    assert "TASHIHIKI_SEARCH_LIMIT" in capsys.readouterr().err
    assert not server.calls


def test_the_example_is_a_file_that_says_what_holds_anyway(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def values() -> dict[tuple[str, str], tuple[Any, str]]:
        capsys.readouterr()
        assert run("config", "--json") == 0
        told = json.loads(capsys.readouterr().out)["options"]
        return {(one["command"], one["option"]): (one["value"], one["source"]) for one in told}

    monkeypatch.delenv("TASHIHIKI_SERVER")
    before = values()
    assert run("config", "--example") == 0
    example = capsys.readouterr().out
    assert "# Hits wanted, or hits on a page.\n# limit = 10\n" in example
    assert "# Not for `index`, whose own table alone says it:\n# server = " in example
    # What has a value, without the marks of a comment.
    write("\n".join(re.findall(r"^(?:# )?(\[.*\]|[a-z-]+ = .+)$", example, re.MULTILINE)))
    after = values()
    assert ("evaluate", "--out") in after
    # What commands share holds for one that would do without as well.
    assert after.pop(("doctor", "--data")) == ("data", "file")
    assert before.pop(("doctor", "--data")) == (None, "default")
    for name, (value, _) in before.items():
        assert after[name] == (value, "default" if value is None else "file"), name
