"""`tashihiki delete` asks before it deletes."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from client.scripted_server import ScriptedServer
from client.shell import run
from tashihiki import NotFoundError
from tashihiki.v1 import catalog_pb2

pytestmark = pytest.mark.usefixtures("plain_terminal")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def types(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal(text))


@pytest.fixture
def shop(server: ScriptedServer) -> ScriptedServer:
    collections = [catalog_pb2.Collection(name="shop", item_count=213)]
    server.answer("ListCollections", catalog_pb2.ListCollectionsResponse(collections=collections))
    return server


@pytest.mark.parametrize(
    ("typed", "code"), [("y\n", 0), ("n\n", 1), ("\n", 1), ("", 1), ("what\ny\n", 0)]
)
def test_only_a_yes_at_a_terminal_deletes(
    typed: str,
    code: int,
    shop: ScriptedServer,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    types(monkeypatch, typed)
    assert run("delete", "shop") == code
    shown = capsys.readouterr()
    assert "Delete shop with its 213 items?" in shown.out + shown.err
    assert ("shop: kept" if code else "shop: deleted, 213 items") in shown.out.splitlines()
    assert [one.name for one in shop.received("DeleteCollection")] == ["shop"] * (not code)


def test_a_script_has_to_say_yes(
    shop: ScriptedServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    assert run("delete", "shop") == 2
    assert "nothing deleted: say --yes" in capsys.readouterr().err
    assert not shop.calls
    assert run("delete", "shop", "--yes") == 0
    assert capsys.readouterr().out == "shop: deleted, 213 items\n"
    assert [one.name for one in shop.received("DeleteCollection")] == ["shop"]


def test_what_is_not_there_is_not_asked_about(
    shop: ScriptedServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    types(monkeypatch, "")
    shop.answer("DeleteCollection", NotFoundError("no", reason="UNKNOWN_COLLECTION"))
    assert run("delete", "shp") == 1
    assert "UNKNOWN_COLLECTION" in capsys.readouterr().err


def test_a_yes_is_typed_and_stands_nowhere_else(
    shop: ScriptedServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    monkeypatch.setenv("TASHIHIKI_DELETE_YES", "1")
    assert run("delete", "shop") == 2
    Path("tashihiki.toml").write_text("[delete]\nyes = true\n")
    assert run("delete", "shop") == 2
    assert "delete.yes is not known" in " ".join(capsys.readouterr().err.split())
    assert not shop.calls
    Path("tashihiki.toml").unlink()
    assert run("config", "--example") == 0
    assert "yes =" not in capsys.readouterr().out
