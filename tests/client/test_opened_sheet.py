"""`--open` shows the sheet in the desktop's viewer."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from PIL import Image

from client.scripted_server import ScriptedServer
from client.shell import run
from client.test_verbs import ANSWER
from tashihiki.v1 import catalog_pb2

pytestmark = [
    pytest.mark.usefixtures("plain_terminal"),
    pytest.mark.skipif(sys.platform != "linux", reason="xdg-open is Linux's"),
]


@pytest.fixture
def opened(server: ScriptedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the viewer notes what it is given; a file `fail` beside it makes the viewer fail."""
    server.answer("Search", ANSWER)
    server.answer("GetItem", catalog_pb2.GetItemResponse(item=catalog_pb2.Item(id="mug_7")))
    opener, taken = tmp_path / "xdg-open", tmp_path / "opened"
    opener.write_text(f'#!/bin/sh\necho "$1" > {taken}\n[ ! -e {tmp_path}/fail ]\n')
    opener.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("DISPLAY", ":99")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    return taken


def test_the_viewer_gets_a_file_that_stays(opened: Path, tmp_path: Path) -> None:
    assert run("search", "items", "red", "--open") == 0
    sheet = Path(opened.read_text().strip())
    assert sheet.parent == tmp_path
    with Image.open(sheet) as drawn:
        assert drawn.format == "PNG"


def test_the_viewer_gets_the_file_that_was_named(opened: Path, tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.png"
    assert run("search", "items", "red", "--open", "--sheet", str(sheet)) == 0
    assert opened.read_text().strip() == str(sheet)
    assert sheet.stat().st_size


def test_a_sheet_that_nobody_opens_is_named_too(
    opened: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sheet = tmp_path / "sheet.png"
    assert run("search", "items", "red", "--json", "--sheet", str(sheet)) == 0
    assert capsys.readouterr().err == f"sheet: {sheet}\n"
    assert not opened.exists()


@pytest.mark.parametrize("why", ["no desktop", "no viewer", "a viewer that fails"])
def test_where_nothing_can_show_it_the_file_is_named(
    why: str,
    opened: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if why == "no desktop":
        monkeypatch.delenv("DISPLAY")
        monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    elif why == "no viewer":
        (tmp_path / "xdg-open").unlink()
        monkeypatch.setenv("PATH", str(tmp_path))
    else:
        (tmp_path / "fail").touch()
    sheet = tmp_path / "sheet.png"
    assert run("search", "items", "red", "--open", "--sheet", str(sheet)) == 1
    error = capsys.readouterr().err
    assert "no viewer opened the sheet" in error
    assert f"Open {sheet} yourself" in error
    assert sheet.stat().st_size


def test_a_search_that_fails_leaves_no_file(server: ScriptedServer, opened: Path) -> None:
    server.answer("Search", RuntimeError("oops"))
    assert run("search", "items", "red", "--open") == 1
    assert not list(opened.parent.glob("*.png"))
