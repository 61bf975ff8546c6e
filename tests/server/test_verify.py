"""`tashihiki verify` finds what was harmed, says so in words, and harms nothing itself."""

from __future__ import annotations

import io
import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from typer.testing import CliRunner

from calls import create, upsert, vector_item
from gallery import random_vectors
from server_process import eventually
from serving import serving
from tashihiki import Client, Item
from tashihiki.errors import FailedPreconditionError
from tashihiki.v1 import catalog_pb2
from tashihiki_server.cli.verify import app
from tashihiki_server.library import Library
from tashihiki_server.verification import Finding, verify

SHOP = "shop"


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory, tiny_encoder_bundle: Path) -> Path:
    """A data folder with a collection, its space and index, a snapshot, and another collection."""
    data = tmp_path_factory.mktemp("verify") / "data"
    with closing(Library(data, tiny_encoder_bundle)) as library, serving(library) as served:
        create(served, SHOP, space=catalog_pb2.SPACE_KIND_FACTORED)
        rows = random_vectors(400, 1)
        batch = [
            vector_item(f"i{n}", row, colour=f"c{n % 3}", shape=f"s{n % 4}")
            for n, row in enumerate(rows)
        ]
        upsert(served, SHOP, batch)
        library.collection(SHOP).settle()
        create(served, "other")
        upsert(served, "other", [vector_item("a", rows[0])])
        library.snapshot(SHOP, "one")
        folder = data / "collections" / SHOP
        eventually(lambda: any(folder.glob("derived/*/generations/[0-9]*")), "an index")
    return data


@pytest.fixture
def data(written: Path, tmp_path: Path) -> Path:
    """A copy of it, to be harmed."""
    return Path(shutil.copytree(written, tmp_path / "data"))


def _wrong(data: Path) -> list[Finding]:
    return [finding for finding in verify(data) if finding.state != "sound"]


def test_a_sound_folder_is_sound_and_stays_as_it_is(data: Path) -> None:
    shares: list[float] = []
    findings = verify(data, lambda part, share: shares.append(share))
    assert {finding.state for finding in findings} == {"sound"}
    parts = [finding.part for finding in findings]
    assert parts[0] == "format.json"
    for stem in ("encoders/", "collections/other", "snapshots/shop/one"):
        assert any(part.startswith(stem) for part in parts)
    for derived in ("spaces", "generations"):
        stem = f"collections/{SHOP}/derived/"
        assert any(part.startswith(stem) and f"/{derived}/" in part for part in parts)
    assert any("400 items" in finding.fact for finding in findings)
    assert max(shares) == 1.0
    assert verify(data) == findings


def _one(data: Path, pattern: str) -> Path:
    (path,) = data.glob(pattern)
    return path


def _flip(path: Path, share: float = 0.5) -> None:
    content = bytearray(path.read_bytes())
    content[int(share * (len(content) - 1))] ^= 16
    path.write_bytes(content)


def _flip_in(pattern: str, share: float = 0.5) -> Callable[[Path], None]:
    return lambda data: _flip(_one(data, pattern), share)


def _without(pattern: str) -> Callable[[Path], None]:
    return lambda data: _one(data, pattern).unlink()


def _cut(pattern: str) -> Callable[[Path], object]:
    return lambda data: _one(data, pattern).write_bytes(b"")


_DAMAGED: dict[str, tuple[Callable[[Path], object], str]] = {
    "format": (_cut("format.json"), "format.json"),
    "format gone": (_without("format.json"), "format.json"),
    "format nested": (
        lambda data: (data / "format.json").write_text("[" * 100_000),
        "format.json",
    ),
    "encoder": (_flip_in("encoders/*/encoder.onnx"), "encoders/"),
    "encoder's manifest": (
        lambda data: _one(data, "encoders/*/manifest.json").write_text("1"),
        "encoders/",
    ),
    "settings": (_flip_in(f"collections/{SHOP}/collection.json"), f"collections/{SHOP}"),
    "catalogue": (
        _flip_in(f"collections/{SHOP}/catalogue.sqlite3", 0.8),
        f"collections/{SHOP}",
    ),
    "catalogue cut": (_cut(f"collections/{SHOP}/catalogue.sqlite3"), f"collections/{SHOP}"),
    "catalogue gone": (_without(f"collections/{SHOP}/catalogue.sqlite3"), f"collections/{SHOP}"),
    "snapshot": (_flip_in("snapshots/*/*/catalogue.sqlite3"), f"snapshots/{SHOP}/one"),
    "manifest": (_without("snapshots/*/*/manifest.json"), f"snapshots/{SHOP}/one"),
}


@pytest.mark.parametrize("harm", list(_DAMAGED))
def test_what_cannot_be_made_again_is_damage(data: Path, harm: str) -> None:
    do, part = _DAMAGED[harm]
    do(data)
    wrong = _wrong(data)
    assert wrong[0].part.startswith(part)
    assert wrong[0].state == "damaged"
    assert wrong[0].fact
    assert wrong[0].meaning
    assert wrong[0].remedy


@pytest.mark.parametrize("kind", ["spaces", "generations"])
def test_what_is_derived_is_made_again(data: Path, kind: str, tiny_encoder_bundle: Path) -> None:
    folder = _one(data, f"collections/{SHOP}/derived/*/{kind}/[0-9]*")
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        sound = path.read_bytes()
        for content in (b"", sound[: len(sound) // 2]):
            path.write_bytes(content)
            (finding,) = _wrong(data)
            assert (finding.part, finding.state) == (
                folder.relative_to(data).as_posix(),
                "mendable",
            )
        path.write_bytes(sound)
    _flip(max(folder.rglob("*"), key=lambda p: p.stat().st_size))
    assert len(_wrong(data)) == 1
    with closing(Library(data, tiny_encoder_bundle)) as library:
        library.collection(SHOP).settle()
    assert _wrong(data) == []


@pytest.mark.parametrize(
    "change",
    [
        {"checksum": None, "values": None},
        {"checksum": None, "values": {"colour": "3"}},
        {"items": 399},
        {"checksum": None, "version": []},
    ],
)
def test_a_space_with_a_false_basis_is_fitted_again(
    data: Path, change: dict[str, Any], tiny_encoder_bundle: Path
) -> None:
    basis = _one(data, f"collections/{SHOP}/derived/*/spaces/[0-9]*/basis.json")
    basis.write_text(json.dumps({**json.loads(basis.read_text()), **change}))
    (finding,) = _wrong(data)
    assert (finding.part, finding.state) == (
        basis.parent.relative_to(data).as_posix(),
        "mendable",
    )
    with closing(Library(data, tiny_encoder_bundle)) as library:
        library.collection(SHOP).settle()
    assert _wrong(data) == []


@pytest.mark.parametrize("photos", [[], ["holiday.jpg"]])
def test_a_folder_of_something_else_is_not_sound_and_stays_as_it_is(
    tmp_path: Path, photos: list[str]
) -> None:
    for name in photos:
        (tmp_path / name).touch()
    with pytest.raises(FailedPreconditionError) as caught:
        verify(tmp_path)
    assert caught.value.reason == "DATA_FOLDER_UNUSABLE"
    assert "no data folder" in caught.value.message
    assert [path.name for path in tmp_path.iterdir()] == photos


def test_a_folder_in_use_or_without_anything_is_refused(
    data: Path, tmp_path: Path, tiny_encoder_bundle: Path
) -> None:
    with (
        closing(Library(data, tiny_encoder_bundle)),
        pytest.raises(FailedPreconditionError) as caught,
    ):
        verify(data)
    assert caught.value.reason == "DATA_FOLDER_IN_USE"
    with pytest.raises(FailedPreconditionError) as caught:
        verify(tmp_path / "none")
    assert caught.value.reason == "DATA_FOLDER_UNUSABLE"
    assert "--data" in caught.value.remedy
    assert not (tmp_path / "none").exists()


def test_one_damaged_picture_is_not_the_whole_collection(
    data: Path, tiny_encoder_bundle: Path
) -> None:
    picture = io.BytesIO()
    Image.new("RGB", (32, 32), "red").save(picture, "PNG")
    with closing(Library(data, tiny_encoder_bundle)) as library, serving(library) as served:
        items = [catalog_pb2.ItemInput(id=name, image=picture.getvalue()) for name in "xyz"]
        upsert(served, "other", items)
    with closing(sqlite3.connect(_one(data, "collections/other/catalogue.sqlite3"))) as db, db:
        db.execute(
            "UPDATE thumbnails SET jpeg = X'00' WHERE key = (SELECT key FROM items WHERE id = 'y')"
        )
    (finding,) = _wrong(data)
    assert (finding.part, finding.state) == ("collections/other", "damaged")
    assert "1 of 4 items" in finding.fact
    assert "'y'" in finding.fact
    assert "everything else is served" in finding.meaning
    with (
        closing(Library(data, tiny_encoder_bundle)) as library,
        serving(library) as served,
        Client(served.address) as client,
    ):
        hits = client.search("other", "item(x)", limit=9, include_thumbnails=True)
        drawn = client.sample("other", 9, include_thumbnails=True)
        for some, ids in ((hits, "ayz"), (drawn, "axyz")):
            assert {one.id: bool(one.thumbnail) for one in some} == {
                identifier: identifier in "xz" for identifier in ids
            }
        # Asked for itself, it is not passed over in silence.
        with pytest.raises(FailedPreconditionError, match="picture of 'y'"):
            client.get_item("other", "y", include_thumbnail=True)
        with pytest.raises(FailedPreconditionError, match="picture of 'y'"):
            list(client.items("other", include_thumbnails=True))
        client.upsert("other", [Item("y", image=picture.getvalue())])
        assert client.get_item("other", "y", include_thumbnail=True).thumbnail
    assert _wrong(data) == []


def _run(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, list(arguments))
    return done.exit_code, done.stdout


def test_the_command_prints_a_table_or_json_and_its_status_says_whether(data: Path) -> None:
    status, said = _run("--data", str(data))
    assert status == 0
    assert said.rstrip().endswith("Everything is sound.")
    _flip_in("snapshots/*/*/catalogue.sqlite3")(data)
    status, said = _run("--data", str(data))
    assert status == 1
    assert "damaged" in said
    assert "snapshots/shop/one" in said
    assert "1 part is damaged." in said
    assert "what to do: delete it and make another" in said
    status, said = _run("--data", str(data), "--json")
    found: dict[str, Any] = json.loads(said)
    assert (status, found["sound"]) == (1, False)
    assert [f["part"] for f in found["findings"] if f["state"] == "damaged"] == [
        "snapshots/shop/one"
    ]


def test_derived_files_alone_do_not_make_a_failure(data: Path) -> None:
    shutil.rmtree(_one(data, f"collections/{SHOP}/derived/*/generations/[0-9]*"))
    assert _wrong(data) == []
    _cut(f"collections/{SHOP}/derived/*/spaces/[0-9]*/space.json")(data)
    status, said = _run("--data", str(data))
    assert status == 0
    assert "Nothing is lost: 1 part is made again at the next start." in said
