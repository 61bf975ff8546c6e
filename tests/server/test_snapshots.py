"""Snapshots are of one moment, whole, checked, and come back as new collections."""

from __future__ import annotations

import json
import random
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import grpc
import numpy as np
import pytest

from calls import (
    create,
    delete,
    failure,
    hit_ids,
    items,
    random_picture,
    search,
    stored_vectors,
    upsert,
    vector_item,
)
from gallery import random_vectors
from server_process import SECONDS, ServerProcess, eventually, fill_disk, small_disk
from serving import Served, serving
from tashihiki.v1 import catalog_pb2, maintenance_pb2, maintenance_pb2_grpc
from tashihiki_server.library import Library
from tiny_encoder import write_tiny_encoder

SHOP = "shop"
COUNT = 300


def _stub(served: Served | ServerProcess) -> maintenance_pb2_grpc.MaintenanceServiceStub:
    return maintenance_pb2_grpc.MaintenanceServiceStub(served.channel)


def _make(served: Served, name: str = "", collection: str = SHOP) -> maintenance_pb2.Snapshot:
    request = maintenance_pb2.CreateSnapshotRequest(collection=collection, name=name)
    responses = list(_stub(served).CreateSnapshot(request, timeout=SECONDS))
    assert not any(response.HasField("snapshot") for response in responses[:-1])
    shares = [response.done_share for response in responses]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    snapshot: maintenance_pb2.Snapshot = responses[-1].snapshot
    return snapshot


def _restore(
    served: Served, name: str, target: str, collection: str = SHOP
) -> catalog_pb2.Collection:
    request = maintenance_pb2.RestoreSnapshotRequest(
        collection=collection, name=name, target=target
    )
    responses = list(_stub(served).RestoreSnapshot(request, timeout=SECONDS))
    assert responses[-1].done_share == 1.0
    made: catalog_pb2.Collection = responses[-1].collection
    return made


def _listed(served: Served | ServerProcess, collection: str = "") -> list[str]:
    request = maintenance_pb2.ListSnapshotsRequest(collection=collection)
    return [s.name for s in _stub(served).ListSnapshots(request).snapshots]


def _delete(served: Served, name: str, collection: str = SHOP) -> None:
    request = maintenance_pb2.DeleteSnapshotRequest(collection=collection, name=name)
    _stub(served).DeleteSnapshot(request)


def _inputs(count: int = COUNT, seed: int = 5) -> list[catalog_pb2.ItemInput]:
    rows = random_vectors(count, seed)
    return [vector_item(f"i{n:04}", row, colour=f"c{n % 3}") for n, row in enumerate(rows)]


def _everything(served: Served, collection: str) -> list[bytes]:
    found = items(served, collection, page_size=1000, include_vectors=True, include_thumbnails=True)
    # Etags are of one collection.
    assert len({item.etag for item in found}) == len(found)
    for item in found:
        item.ClearField("etag")
    return [item.SerializeToString(deterministic=True) for item in found]


@pytest.fixture
def filled(served: Served) -> Served:
    create(served, SHOP, aliases=[("colour", "rouge", "c0")])
    upsert(served, SHOP, _inputs())
    picture = catalog_pb2.ItemInput(id="picture", image=random_picture(1)[1])
    picture.metadata.update({"price": 3})
    upsert(served, SHOP, [picture])
    return served


def test_a_restored_collection_is_what_the_first_one_was(filled: Served, tmp_path: Path) -> None:
    before = _everything(filled, SHOP)
    snapshot = _make(filled, "one")
    assert (snapshot.collection, snapshot.name, snapshot.item_count) == (SHOP, "one", COUNT + 1)
    assert snapshot.encoder == filled.library.encoder().manifest.fingerprint
    folder = tmp_path / "data" / "snapshots" / SHOP / "one"
    sizes = {path.name: path.stat().st_size for path in folder.iterdir()}
    assert sizes.keys() == {"catalogue.sqlite3", "collection.json", "manifest.json"}
    assert snapshot.size_bytes == sum(sizes.values()) - sizes["manifest.json"]
    # What comes after is not in it.
    upsert(filled, SHOP, _inputs(150, seed=6))
    delete(filled, SHOP, *(f"i{n:04}" for n in range(100)))
    made = _restore(filled, "one", "again")
    assert (made.name, made.item_count) == ("again", COUNT + 1)
    assert _everything(filled, "again") == before
    etags = [{item.etag for item in items(filled, name)} for name in (SHOP, "again")]
    assert etags[0].isdisjoint(etags[1])
    assert hit_ids(search(filled, "again", "rouge", limit=3)) != []
    (first,) = [item for item in items(filled, "again") if item.id == "i0000"]
    upsert(filled, "again", [catalog_pb2.ItemInput(id="i0000", attributes={"colour": "c1"})])
    assert items(filled, "again")[0].etag != first.etag
    assert len(_everything(filled, SHOP)) == COUNT + 1 - 100


def test_snapshots_are_listed_by_collection_and_time(filled: Served, tmp_path: Path) -> None:
    create(filled, "bazaar")
    for name, collection in (("z", SHOP), ("a", SHOP), ("m", "bazaar")):
        _make(filled, name, collection)
        time.sleep(0.01)
    assert _listed(filled) == ["m", "z", "a"]
    assert _listed(filled, SHOP) == ["z", "a"]
    assert _listed(filled, "none such") == []
    filled.catalog.DeleteCollection(catalog_pb2.DeleteCollectionRequest(name=SHOP))
    assert _listed(filled, SHOP) == ["z", "a"]
    _restore(filled, "a", SHOP)
    assert len(_everything(filled, SHOP)) == COUNT + 1
    _delete(filled, "z")
    _delete(filled, "a")
    assert _listed(filled) == ["m"]
    assert not (tmp_path / "data" / "snapshots" / SHOP).exists()


def test_a_snapshot_without_a_name_is_called_after_its_time(filled: Served) -> None:
    names = [_make(filled).name for _ in range(3)]
    assert all(re.fullmatch(r"\d{8}-\d{6}(-\d+)?", name) for name in names)
    assert len(set(names)) == 3
    assert sorted(_listed(filled)) == sorted(names)


def test_what_is_refused(filled: Served, tmp_path: Path) -> None:
    _make(filled, "one")
    cases: list[tuple[Callable[[], object], str, str]] = [
        (lambda: _make(filled, "one"), "SNAPSHOT_EXISTS", "name"),
        (lambda: _make(filled, "../x"), "NAME_INVALID", "name"),
        (lambda: _make(filled, "x", "none-such"), "UNKNOWN_COLLECTION", "collection"),
        (lambda: _restore(filled, "two", "x"), "UNKNOWN_SNAPSHOT", "name"),
        (lambda: _restore(filled, "..", "x"), "UNKNOWN_SNAPSHOT", "name"),
        (lambda: _restore(filled, "one", "x", ".."), "UNKNOWN_SNAPSHOT", "name"),
        (lambda: _restore(filled, "one", SHOP), "COLLECTION_EXISTS", "target"),
        (lambda: _restore(filled, "one", "A b"), "NAME_INVALID", "target"),
        (lambda: _delete(filled, "two"), "UNKNOWN_SNAPSHOT", "name"),
        (lambda: _delete(filled, "one", "../collections"), "UNKNOWN_SNAPSHOT", "name"),
    ]
    for call, reason, field in cases:
        failed = failure(call)
        assert (failed.reason, failed.field) == (reason, field)
        assert failed.remedy
    assert _listed(filled) == ["one"]
    assert [path.name for path in (tmp_path / "data" / "collections").iterdir()] == [SHOP]


def _edit_manifest(folder: Path) -> None:
    path = folder / "manifest.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "item_count": 7}))


def _flip(name: str, share: float, folder: Path) -> None:
    path = folder / name
    content = bytearray(path.read_bytes())
    content[int(share * (len(content) - 1))] ^= 4
    path.write_bytes(content)


_DAMAGES: dict[str, Callable[[Path], object]] = {
    **{
        f"{name}, a bit at {share}": partial(_flip, name, share)
        for name in ("catalogue.sqlite3", "collection.json", "manifest.json")
        for share in (0.0, 0.4, 0.9)
    },
    "catalogue cut": lambda f: (f / "catalogue.sqlite3").write_bytes(b""),
    "catalogue gone": lambda f: (f / "catalogue.sqlite3").unlink(),
    "settings gone": lambda f: (f / "collection.json").unlink(),
    "manifest gone": lambda f: (f / "manifest.json").unlink(),
    "manifest of another": _edit_manifest,
}


def test_a_damaged_snapshot_is_not_restored(filled: Served, tmp_path: Path) -> None:
    _make(filled, "one")
    folder = tmp_path / "data" / "snapshots" / SHOP / "one"
    sound = folder.with_name("sound")
    shutil.copytree(folder, sound)
    for name, harm in _DAMAGES.items():
        shutil.rmtree(folder)
        shutil.copytree(sound, folder)
        harm(folder)
        failed = failure(lambda: _restore(filled, "one", "again"))
        assert (failed.code, failed.reason) == (
            grpc.StatusCode.FAILED_PRECONDITION,
            "SNAPSHOT_DAMAGED",
        ), name
        assert [p.name for p in (tmp_path / "data" / "collections").iterdir()] == [SHOP], name
    _delete(filled, "one")
    # A copy under another name does not pass for a snapshot of that name.
    assert _listed(filled) == []
    assert failure(lambda: _restore(filled, "sound", "again")).reason == "SNAPSHOT_DAMAGED"


def test_a_snapshot_of_an_encoder_that_is_gone_waits_for_it(
    tmp_path: Path, tiny_encoder_bundle: Path
) -> None:
    data = tmp_path / "data"
    other = write_tiny_encoder(tmp_path / "other", name="other").fingerprint
    with closing(Library(data, tiny_encoder_bundle, further=[tmp_path / "other"])) as library:
        library.create(SHOP, encoder=other)
        library.snapshot(SHOP, "one")
        library.delete(SHOP)
    shutil.rmtree(data / "encoders" / other)
    with (
        closing(Library(data, tiny_encoder_bundle)) as library,
        serving(library) as served,
    ):
        failed = failure(lambda: _restore(served, "one", SHOP))
        assert (failed.code, failed.reason) == (
            grpc.StatusCode.FAILED_PRECONDITION,
            "UNKNOWN_ENCODER",
        )
        library.install(tmp_path / "other")
        assert _restore(served, "one", SHOP).encoder == other


def test_snapshots_under_writes_are_each_of_one_moment(filled: Served) -> None:
    """Every request writes the same number to all items, so a mixture would show two."""
    rows = random_vectors(50, 9)
    stop = threading.Event()
    faults: list[BaseException] = []

    def write() -> None:
        try:
            for turn in range(100_000):
                if stop.is_set():
                    return
                batch = [vector_item(f"i{n}", row, turn=f"{turn}") for n, row in enumerate(rows)]
                upsert(filled, "busy", batch)
        except BaseException as error:
            faults.append(error)

    create(filled, "busy")
    upsert(filled, "busy", [vector_item(f"i{n}", row, turn="0") for n, row in enumerate(rows)])
    writer = threading.Thread(target=write)
    writer.start()
    try:
        for number in range(6):
            _make(filled, f"s{number}", "busy")
    finally:
        stop.set()
        writer.join()
    assert faults == []
    seen = []
    for number in range(6):
        _restore(filled, f"s{number}", f"r{number}", "busy")
        found = items(filled, f"r{number}", page_size=1000)
        (turn,) = {item.attributes["turn"] for item in found}
        assert len(found) == len(rows)
        seen.append(int(turn))
    assert seen == sorted(seen)
    assert seen[-1] > seen[0]


def test_a_caller_who_leaves_leaves_nothing_half_done(filled: Served, tmp_path: Path) -> None:
    for seed in (2, 3, 4):
        rows = random_vectors(1000, seed)
        upsert(filled, SHOP, [vector_item(f"{seed}-{n}", row) for n, row in enumerate(rows)])
    stub, data = _stub(filled), tmp_path / "data"
    snapshot = maintenance_pb2.CreateSnapshotRequest(collection=SHOP, name="one")
    making = stub.CreateSnapshot(snapshot)
    next(making)
    making.cancel()
    eventually(lambda: not any(_hidden(data / "snapshots")), "an end")
    if not _listed(filled):
        _make(filled, "one")
    restore = maintenance_pb2.RestoreSnapshotRequest(collection=SHOP, name="one", target="x")
    restoring = stub.RestoreSnapshot(restore)
    next(restoring)
    restoring.cancel()
    eventually(lambda: not any(_hidden(data / "collections")), "an end")
    if "x" not in filled.library:
        _restore(filled, "one", "x")
    assert len(filled.library.collection("x")) == COUNT + 1 + 3000


def test_kill_9_leaves_whole_snapshots_and_whole_collections_or_none(
    tmp_path: Path, tiny_encoder_bundle: Path
) -> None:
    data = tmp_path / "data"
    dice = random.Random(3)
    vectors = {f"i{n}": row for n, row in enumerate(random_vectors(500, 4))}
    with closing(Library(data, tiny_encoder_bundle)) as library, serving(library) as served:
        create(served, SHOP)
        upsert(served, SHOP, [vector_item(name, row, a="b") for name, row in vectors.items()])
        library.snapshot(SHOP, "kept")
    for turn in range(2):
        server = ServerProcess(data, tiny_encoder_bundle)
        doing = threading.Thread(target=_copy_until_it_dies, args=(server, turn))
        doing.start()
        time.sleep(dice.uniform(0.0, 0.5))
        server.kill()
        doing.join(SECONDS)
        assert not doing.is_alive()
        with closing(Library(data, tiny_encoder_bundle)) as library, serving(library) as served:
            assert library.faults() == {}
            snapshots = _listed(served, SHOP)
            assert "kept" in snapshots
            # The last ones are those that the kill came near to.
            for name in snapshots[-3:]:
                if f"r-{name}" not in library:
                    _restore(served, name, f"r-{name}")
            for name in snapshots:
                if name != "kept":
                    _delete(served, name)
            for collection in library.collections():
                name = collection.settings.name
                found = stored_vectors(served, name)
                assert found.keys() == vectors.keys()
                for identifier in dice.sample(sorted(vectors), 5):
                    np.testing.assert_allclose(found[identifier], vectors[identifier], atol=1e-6)
                if name != SHOP:
                    library.delete(name)
            left = [p for folder in ("collections", "snapshots") for p in _hidden(data / folder)]
            assert left == []


def _copy_until_it_dies(server: ServerProcess, turn: int) -> None:
    stub = _stub(server)
    try:
        for number in range(10_000):
            name = f"t{turn}-{number}"
            list(
                stub.CreateSnapshot(
                    maintenance_pb2.CreateSnapshotRequest(collection=SHOP, name=name)
                )
            )
            list(
                stub.RestoreSnapshot(
                    maintenance_pb2.RestoreSnapshotRequest(
                        collection=SHOP, name=name, target=f"r-{name}"
                    )
                )
            )
    except grpc.RpcError:
        pass


def _hidden(folder: Path) -> Iterator[Path]:
    return folder.rglob(".*")


def test_without_room_a_snapshot_is_refused_and_the_collection_serves(
    tmp_path: Path, tiny_encoder_bundle: Path
) -> None:
    with (
        small_disk(tmp_path / "disk", "size=6m") as disk,
        closing(Library(disk / "data", tiny_encoder_bundle)) as library,
        serving(library) as served,
    ):
        create(served, SHOP)
        upsert(served, SHOP, _inputs(200))
        filler = fill_disk(disk, leave=200_000)
        failed = failure(lambda: _make(served, "one"))
        assert (failed.code, failed.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "DISK_FULL")
        assert list((disk / "data").glob("snapshots/**/*")) == []
        assert len(items(served, SHOP, page_size=1000)) == 200
        filler.unlink()
        _make(served, "one")
        filler = fill_disk(disk, leave=200_000)
        assert failure(lambda: _restore(served, "one", "x")).reason == "DISK_FULL"
        assert [p.name for p in (disk / "data" / "collections").iterdir()] == [SHOP]
        assert "x" not in library
        filler.unlink()
        _restore(served, "one", "x")
