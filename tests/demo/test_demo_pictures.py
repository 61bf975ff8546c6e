"""The drawn galleries: complete, named like their labels, the same again from the same seed."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from tashihiki_server.dataset import parse_aliases, read_dataset
from tashihiki_server.demo.gallery import contact_sheet, draw_demo, draw_faces

PEOPLE = ["KA", "KL", "KM", "KR", "MK", "NA", "NM", "TM", "UY", "YM"]
SHOTS, DESIGNS = 2, 1


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo")
    draw_demo(folder, seed=3, shots=SHOTS, designs=DESIGNS)
    return folder


def labels(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_every_person_shows_every_expression(demo: Path) -> None:
    rows = labels(demo / "faces" / "labels.csv")
    counts = Counter((row["person"], row["expression"]) for row in rows)
    assert sorted({person for person, _ in counts}) == PEOPLE
    assert len(counts) == 10 * 7
    assert set(counts.values()) == {SHOTS}


def test_every_product_has_every_colour_on_every_background(demo: Path) -> None:
    rows = labels(demo / "items" / "labels.csv")
    counts = Counter((row["product"], row["colour"], row["background"]) for row in rows)
    assert len(counts) == 8 * 8 * 6
    assert set(counts.values()) == {DESIGNS}


def test_the_names_of_faces_read_like_the_jaffe_database(demo: Path) -> None:
    dataset = read_dataset(
        demo / "faces",
        pattern="{person}.{expression:2}{shot}.{rest}.tiff",
        aliases=parse_aliases(["jaffe"]),
    )
    told = {photo.path.name: photo.attributes for photo in dataset.photos}
    rows = labels(demo / "faces" / "labels.csv")
    assert told == {
        row["path"]: {"person": row["person"], "expression": row["expression"]} for row in rows
    }


def test_the_common_table_leaves_foreign_facets_empty(demo: Path) -> None:
    dataset = read_dataset(demo / "labels.csv")
    assert {frozenset(photo.attributes) for photo in dataset.photos} == {
        frozenset({"person", "expression"}),
        frozenset({"product", "colour", "background"}),
    }


def test_pictures_are_what_they_are_called(demo: Path) -> None:
    for path in (*(demo / "faces").glob("*.tiff"), *(demo / "items").glob("*.jpg")):
        with Image.open(path) as picture:
            assert (picture.size, picture.mode) == ((256, 256), "RGB")


def test_a_seed_draws_the_same_again_and_another_draws_others(demo: Path, tmp_path: Path) -> None:
    again = draw_faces(tmp_path / "again", seed=3, shots=SHOTS)
    other = draw_faces(tmp_path / "other", seed=4, shots=SHOTS)
    for same, different in zip(again, other, strict=True):
        drawn = (demo / "faces" / same.path.name).read_bytes()
        assert same.path.read_bytes() == drawn
        assert different.path.read_bytes() != drawn


def test_a_contact_sheet_shows_all(demo: Path) -> None:
    pictures = sorted((demo / "items").glob("*.jpg"))[:10]
    sheet = contact_sheet(pictures, columns=4, thumbnail=64)
    assert sheet.width >= 4 * 64
    assert sheet.height >= 3 * 64
