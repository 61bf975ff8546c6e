"""Nothing that one history of a catalogue left behind is taken for another's."""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

import grpc
import numpy as np
import pytest

from calls import Floats, create, search, term, vector, vector_item
from gallery import random_vectors
from item_records import DATABASE, WITNESS, opened, random_record
from server.test_catalogue_migration import write_first
from serving import Served, serving
from tashihiki.v1 import catalog_pb2
from tashihiki_server.index.generation import open_latest
from tashihiki_server.library import Library
from tashihiki_server.verification import Finding, verify

NAME = "shop"
COUNT = 400
CHANGED = 40


@contextmanager
def _served(data: Path, bundle: Path) -> Iterator[Served]:
    with closing(Library(data, bundle)) as library, serving(library) as served:
        yield served


def _put(
    served: Served, rows: Floats, name: str = NAME, *, etag: str = "", request_id: str = ""
) -> list[str]:
    items = [vector_item(f"i{number}", row) for number, row in enumerate(rows)]
    items[0].etag = etag
    request = catalog_pb2.UpsertItemsRequest(collection=name, items=items, request_id=request_id)
    return list(served.catalog.UpsertItems(request).etags)


def _refused(call: Callable[[], object]) -> grpc.StatusCode:
    with pytest.raises(grpc.RpcError) as caught:
        call()
    code: grpc.StatusCode = caught.value.code()
    return code


def test_an_index_of_discarded_writes_is_not_opened(
    tmp_path: Path, tiny_encoder_bundle: Path
) -> None:
    data, folder = tmp_path / "data", tmp_path / "data" / "collections" / NAME
    first, discarded, kept = (random_vectors(COUNT, seed) for seed in range(3))
    with _served(data, tiny_encoder_bundle) as served:
        create(served, NAME)
        _put(served, first)
        served.library.collection(NAME).settle()
    shutil.copy(folder / DATABASE, tmp_path / "older")
    with _served(data, tiny_encoder_bundle) as served:
        (etag, *_) = _put(served, discarded[:CHANGED])
        served.library.collection(NAME).settle()
    shutil.copy(tmp_path / "older", folder / DATABASE)
    (folder / WITNESS).unlink()
    truth = np.concatenate([kept[:CHANGED], first[CHANGED:]])
    for start in range(2):
        with _served(data, tiny_encoder_bundle) as served:
            if not start:
                _put(served, kept[:CHANGED])
            again = partial(_put, served, first[:1], etag=etag)
            assert _refused(again) == grpc.StatusCode.ABORTED
            for query in (*kept[:5], *discarded[:5]):
                (hit,) = search(served, NAME, [term(vector=vector(query))], limit=1).hits
                assert hit.id == f"i{int(np.argmax(truth @ query))}"
                assert hit.similarity == pytest.approx(float(np.max(truth @ query)), abs=1e-5)


def test_an_etag_of_a_deleted_collection_is_of_none_of_its_name(
    tmp_path: Path, tiny_encoder_bundle: Path
) -> None:
    rows = random_vectors(3, 0)
    with _served(tmp_path / "data", tiny_encoder_bundle) as served:
        create(served, NAME)
        (etag,) = _put(served, rows[:1])
        served.catalog.DeleteCollection(catalog_pb2.DeleteCollectionRequest(name=NAME))
        create(served, NAME)
        (other,) = _put(served, rows[1:2])
        assert other != etag
        assert _refused(lambda: _put(served, rows[2:], etag=etag)) == grpc.StatusCode.ABORTED
        _put(served, rows[2:], etag=other)


def test_a_restored_snapshot_has_etags_and_requests_of_its_own(
    tmp_path: Path, tiny_encoder_bundle: Path
) -> None:
    rows = random_vectors(4, 0)
    with _served(tmp_path / "data", tiny_encoder_bundle) as served:
        create(served, NAME)
        _put(served, rows[:1], request_id="batch")
        served.library.snapshot(NAME, "one")
        (etag,) = _put(served, rows[1:2])
        served.catalog.DeleteCollection(catalog_pb2.DeleteCollectionRequest(name=NAME))
        restored = served.library.restore(NAME, "one", NAME)
        (before,) = restored.catalogue.items(["i0"]).values()
        # Another request of the same id is carried out, and not refused.
        (again,) = _put(served, rows[2:3], request_id="batch")
        assert again not in (etag, before.etag)
        assert _refused(lambda: _put(served, rows[3:], etag=etag)) == grpc.StatusCode.ABORTED
        _put(served, rows[3:], etag=again)


def test_a_lineage_stays_until_the_witness_is_gone(tmp_path: Path) -> None:
    dice = np.random.default_rng(0)
    with closing(opened(tmp_path, 8)) as catalogue:
        lineage = catalogue.lineage
        assert len(bytes.fromhex(lineage)) == 8
        catalogue.upsert([random_record(dice, "a", 8)])
        catalogue.backup(tmp_path / "copy", lambda share: None)
    with closing(opened(tmp_path, 8)) as catalogue:
        assert catalogue.lineage == lineage
    (tmp_path / WITNESS).unlink()
    found = {lineage}
    with closing(opened(tmp_path, 8)) as catalogue:
        found.add(catalogue.lineage)
    with closing(opened(tmp_path, 8)) as catalogue:
        assert catalogue.lineage in found - {lineage}
        catalogue.begin_history()
        found.add(catalogue.lineage)
    assert len(found) == 3


def test_an_index_newer_than_the_catalogue_is_refused(
    tmp_path: Path, tiny_encoder_bundle: Path
) -> None:
    with _served(tmp_path / "data", tiny_encoder_bundle) as served:
        create(served, NAME)
        _put(served, random_vectors(COUNT, 0))
        collection = served.library.collection(NAME)
        collection.settle()
        identity = collection.state.identity
    (folder,) = (tmp_path / "data").glob("collections/*/derived/*/generations/[0-9]*")
    number = int(folder.name)
    assert open_latest(folder.parent, identity, number) is not None
    assert open_latest(folder.parent, identity, number - 1) is None


# verify


def _everything(root: Path) -> dict[str, tuple[str, int]]:
    """Content and time of every file, but for the lock that verify holds."""
    return {
        path.relative_to(root).as_posix(): (
            hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "",
            path.stat().st_mtime_ns if path.is_file() else 0,
        )
        for path in root.rglob("*")
        if path.name != "lock"
    }


def _verified(data: Path) -> dict[str, Finding]:
    before = _everything(data)
    findings = verify(data)
    assert _everything(data) == before
    return {finding.part: finding for finding in findings}


@pytest.fixture
def cut_off(tmp_path: Path, tiny_encoder_bundle: Path) -> Path:
    """A data folder as a kill leaves it: all that was written is in the log."""
    data, copy = tmp_path / "data", tmp_path / "copy"
    with _served(data, tiny_encoder_bundle) as served:
        create(served, NAME)
        _put(served, random_vectors(5, 0))
        shutil.copytree(data, copy)
    assert (copy / "collections" / NAME / f"{DATABASE}-wal").stat().st_size
    return copy


@pytest.mark.parametrize("index", ["there", "gone"])
@pytest.mark.parametrize("linked", [True, False])
def test_verify_writes_nothing_beside_a_log(
    cut_off: Path, index: str, linked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if index == "gone":
        (cut_off / "collections" / NAME / f"{DATABASE}-shm").unlink()
    if not linked:

        def refused(*paths: object) -> None:
            raise OSError("no links here")

        monkeypatch.setattr(os, "link", refused)
    found = _verified(cut_off)
    assert {finding.state for finding in found.values()} == {"sound"}
    assert found[f"collections/{NAME}"].fact.startswith("5 items")


@pytest.mark.parametrize("content", [None, b"", bytes(20)])
def test_verify_tells_of_a_witness_and_leaves_it(cut_off: Path, content: bytes | None) -> None:
    witness = cut_off / "collections" / NAME / WITNESS
    if content is None:
        witness.unlink()
    else:
        witness.write_bytes(content)
    finding = _verified(cut_off)[f"collections/{NAME}/{WITNESS}"]
    assert (finding.state, finding.meaning) == ("mendable", "lost writes would not be noticed")


def test_verify_leaves_an_older_catalogue_as_it_is(cut_off: Path) -> None:
    folder = cut_off / "collections" / NAME
    for left in folder.glob("catalogue.*"):
        left.unlink()
    contents, _ = write_first(folder)
    finding = _verified(cut_off)[f"collections/{NAME}"]
    assert finding.state == "sound"
    assert finding.fact == f"{len(contents):,} items; it is brought up to date at the next start"
    with closing(sqlite3.connect(folder / DATABASE)) as database:
        database.execute("DELETE FROM embeddings WHERE version = 7")
        database.commit()
    assert _verified(cut_off)[f"collections/{NAME}"].state == "damaged"
