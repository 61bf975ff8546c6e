"""Text on a contact sheet that Pillow's own font has no glyphs for."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from PIL import Image, ImageChops

from tashihiki.cli.sheet import Card, Part, write_sheet


def _has_font(language: str) -> bool:
    if shutil.which("fc-list") is None:
        return False
    found = subprocess.run(["fc-list", f":lang={language}"], capture_output=True, check=True)
    return bool(found.stdout.strip())


def drawn(folder: Path, text: str, label: str = "") -> Image.Image:
    path = folder / "sheet.png"
    write_sheet(path, text, [], [Part("", [Card(None, lines=("1. a.jpg", "0.5000", label))])])
    with Image.open(path) as sheet:
        found: Image.Image = sheet.copy()
        return found


def differ(one: Image.Image, other: Image.Image) -> bool:
    return ImageChops.difference(one, other).getbbox() is not None


@pytest.mark.skipif(not _has_font("ja"), reason="no font with Japanese is installed")
def test_japanese_is_drawn_and_not_boxes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # Boxes for the one would be boxes for the other.
    assert differ(drawn(tmp_path, "赤 + mug"), drawn(tmp_path, "青 + mug"))
    assert differ(drawn(tmp_path, "mug", "赤"), drawn(tmp_path, "mug", "青"))
    assert capsys.readouterr().err == ""


@pytest.mark.skipif(not (_has_font("ja") and _has_font("he")), reason="fonts are not installed")
def test_scripts_that_no_one_font_has_share_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = drawn(tmp_path, "赤 ★ שלום")
    assert differ(text, drawn(tmp_path, "青 ★ שלום"))
    assert differ(text, drawn(tmp_path, "赤 ★ שלוש"))
    assert capsys.readouterr().err == ""


def test_without_a_font_it_is_said_once_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for variable in ("PATH", "XDG_DATA_HOME", "XDG_DATA_DIRS"):
        monkeypatch.setenv(variable, str(tmp_path))
    assert not differ(drawn(tmp_path, "赤", "赤"), drawn(tmp_path, "青", "青"))
    # One line for each sheet, however often a character stands on it.
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith("warning: no installed font has 赤")
    assert second.startswith("warning: no installed font has 青")
    assert "fonts-noto-cjk" in first
    drawn(tmp_path, "mug − background", "red")
    assert capsys.readouterr().err == ""
