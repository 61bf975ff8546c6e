"""The data folder: names, locks, encoders, and work that was cut short."""

from __future__ import annotations

import errno
import json
import logging
import os
import shutil
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from server_process import SECONDS, fill_disk, small_disk
from serving import serving
from tashihiki.errors import (
    AlreadyExistsError,
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
    ResourceExhaustedError,
    TashihikiError,
)
from tashihiki.v1 import catalog_pb2
from tashihiki_server import collection_folders
from tashihiki_server.catalogue.base import ItemRecord
from tashihiki_server.durable import sync
from tashihiki_server.library import Library
from tiny_encoder import DIMENSION, write_tiny_encoder

OpenLibrary = Callable[..., Library]


def some_items(count: int = 3) -> list[ItemRecord]:
    vectors = np.random.default_rng(0).random((count, DIMENSION)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return [
        ItemRecord(f"i{n}", {"colour": "red"}, {"n": n}, v, b"\xff") for n, v in enumerate(vectors)
    ]


def test_two_collections_of_one_name(library: Library) -> None:
    first = library.create("faces")
    first.upsert(some_items())
    with pytest.raises(AlreadyExistsError) as caught:
        library.create("faces")
    assert caught.value.reason == "COLLECTION_EXISTS"
    assert len(library.collection("faces")) == 3


def test_one_of_many_creators_at_once_wins(library: Library) -> None:
    outcomes: list[str] = []

    def create() -> None:
        try:
            library.create("faces")
            outcomes.append("made")
        except AlreadyExistsError as error:
            outcomes.append(error.reason)

    threads = [threading.Thread(target=create) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["COLLECTION_EXISTS"] * 7 + ["made"]


@pytest.mark.parametrize(
    "name",
    ["", "../x", "..", ".", "a/b", "/etc", "a\\b", ".new.x", "A", "a b", "ä", "a\n", "a\0", "-a"],
)
def test_names_that_could_be_paths_are_refused(library: Library, tmp_path: Path, name: str) -> None:
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(InvalidArgumentError) as caught:
        library.create(name)
    assert (caught.value.reason, caught.value.field) == ("NAME_INVALID", "collection.name")
    with pytest.raises(NotFoundError):
        library.delete(name)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("name", ["a", "0", "a-b_c", "x" * 63])
def test_names_within_the_rules_are_taken(library: Library, name: str) -> None:
    assert library.create(name).settings.name == name


def test_a_collection_comes_back_as_it_was(open_library: OpenLibrary) -> None:
    first = open_library()
    collection = first.create("faces", keep_negative=True)
    collection.upsert(some_items())
    settings = collection.settings
    first.close()
    again = open_library().collection("faces")
    assert again.settings == settings
    for record in some_items():
        found = again.embedding(record.id)
        assert found is not None
        assert record.embedding is not None
        assert (found == record.embedding).all()


def test_a_deleted_collection_stays_away(open_library: OpenLibrary, tmp_path: Path) -> None:
    first = open_library()
    first.create("faces").upsert(some_items())
    first.delete("faces")
    assert list((tmp_path / "data" / "collections").iterdir()) == []
    first.create("faces")
    first.close()
    assert len(open_library().collection("faces")) == 0


def test_a_served_collection_that_is_deleted_leaves_the_memory(
    open_library: OpenLibrary,
) -> None:
    first = open_library()
    first.create("faces").upsert(some_items())
    first.close()
    library = open_library()
    with serving(library) as served:
        rows = weakref.ref(library.collection("faces").state.rows)
        served.catalog.DeleteCollection(catalog_pb2.DeleteCollectionRequest(name="faces"))
        assert rows() is None


@pytest.mark.parametrize("left", [".new.faces", ".deleted.faces"])
def test_what_was_cut_short_leaves_no_ghost(
    open_library: OpenLibrary, tmp_path: Path, left: str
) -> None:
    first = open_library()
    first.create("faces").upsert(some_items())
    first.close()
    collections = tmp_path / "data" / "collections"
    (collections / "faces").rename(collections / left)
    again = open_library()
    assert again.collections() == []
    assert list(collections.iterdir()) == []
    again.create("faces").upsert(some_items())


def test_what_is_not_ours_is_left_alone(
    open_library: OpenLibrary, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = open_library()
    first.create("faces").upsert(some_items())
    first.close()
    collections = tmp_path / "data" / "collections"
    shutil.copytree(collections / "faces", collections / "faces.bak")
    (collections / ".DS_Store").write_text("a file")
    with caplog.at_level(logging.WARNING):
        names = [collection.settings.name for collection in open_library().collections()]
    assert names == ["faces"]
    assert (collections / "faces.bak" / "catalogue.sqlite3").exists()
    assert "faces.bak" in caplog.text


def test_a_creation_without_room_can_be_repeated(tmp_path: Path, tiny_encoder_bundle: Path) -> None:
    with small_disk(tmp_path / "disk", "size=2m") as disk:
        library = Library(disk / "data", tiny_encoder_bundle)
        # Room for the settings, none for the catalogue.
        filler = fill_disk(disk, leave=8192)
        with pytest.raises(ResourceExhaustedError) as caught:
            library.create("faces")
        assert caught.value.reason == "DISK_FULL"
        filler.unlink()
        library.create("faces").upsert(some_items())
        library.close()
        again = Library(disk / "data", tiny_encoder_bundle)
        sizes = {c.settings.name: len(c) for c in again.collections()}
        again.close()
    assert sizes == {"faces": 3}


class _Disk:
    """Stands in for `sync` and `Path.replace`; from a call to `fail` on, folders are not synced."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._number = 0
        self._stuck = False
        self._sync, self._replace = sync, Path.replace
        monkeypatch.setattr(collection_folders, "sync", self.sync)
        monkeypatch.setattr(Path, "replace", lambda path, to: self.replace(path, to))

    def fail(self, number: int, *, stuck: bool = False) -> None:
        self._number, self._stuck = number, stuck

    def heal(self) -> None:
        self.fail(0)

    def sync(self, path: Path) -> None:
        if self._number:
            raise OSError(self._number, os.strerror(self._number))
        self._sync(path)

    def replace(self, path: Path, to: Path) -> Path:
        if self._number and self._stuck and path.name.startswith(".deleted."):
            raise OSError(self._number, os.strerror(self._number))
        return self._replace(path, to)


@pytest.mark.parametrize(
    ("number", "reason"), [(errno.EIO, "DATA_FOLDER_UNUSABLE"), (errno.ENOSPC, "DISK_FULL")]
)
def test_a_deletion_that_the_disk_does_not_take_leaves_the_collection(
    open_library: OpenLibrary, monkeypatch: pytest.MonkeyPatch, number: int, reason: str
) -> None:
    disk, first = _Disk(monkeypatch), open_library()
    kept = first.create("faces")
    kept.upsert(some_items(2))
    disk.fail(number)
    with pytest.raises(TashihikiError) as caught:
        first.delete("faces")
    assert (caught.value.reason, bool(caught.value.remedy)) == (reason, True)
    kept.upsert(some_items(3))
    disk.heal()
    first.close()
    again = open_library()
    assert len(again.collection("faces")) == 3
    again.delete("faces")
    again.close()
    assert open_library().collections() == []


def test_a_collection_that_is_half_deleted_takes_no_writes(
    open_library: OpenLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk, first = _Disk(monkeypatch), open_library()
    dropped = first.create("faces")
    dropped.upsert(some_items(2))
    disk.fail(errno.EIO, stuck=True)
    with pytest.raises(FailedPreconditionError) as caught:
        first.delete("faces")
    assert caught.value.reason == "DATA_FOLDER_UNUSABLE"
    with pytest.raises(NotFoundError):
        dropped.upsert(some_items(3))
    assert first.collections() == []
    disk.heal()
    first.create("faces").upsert(some_items(1))
    first.close()
    assert len(open_library().collection("faces")) == 1


def test_a_creation_that_the_disk_does_not_take_leaves_nothing(
    open_library: OpenLibrary, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    disk, first = _Disk(monkeypatch), open_library()
    disk.fail(errno.EIO)
    with pytest.raises(ResourceExhaustedError):
        first.create("faces")
    disk.heal()
    assert list((tmp_path / "data" / "collections").iterdir()) == []
    first.create("faces").upsert(some_items())
    first.close()
    assert len(open_library().collection("faces")) == 3


def test_what_cannot_be_cleared_does_not_block_a_deletion(library: Library, tmp_path: Path) -> None:
    collections = tmp_path / "data" / "collections"
    library.create("faces")
    (collections / ".deleted.faces").write_text("in the way")
    library.delete("faces")
    assert [path.name for path in collections.iterdir()] == [".deleted.faces"]


def test_a_collection_whose_folder_somebody_deleted_can_be_deleted(
    library: Library, tmp_path: Path
) -> None:
    library.create("faces")
    shutil.rmtree(tmp_path / "data" / "collections" / "faces")
    library.delete("faces")
    library.create("faces").upsert(some_items())


def test_the_lock_is_let_go_on_close(open_library: OpenLibrary, tmp_path: Path) -> None:
    first = open_library()
    for _ in range(2):
        with pytest.raises(FailedPreconditionError) as caught:
            open_library()
        assert caught.value.reason == "DATA_FOLDER_IN_USE"
    first.close()
    open_library().create("faces")


def test_the_lock_is_let_go_when_opening_fails(
    open_library: OpenLibrary, tmp_path: Path, tiny_encoder_bundle: Path
) -> None:
    with pytest.raises(FailedPreconditionError) as caught:
        Library(tmp_path / "data", tmp_path / "no encoder here")
    assert caught.value.reason == "ENCODER_INVALID"
    open_library().create("faces")


@pytest.mark.parametrize("content", ["", "{", "[]", "7", '{"format": 3}', '{"other": 1}'])
def test_a_folder_of_another_format_is_refused_and_let_go(
    open_library: OpenLibrary, tmp_path: Path, content: str
) -> None:
    open_library().close()
    path = tmp_path / "data" / "format.json"
    sound = path.read_text()
    path.write_text(content)
    with pytest.raises(FailedPreconditionError) as caught:
        open_library()
    assert caught.value.reason == "DATA_FOLDER_FORMAT"
    path.write_text(sound)
    open_library().create("faces")


# Encoders


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def _edited(**changes: object) -> Callable[[Path], None]:
    def edit(bundle: Path) -> None:
        path = bundle / "manifest.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))

    return edit


_TAMPERED: dict[str, Callable[[Path], object]] = {
    "model changed": lambda bundle: _flip(bundle / "encoder.onnx"),
    "model gone": lambda bundle: (bundle / "encoder.onnx").unlink(),
    "manifest gone": lambda bundle: (bundle / "manifest.json").unlink(),
    "manifest not JSON": lambda bundle: (bundle / "manifest.json").write_text("{"),
    "other checksum": _edited(model_sha256="0" * 64),
    "other dimension": _edited(dimension=7),
    "other input size": _edited(input_size=64),
    "other format": _edited(format=99),
    "other fingerprint": _edited(fingerprint="0123456789abcdef"),
    "unknown entry": _edited(pickle="surprise"),
}


@pytest.mark.parametrize("tampering", list(_TAMPERED))
def test_a_tampered_encoder_is_refused(
    tmp_path: Path, tiny_encoder_bundle: Path, tampering: str
) -> None:
    bundle = tmp_path / "bundle"
    shutil.copytree(tiny_encoder_bundle, bundle)
    _TAMPERED[tampering](bundle)
    with pytest.raises(FailedPreconditionError) as caught:
        Library(tmp_path / "data", bundle)
    assert (caught.value.reason, caught.value.field) == ("ENCODER_INVALID", "encoder")
    assert caught.value.remedy


_TAMPERED_OR_RENAMED = {**_TAMPERED, "other name": _edited(name="other")}


@pytest.mark.parametrize("tampering", list(_TAMPERED_OR_RENAMED))
def test_the_default_encoder_is_installed_again_over_a_damaged_copy(
    open_library: OpenLibrary, tmp_path: Path, tampering: str, tiny_encoder_bundle: Path
) -> None:
    first = open_library()
    first.create("faces").upsert(some_items())
    first.close()
    (installed,) = (tmp_path / "data" / "encoders").iterdir()
    _TAMPERED_OR_RENAMED[tampering](installed)
    assert len(open_library().collection("faces")) == 3
    for path in tiny_encoder_bundle.iterdir():
        assert (installed / path.name).read_bytes() == path.read_bytes()


def test_an_encoder_in_another_ones_place_is_not_run(
    open_library: OpenLibrary, tmp_path: Path
) -> None:
    first = open_library()
    write_tiny_encoder(tmp_path / "other", name="other")
    other = first.install(tmp_path / "other").fingerprint
    first.create("faces", encoder=other).upsert(some_items())
    first.close()
    encoders = tmp_path / "data" / "encoders"
    shutil.rmtree(encoders / other)
    (tiny,) = encoders.iterdir()
    shutil.copytree(tiny, encoders / other)
    again = open_library()
    assert again.faults()["faces"].reason == "ENCODER_INVALID"
    assert again.collections() == []


def test_an_unknown_encoder_lists_those_there_are(library: Library) -> None:
    with pytest.raises(NotFoundError) as caught:
        library.create("faces", encoder="none such")
    assert caught.value.reason == "UNKNOWN_ENCODER"
    assert "tiny" in caught.value.remedy
    assert "`tashihiki serve --encoder" in caught.value.remedy
    assert library.collections() == []


def test_an_encoder_is_found_by_name_and_by_fingerprint(library: Library, tmp_path: Path) -> None:
    fingerprint = library.encoder().manifest.fingerprint
    assert library.create("a", encoder="tiny").settings.encoder == fingerprint
    assert library.create("b", encoder=fingerprint).settings.encoder == fingerprint
    other = write_tiny_encoder(tmp_path / "other", name="other")
    library.install(tmp_path / "other")
    assert library.create("c", encoder="other").settings.encoder == other.fingerprint


# Closing while others read


_DELETE_UNDER_LOAD = """
import sys, threading
from pathlib import Path
import numpy as np
from tashihiki.errors import NotFoundError
from tashihiki_server.catalogue.base import ItemRecord
from tashihiki_server.durable import sync
from tashihiki_server.library import Library

library = Library(Path(sys.argv[1]), Path(sys.argv[2]))
vector = np.eye(48, dtype=np.float32)[0]
ids = [f"i{n}" for n in range(1500)]
records = [ItemRecord(i, {"a": "b"}, {"x": "y" * 99}, vector, b"j" * 3000) for i in ids]
ends = []

def read(collection, started):
    try:
        while True:
            collection.catalogue.items(ids, thumbnails=True)
            started.release()
    except NotFoundError as error:
        ends.append(error.reason)

for _ in range(6):
    collection = library.create("busy")
    collection.upsert(records)
    started = threading.Semaphore(0)
    threads = [threading.Thread(target=read, args=(collection, started)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for _ in range(6):
        started.acquire()
    library.delete("busy")
    for thread in threads:
        thread.join()
library.close()
print(ends == ["UNKNOWN_COLLECTION"] * 36)
"""


def test_deleting_a_collection_that_is_being_read_ends_the_reads_with_an_error(
    tmp_path: Path, tiny_encoder_bundle: Path
) -> None:
    # A process of its own, so that a crash in SQLite is a failure of this test alone.
    run = subprocess.run(
        [
            sys.executable,
            "-c",
            _DELETE_UNDER_LOAD,
            str(tmp_path / "data"),
            str(tiny_encoder_bundle),
        ],
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert (run.returncode, run.stdout.strip()) == (0, "True"), run.stderr
