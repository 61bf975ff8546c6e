"""Labels out of file names."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from photo_files import write_photo
from tashihiki.errors import InvalidArgumentError
from tashihiki_server.dataset import parse_aliases, read_dataset, read_pattern
from tashihiki_server.dataset.pattern import compile_pattern

JAFFE = "{person}.{expression:2}{shot}.{rest}.tiff"
WORDS = st.text("abcXYZ019é_- ()[]*?+", min_size=1, max_size=6)


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("KR.HA1.74.tiff", ("KR", "HA", "1", "74")),
        ("KA.AN1.39.tiff", ("KA", "AN", "1", "39")),
        ("KM.NE1.1.tiff", ("KM", "NE", "1", "1")),
        ("YM.HA1.52.tiff", ("YM", "HA", "1", "52")),
        ("KR.NE12.71.x.tiff", ("KR", "NE", "12", "71.x")),
    ],
)
def test_jaffe_names(name: str, fields: tuple[str, ...]) -> None:
    found = compile_pattern(JAFFE).match(name)
    assert found == dict(zip(("person", "expression", "shot", "rest"), fields, strict=True))


@pytest.mark.parametrize("name", ["KR.HA.74.tiff", "KR.HA1.74.tif", "KR.HA1.74.tiff.bmp", ""])
def test_names_that_do_not_fit(name: str) -> None:
    assert compile_pattern(JAFFE).match(name) is None


@given(st.lists(WORDS.filter(lambda word: "-" not in word), min_size=1, max_size=4))
def test_fields_between_separators_come_back(words: list[str]) -> None:
    pattern = "-".join(f"{{f{number}}}" for number in range(len(words)))
    found = compile_pattern(pattern + ".jpg").match("-".join(words) + ".jpg")
    assert found is not None
    assert list(found.values()) == words


@given(st.lists(st.text("ab1.", min_size=1, max_size=5), min_size=1, max_size=4))
def test_fields_of_fixed_width_need_no_separator(words: list[str]) -> None:
    pattern = "".join(f"{{f{number}:{len(word)}}}" for number, word in enumerate(words))
    found = compile_pattern(pattern).match("".join(words))
    assert found is not None
    assert list(found.values()) == words


@given(WORDS)
def test_what_is_no_field_stands_for_itself(literal: str) -> None:
    pattern = compile_pattern(literal + "{x:1}")
    assert pattern.match(literal + "q") == {"x": "q"}
    assert pattern.match("Z" + literal + "q") is None


@pytest.mark.parametrize(
    "pattern", ["", "a.jpg", "{", "{a", "a}", "{a}{a}", "{a:0}", "{a:x}", "{}", "{ }", "{shot}"]
)
def test_patterns_that_cannot_be_used(tmp_path: Path, pattern: str) -> None:
    write_photo(tmp_path / "a.jpg")
    with pytest.raises(InvalidArgumentError) as caught:
        read_pattern(tmp_path, pattern)
    assert caught.value.reason == "PATTERN_INVALID"
    assert caught.value.field == "pattern"


def test_a_jaffe_folder(tmp_path: Path) -> None:
    write_photo(tmp_path / "KR.HA1.74.tiff")
    write_photo(tmp_path / "KA.AN2.40.tiff")
    (tmp_path / "README_FIRST.txt").write_text("terms of use")
    dataset = read_dataset(tmp_path, pattern=JAFFE, aliases=parse_aliases(["jaffe"]))
    assert dataset.facets == ["person", "expression"]
    assert [photo.attributes for photo in dataset.photos] == [
        {"person": "KA", "expression": "ANGER"},
        {"person": "KR", "expression": "HAPPY"},
    ]
    assert dataset.photos[1].metadata == {"shot": "1", "rest": "74"}
    assert [skipped.path.name for skipped in dataset.skipped] == ["README_FIRST.txt"]


def test_facets_can_be_chosen_and_underscored_fields_are_metadata(tmp_path: Path) -> None:
    write_photo(tmp_path / "mug_red_7.png")
    default = read_pattern(tmp_path, "{product}_{_paint}_{shot}.png")
    assert default.facets == ["product"]
    chosen = read_pattern(tmp_path, "{product}_{_paint}_{shot}.png", facets=["_paint"])
    assert chosen.photos[0].attributes == {"_paint": "red"}
    with pytest.raises(InvalidArgumentError) as caught:
        read_pattern(tmp_path, "{product}_{rest}.png", facets=["colour"])
    assert caught.value.reason == "UNKNOWN_COLUMN"


def test_a_pattern_with_folders_reads_the_path(tmp_path: Path) -> None:
    write_photo(tmp_path / "mugs" / "red" / "1.png")
    photo = read_pattern(tmp_path, "{product}/{colour}/{shot}.png").photos[0]
    assert photo.attributes == {"product": "mugs", "colour": "red"}
    assert photo.id == "mugs/red/1.png"


def test_nothing_fits(tmp_path: Path) -> None:
    write_photo(tmp_path / "x.png")
    with pytest.raises(InvalidArgumentError) as caught:
        read_pattern(tmp_path, JAFFE)
    assert caught.value.reason == "CATALOGUE_EMPTY"
