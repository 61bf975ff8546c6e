"""Catalogues as CSV, TSV and Parquet."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from photo_files import write_photo
from tashihiki.errors import AlreadyExistsError, InvalidArgumentError, NotFoundError
from tashihiki_server.dataset import Photo, parse_aliases, read_dataset, read_table

CSV = """path,product,colour,title
a.png,mug,red,A red mug
b.png,mug,,Some mug
c.png,lamp,red,
d.png,lamp,blue,A blue lamp
"""


@pytest.fixture
def catalogue(tmp_path: Path) -> Path:
    """Four photos with a CSV beside them."""
    for name in "abcd":
        write_photo(tmp_path / f"{name}.png")
    path = tmp_path / "labels.csv"
    path.write_text(CSV, encoding="utf-8")
    return path


def test_columns_whose_values_repeat_are_facets_and_the_others_metadata(catalogue: Path) -> None:
    dataset = read_table(catalogue)
    assert dataset.facets == ["product"]
    assert dataset.photos[0] == Photo(
        "a.png",
        catalogue.parent / "a.png",
        {"product": "mug"},
        {"colour": "red", "title": "A red mug"},
    )


def test_an_empty_cell_is_a_missing_label(catalogue: Path) -> None:
    dataset = read_table(catalogue, facets=["product", "colour"], metadata=[])
    assert dataset.photos[1].attributes == {"product": "mug"}
    assert dataset.photos[2].attributes == {"product": "lamp", "colour": "red"}
    assert all(photo.metadata == {} for photo in dataset.photos)


def test_a_column_of_numbers_is_kept_as_numbers(catalogue: Path) -> None:
    catalogue.write_text(
        "path,price,code,weight,ean,note\n"
        "a.png,12,007,1.50,12345678901234567,3\n"
        "b.png,-3,12,,2,many\n"
        "c.png,0.5,13,2.0,3,5\n",
        encoding="utf-8",
    )
    names = ["price", "code", "weight", "ean", "note"]
    photos = read_table(catalogue, facets=["path"], metadata=names).photos
    assert [photo.metadata["price"] for photo in photos] == [12, -3, 0.5]
    assert [photo.metadata.get("weight") for photo in photos] == [1.5, None, 2]
    # A code, an identifier of more digits than a number holds, and a text among numbers.
    assert [photo.metadata["code"] for photo in photos] == ["007", "12", "13"]
    assert photos[0].metadata["ean"] == "12345678901234567"
    assert [photo.metadata["note"] for photo in photos] == ["3", "many", "5"]
    assert type(photos[0].metadata["price"]) is int


def test_prices_that_repeat_are_no_facet(catalogue: Path) -> None:
    rows = [f"{name}.png,{9.99 if name in 'ab' else 19},{38 + (name > 'b')}" for name in "abcd"]
    catalogue.write_text("path,price,size\n" + "\n".join(rows) + "\n", encoding="utf-8")
    dataset = read_table(catalogue)
    assert dataset.facets == ["size"]
    assert [photo.metadata["price"] for photo in dataset.photos] == [9.99, 9.99, 19, 19]


def test_a_byte_order_mark_is_not_part_of_the_first_column(catalogue: Path) -> None:
    catalogue.write_text(CSV, encoding="utf-8-sig")
    assert len(read_table(catalogue).photos) == 4


def test_tab_separated(catalogue: Path) -> None:
    path = catalogue.with_suffix(".tsv")
    path.write_text(CSV.replace(",", "\t"), encoding="utf-8")
    assert read_table(path) == read_table(catalogue)


def test_parquet_with_none_nan_and_numbers(catalogue: Path) -> None:
    path = catalogue.with_suffix(".parquet")
    columns = {
        "image": ["a.png", "b.png", "c.png", "d.png"],
        "colour": ["red", None, "red", "red"],
        "year": [2011.0, float("nan"), 2011.0, 2012.5],
    }
    pq.write_table(pa.table(columns), path)
    photos = read_table(path, facets=["colour", "year"]).photos
    assert photos[0].attributes == {"colour": "red", "year": "2011"}
    assert photos[1].attributes == {}
    assert photos[3].attributes["year"] == "2012.5"


NINE = [f"{number}.5" for number in range(9)]


@pytest.mark.parametrize(
    ("cells", "facets", "said"),
    [
        (("12", "n/a", "", *NINE), None, "column price is kept as text"),
        (("1.5", "1.5", "?", *["1.5"] * 9), None, "column price is a facet"),
        (("1.5", "1.5", "?", *["1.5"] * 9), ["price"], None),
        (("12", "twelve", "ten", *NINE), None, None),
        (("007", "012", "013", *NINE), None, None),
        (("1984", "Emma", "2001"), None, None),
    ],
)
def test_a_cell_that_keeps_a_column_from_being_numbers_is_named(
    cells: tuple[str, ...], facets: list[str] | None, said: str | None, catalogue: Path
) -> None:
    rows = zip("abcdefghijkl", cells, strict=False)
    table = "".join(f'{name}.png,{cell},"{name}\nof two lines"\n' for name, cell in rows)
    catalogue.write_text(f"path,price,other\n\n{table}", encoding="utf-8")
    warnings = read_table(catalogue, facets=facets).warnings
    if said is None:
        assert not warnings
        return
    (warning,) = warnings
    row = next(n for n, cell in enumerate(cells, 1) if cell in ("n/a", "?"))
    assert said in warning
    assert f"{cells[row - 1]!r} in line {1 + 2 * row};" in warning


def test_ids_paths_and_root_can_be_named(catalogue: Path, tmp_path: Path) -> None:
    root = tmp_path / "elsewhere"
    write_photo(root / "a.png")
    table = tmp_path / "t.csv"
    table.write_text("sku,where,kind\n1,a.png,x\n2,a.png,x\n", encoding="utf-8")
    dataset = read_table(table, path_column="where", id_column="sku", image_root=root)
    assert [(p.id, p.path, p.attributes) for p in dataset.photos] == [
        ("1", root / "a.png", {"kind": "x"}),
        ("2", root / "a.png", {"kind": "x"}),
    ]


def test_absolute_paths_and_paths_out_of_the_folder(tmp_path: Path) -> None:
    photo = write_photo(tmp_path / "photos" / "a.png")
    table = tmp_path / "tables" / "t.csv"
    table.parent.mkdir()
    table.write_text(f"path,k\n{photo},x\n../photos/a.png,x\n", encoding="utf-8")
    assert all(p.path.samefile(photo) for p in read_table(table).photos)


def test_missing_files_are_listed_and_not_fatal(catalogue: Path) -> None:
    (catalogue.parent / "b.png").unlink()
    dataset = read_table(catalogue)
    assert [photo.id for photo in dataset.photos] == ["a.png", "c.png", "d.png"]
    assert [(s.path.name, s.why) for s in dataset.skipped] == [("b.png", "there is no such file")]


def test_aliases_apply_to_their_facet_only(catalogue: Path) -> None:
    aliases = parse_aliases(["colour:RED=crimson"])
    dataset = read_table(catalogue, facets=["product", "colour"], aliases=aliases)
    assert dataset.photos[0].attributes == {"product": "mug", "colour": "crimson"}


def test_a_duplicate_id_names_both_rows(catalogue: Path) -> None:
    catalogue.write_text("path,k\na.png,x\nb.png,x\na.png,y\n", encoding="utf-8")
    with pytest.raises(AlreadyExistsError) as caught:
        read_table(catalogue)
    assert caught.value.reason == "DUPLICATE_ID"
    assert caught.value.details == {"rows": "1, 3"}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "UNKNOWN_COLUMN"),
        ("path,k\n", "CATALOGUE_EMPTY"),
        ("path,k\nno.png,x\n", "CATALOGUE_EMPTY"),
        ("photo,k\na.png,x\n", "UNKNOWN_COLUMN"),
        ("path,k,k\na.png,x,y\n", "CATALOGUE_INVALID"),
        ("path,k\na.png,x,y\n", "CATALOGUE_INVALID"),
        ('path,k\n"a.png,x\n', "CATALOGUE_INVALID"),
    ],
)
def test_bad_tables(catalogue: Path, content: str, reason: str) -> None:
    catalogue.write_text(content, encoding="utf-8")
    with pytest.raises(InvalidArgumentError) as caught:
        read_table(catalogue)
    assert caught.value.reason == reason
    assert caught.value.field
    assert caught.value.remedy


def test_an_unknown_facet_suggests_the_column_that_was_meant(catalogue: Path) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        read_table(catalogue, facets=["color"])
    assert caught.value.reason == "UNKNOWN_COLUMN"
    assert caught.value.field == "facet"
    assert caught.value.details == {"candidates": "colour"}


@pytest.mark.parametrize("name", ["none.csv", "none.parquet", "none"])
def test_a_catalogue_that_is_not_there(tmp_path: Path, name: str) -> None:
    with pytest.raises(NotFoundError) as caught:
        read_dataset(tmp_path / name)
    assert caught.value.reason == "CATALOGUE_NOT_FOUND"


@pytest.mark.parametrize("name", ["t.xlsx", "t.parquet", "t.csv"])
def test_a_file_that_is_no_table(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"\xff\xfe\x00not a table")
    with pytest.raises(InvalidArgumentError) as caught:
        read_dataset(tmp_path / name)
    assert caught.value.reason == "CATALOGUE_INVALID"


def test_real_labels() -> None:
    fashion = Path(__file__).parents[2].parent / "shared" / "data" / "fashion"
    if not fashion.is_dir():
        pytest.skip("the fashion photos are not beside the repository")
    dataset = read_dataset(fashion, facets=["articleType", "baseColour"])
    assert len(dataset.photos) > 4000
    assert dataset.photos[0].attributes == {"articleType": "Skirts", "baseColour": "White"}


def test_a_path_that_no_file_can_have_is_listed(catalogue: Path) -> None:
    with catalogue.open("a", encoding="utf-8") as file:
        file.write("x" * 5000 + ",mug,red,\n")
    dataset = read_table(catalogue)
    assert [photo.id for photo in dataset.photos] == ["a.png", "b.png", "c.png", "d.png"]
    assert len(dataset.skipped) == 1
