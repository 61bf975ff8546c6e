"""One folder per class, and other names of values."""

from __future__ import annotations

from pathlib import Path

import pytest

from photo_files import write_photo
from tashihiki.errors import InvalidArgumentError
from tashihiki_server.dataset import parse_aliases, read_dataset, read_folders


def test_the_folder_is_the_label(tmp_path: Path) -> None:
    write_photo(tmp_path / "mug" / "1.png")
    write_photo(tmp_path / "mug" / "deep" / "2.jpg")
    write_photo(tmp_path / "lamp" / "1.png")
    write_photo(tmp_path / "stray.png")
    (tmp_path / "mug" / "notes.txt").write_text("x")
    dataset = read_dataset(tmp_path)
    assert [(p.id, p.attributes) for p in dataset.photos] == [
        ("lamp/1.png", {"category": "lamp"}),
        ("mug/1.png", {"category": "mug"}),
        ("mug/deep/2.jpg", {"category": "mug"}),
    ]
    assert [skipped.path.name for skipped in dataset.skipped] == ["notes.txt", "stray.png"]


def test_the_facet_can_be_named(tmp_path: Path) -> None:
    write_photo(tmp_path / "mug" / "1.png")
    assert read_folders(tmp_path, "product").photos[0].attributes == {"product": "mug"}
    assert read_dataset(tmp_path, facets=["product"]).facets == ["product"]
    with pytest.raises(InvalidArgumentError):
        read_dataset(tmp_path, facets=["product", "colour"])


def test_a_folder_with_labels_is_read_by_them(tmp_path: Path) -> None:
    write_photo(tmp_path / "mug" / "1.png")
    (tmp_path / "labels.csv").write_text("path,colour\nmug/1.png,red\n")
    assert read_dataset(tmp_path, facets=["colour"]).photos[0].attributes == {"colour": "red"}


def test_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        read_dataset(tmp_path)
    assert caught.value.reason == "CATALOGUE_EMPTY"


def test_aliases_fold_case_and_width() -> None:
    aliases = parse_aliases(["expression:HA=HAPPY"])
    assert [aliases.value("expression", n) for n in ("HA", "ha", "ＨＡ")] == ["HAPPY"] * 3
    assert aliases.value("expression", "SA") == "SA"
    assert aliases.value("person", "HA") == "HA"


def test_presets_files_and_later_ones_win(tmp_path: Path) -> None:
    path = tmp_path / "aliases.csv"
    path.write_text("facet,alias,value\nexpression,HA,JOY\nperson,KR,Ms K\n", encoding="utf-8")
    aliases = parse_aliases(["jaffe", str(path)])
    assert aliases.value("expression", "HA") == "JOY"
    assert aliases.value("expression", "AN") == "ANGER"
    assert aliases.value("person", "KR") == "Ms K"


@pytest.mark.parametrize("text", ["", "HA=HAPPY", "expression:HA", "expression:=x", "none.csv"])
def test_bad_aliases(text: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        parse_aliases([text])
    assert caught.value.reason == "ALIAS_INVALID"


def test_a_folder_of_photos_alone_is_told_what_it_needs(tmp_path: Path) -> None:
    write_photo(tmp_path / "1.png")
    with pytest.raises(InvalidArgumentError) as caught:
        read_dataset(tmp_path)
    assert caught.value.reason == "CATALOGUE_EMPTY"
    wanted = "A folder needs one sub-folder per class, a labels.csv, or --pattern."
    assert caught.value.remedy == wanted
