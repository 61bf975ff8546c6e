"""`tashihiki export`: what is in the files is what the collection holds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest
from typer.testing import CliRunner, Result

from calls import create, fresh_name, items, metadata, random_picture, upsert, vector_item
from gallery import random_vectors
from serving import Served
from tashihiki.catalog import StoredItem
from tashihiki.errors import AlreadyExistsError
from tashihiki.v1 import catalog_pb2
from tashihiki_server.cli.export import app
from tashihiki_server.exporting import export_items

IDS = ["plain", "with/slash", "..", ".hidden", "a b", "ü" * 200, "UPPER", "upper", "%41", "A"]


@pytest.fixture
def collection(module_served: Served) -> str:
    name = create(module_served, fresh_name("export"))
    rows = random_vectors(1200, 8)
    batch = [vector_item(f"v{n:04}", row, colour=f"c{n % 3}") for n, row in enumerate(rows)]
    upsert(module_served, name, batch[:1000])
    upsert(module_served, name, batch[1000:])
    pictures = []
    for number, identifier in enumerate(IDS):
        picture = catalog_pb2.ItemInput(id=identifier, image=random_picture(number)[1])
        picture.metadata.CopyFrom(metadata({"n": number, "nested": {"list": [1, "二", None]}}))
        pictures.append(picture)
    upsert(module_served, name, pictures)
    return name


def _export(served: Served, name: str, out: Path, *options: str) -> Result:
    where = ["--out", str(out), "--server", served.address, *options]
    return CliRunner().invoke(app, [name, *where])


def test_every_item_is_in_the_files(module_served: Served, collection: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = _export(module_served, collection, out)
    assert done.exit_code == 0, done.output
    assert f"1210 items written to {out}." in done.stderr
    rows = pyarrow.parquet.read_table(out / "items.parquet").to_pylist()
    wanted = items(
        module_served, collection, page_size=1000, include_vectors=True, include_thumbnails=True
    )
    assert [row["id"] for row in rows] == [item.id for item in wanted]
    for row, item in zip(rows, wanted, strict=True):
        assert dict(row["attributes"]) == dict(item.attributes)
        assert json.loads(row["metadata"]) == _plain(item)
        np.testing.assert_array_equal(
            np.array(row["vector"], np.float32), np.array(item.vector.values, np.float32)
        )
        assert row["etag"] == item.etag
        assert (row["image_sha256"] or "") == item.image_sha256.hex()
        for time in ("create_time", "update_time"):
            assert round(row[time].timestamp() * 1e6) == getattr(item, time).ToMicroseconds()
        if item.thumbnail:
            assert (out / row["picture"]).read_bytes() == item.thumbnail
        else:
            assert row["picture"] is None
    pictures = sorted(p.relative_to(out).as_posix() for p in (out / "pictures").iterdir())
    assert pictures == sorted(row["picture"] for row in rows if row["picture"])
    assert len(pictures) == len(IDS)


def _plain(item: catalog_pb2.Item) -> dict[str, object]:
    from google.protobuf import json_format

    content: dict[str, object] = json_format.MessageToDict(item.metadata)
    return content


def test_a_filter_chooses_items(module_served: Served, collection: str, tmp_path: Path) -> None:
    done = _export(module_served, collection, tmp_path / "out", "--where", "colour in (c0, c2)")
    assert done.exit_code == 0, done.output
    found = pyarrow.parquet.read_table(tmp_path / "out" / "items.parquet")
    colours = [dict(attributes)["colour"] for attributes in found["attributes"].to_pylist()]
    assert (len(colours), set(colours)) == (800, {"c0", "c2"})
    empty = _export(
        module_served, collection, tmp_path / "empty", "--where", "not colour:c1 and colour:c1"
    )
    assert empty.exit_code == 0, empty.output
    assert pyarrow.parquet.read_table(tmp_path / "empty" / "items.parquet").num_rows == 0


def test_what_is_there_is_not_touched(
    module_served: Served, collection: str, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine").write_text("mine")
    done = _export(module_served, collection, out)
    assert done.exit_code == 1
    assert "OUTPUT_EXISTS" in done.stderr
    assert [path.name for path in out.iterdir()] == ["mine"]


@pytest.mark.parametrize(
    ("name", "options", "reason"),
    [("none-such", [], "UNKNOWN_COLLECTION"), ("", ["--where", "colour:"], "FILTER_INVALID")],
)
def test_a_failure_leaves_nothing(
    module_served: Served,
    collection: str,
    tmp_path: Path,
    name: str,
    options: list[str],
    reason: str,
) -> None:
    done = _export(module_served, name or collection, tmp_path / "out", *options)
    assert done.exit_code == 1
    assert reason in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_one_that_is_cut_short_leaves_nothing_and_the_next_one_works(tmp_path: Path) -> None:
    def broken() -> Iterator[StoredItem]:
        yield StoredItem("a", {}, {}, None, None)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export_items(broken(), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []
    # What a kill leaves.
    (tmp_path / "out.part").mkdir()
    (tmp_path / "out.part" / "left").write_text("left")
    assert export_items([], tmp_path / "out") == 0
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["items.parquet", "pictures"]
    assert [p.name for p in tmp_path.iterdir()] == ["out"]
    with pytest.raises(AlreadyExistsError):
        export_items([], tmp_path / "out")


def test_a_name_with_brackets_is_no_markup(module_served: Served, tmp_path: Path) -> None:
    done = _export(module_served, "[/x]", tmp_path / "out")
    assert done.exit_code == 1
    assert "error: " in done.output
    assert "[/x]" in done.output
