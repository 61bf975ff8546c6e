"""What the command line says of options and commands that there are not."""

from __future__ import annotations

import re

import pytest

from client.scripted_server import ScriptedServer
from client.shell import run

pytestmark = pytest.mark.usefixtures("plain_terminal")

MEANT = {
    "search items red --limt 5": "--limit",
    "search items --limt 5 red": "--limit",
    "search items --limt=5 red": "--limit",
    "search items red -limit 5": "--limit",
    "search items red --item a --shet x.png": "--sheet",
    "search items red --no-rerankk": "--no-rerank",
    "profile items red --repat 3": "--repeat",
    "compare items red --whit blue": "--with",
    "items items --limt 5": "--limit",
    "snapshot create items --nme x": "--name",
    "serve --adress 127.0.0.1:0": "--address",
    "demo --ot x": "--out",
    "config --exampel": "--example",
    "--versoin": "--version",
    "serch items red": "search",
    "snapshot creat items": "create",
    "config serch": "search",
    "config snapshot creat": "snapshot create",
}


@pytest.mark.parametrize("line", MEANT)
def test_what_was_meant_is_asked(
    line: str, server: ScriptedServer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*line.split()) == 2
    said = " ".join(capsys.readouterr().err.replace("│", "").split())
    assert re.search(rf"Did you mean '?{MEANT[line]}\b", said)
    assert said.startswith("Usage: tashihiki")
    assert not server.calls


@pytest.mark.parametrize(
    ("line", "query"),
    [
        ("search items KR + HAPPY", '"KR + HAPPY"'),
        ("search items --limit 5 KR - HAPPY --json", '"KR - HAPPY"'),
        ('profile items KR "HAPPY"', """'KR "HAPPY"'"""),
        ("compare items KR + HAPPY", '"KR + HAPPY"'),
    ],
)
def test_a_query_in_several_words_is_shown_in_quotes(
    line: str, query: str, server: ScriptedServer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*line.split()) == 2
    assert f"Put the query in quotes: {query}" in capsys.readouterr().err
    assert not server.calls


@pytest.mark.parametrize("expression", ["-red + blue", "-limit", "-where"])
def test_an_expression_with_a_minus_is_no_option(expression: str, server: ScriptedServer) -> None:
    assert run("search", "items", expression, "--item", "--odd") == 0
    assert server.received("Search")[0].query.expression == expression
    assert server.received("Search")[0].query.bindings.this_item == "--odd"


def test_what_follows_two_dashes_is_an_expression(server: ScriptedServer) -> None:
    assert run("search", "items", "--", "--red") == 0
    assert server.received("Search")[0].query.expression == "--red"
    # A command of another package, too.
    assert run("compare", "items", "--json", "--", "--red") == 0
    assert server.received("Search")[1].query.expression == "--red"
