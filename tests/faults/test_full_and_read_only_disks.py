"""Disks that take nothing more, at every kind of work: a clear refusal, and right answers."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import numpy as np
import pytest

from contents import everything, is_nearest_to_itself
from kills import create, in_force, send
from ledger import Contents, random_content, same
from server_process import (
    SECONDS,
    ServerProcess,
    eventually,
    fill_disk,
    fitter,
    running,
    serve_to_the_end,
    small_disk,
)
from tashihiki.errors import TashihikiError
from tashihiki.status import from_rpc_error
from tashihiki.v1 import catalog_pb2, maintenance_pb2, maintenance_pb2_grpc

SHOP = "shop"
NOT_FITTED = "could not be fitted"
SUM, FACTORED = catalog_pb2.SPACE_KIND_SUM, catalog_pb2.SPACE_KIND_FACTORED


def some_items(count: int, seed: int) -> Contents:
    dice = np.random.default_rng(seed)
    return {
        f"s{seed}-{n}": random_content(dice, colour=f"c{n % 3}", shape=f"s{n % 2}")
        for n in range(count)
    }


def refusal(call: Callable[[], object]) -> TashihikiError:
    with pytest.raises(grpc.RpcError) as caught:
        call()
    return from_rpc_error(caught.value)


def assert_disk_full(error: TashihikiError) -> None:
    assert (error.code, error.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "DISK_FULL")
    assert error.remedy


def assert_serves(server: ServerProcess, contents: Contents) -> None:
    assert same(everything(server, SHOP), contents)
    for name in list(contents)[::60]:
        assert is_nearest_to_itself(server, SHOP, name, contents[name])


def fill_up(server: ServerProcess, contents: Contents, seed: int) -> TashihikiError:
    """Upserts until the server refuses; what it took is in `contents` then."""
    for turn in range(10_000):
        batch = some_items(100, seed + turn)
        try:
            send(server, batch)
        except grpc.RpcError as error:
            return from_rpc_error(error)
        contents.update(batch)
    raise AssertionError("the disk never filled")


@pytest.mark.parametrize("kind", [SUM, FACTORED], ids=["sum", "factored"])
def test_a_disk_that_fills_up_while_everything_goes_on(
    tmp_path: Path, tiny_encoder_bundle: Path, kind: catalog_pb2.SpaceKind.ValueType
) -> None:
    """Indexes are folded and spaces fitted meanwhile; whichever meets the end of the disk."""
    contents: Contents = {}
    with small_disk(tmp_path / "disk", "size=5m") as disk:
        with running(disk / "data", tiny_encoder_bundle) as server:
            create(server, SHOP, kind)
            assert_disk_full(fill_up(server, contents, 0))
            assert_serves(server, contents)
            filler = fill_disk(disk)
            # An index that is swapped out gives room for a moment.
            eventually(lambda: _refuses(server, contents), "a refusal")
            assert_serves(server, contents)
            filler.unlink()
            server.kill()
        with running(disk / "data", tiny_encoder_bundle) as server:
            assert_serves(server, contents)


def _refuses(server: ServerProcess, contents: Contents) -> bool:
    batch = some_items(100, 20_000 + len(contents))
    try:
        send(server, batch)
    except grpc.RpcError as error:
        assert_disk_full(from_rpc_error(error))
        return True
    contents.update(batch)
    return False


def test_a_fit_without_room_leaves_the_sum_and_comes_later(
    tmp_path: Path, tiny_encoder_bundle: Path
) -> None:
    with small_disk(tmp_path / "disk", "size=8m") as disk:
        contents = some_items(200, 1)
        with running(disk / "data", tiny_encoder_bundle) as server:
            create(server, SHOP, FACTORED)
            send(server, contents)
            # Stopped before it has written anything.
            fitting = fitter(server.process.pid)
            fitting.suspend()
            filler = fill_disk(disk)
            fitting.resume()
            eventually(lambda: NOT_FITTED in server.log, "a line in the log")
            assert_serves(server, contents)
            filler.unlink()
        # A start begins at once what the server waits for the time to try again.
        with running(disk / "data", tiny_encoder_bundle) as server:
            eventually(lambda: in_force(server, SHOP).space_in_force == FACTORED, "a fit")
            assert_serves(server, contents)


@pytest.fixture
def roomy(tmp_path: Path) -> Iterator[Path]:
    """A disk with room for a collection and its snapshot."""
    with small_disk(tmp_path / "disk", "size=12m") as disk:
        yield disk


def test_a_snapshot_without_room_leaves_nothing(roomy: Path, tiny_encoder_bundle: Path) -> None:
    contents = some_items(1000, 2)
    with running(roomy / "data", tiny_encoder_bundle) as server:
        create(server, SHOP, SUM)
        for start in range(0, 1000, 100):
            send(server, dict(list(contents.items())[start : start + 100]))
        eventually(lambda: not in_force(server, SHOP).index.pending, "the index")
        filler = fill_disk(roomy, leave=100_000)
        before = _files(roomy / "data" / "snapshots")
        assert_disk_full(refusal(lambda: _make_snapshot(server, "one")))
        assert _snapshots(server) == []
        assert _files(roomy / "data" / "snapshots") == before
        assert_serves(server, contents)
        filler.unlink()
        _make_snapshot(server, "one")
        assert _snapshots(server) == ["one"]
        filler = fill_disk(roomy, leave=100_000)
        assert_disk_full(refusal(lambda: _restore(server)))
        listed = server.catalog.ListCollections(catalog_pb2.ListCollectionsRequest())
        assert [collection.name for collection in listed.collections] == [SHOP]
        filler.unlink()
        _restore(server)
        assert same(everything(server, "again"), contents)


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _make_snapshot(server: ServerProcess, name: str) -> None:
    stub = maintenance_pb2_grpc.MaintenanceServiceStub(server.channel)
    request = maintenance_pb2.CreateSnapshotRequest(collection=SHOP, name=name)
    list(stub.CreateSnapshot(request, timeout=SECONDS))


def _restore(server: ServerProcess) -> None:
    stub = maintenance_pb2_grpc.MaintenanceServiceStub(server.channel)
    request = maintenance_pb2.RestoreSnapshotRequest(collection=SHOP, name="one", target="again")
    list(stub.RestoreSnapshot(request, timeout=SECONDS))


def _snapshots(server: ServerProcess) -> list[str]:
    stub = maintenance_pb2_grpc.MaintenanceServiceStub(server.channel)
    request = maintenance_pb2.ListSnapshotsRequest(collection=SHOP)
    return [s.name for s in stub.ListSnapshots(request, timeout=SECONDS).snapshots]


def test_a_read_only_folder_is_a_clear_error_at_the_start(
    tmp_path: Path, tiny_encoder_bundle: Path
) -> None:
    with small_disk(tmp_path / "disk", "size=8m") as disk:
        with running(disk / "data", tiny_encoder_bundle) as server:
            create(server, SHOP, SUM)
            send(server, some_items(3, 5))
        assert _turns(disk, "ro")
        ended = serve_to_the_end(disk / "data", tiny_encoder_bundle)
        assert ended.returncode == 1
        assert "Read-only file system" in ended.stderr
        assert "Traceback" not in ended.stderr


def _turns(disk: Path, how: str) -> bool:
    """Mounts the disk anew."""
    command = ["mount", "-o", f"remount,{how}", str(disk)]
    return subprocess.run(command, capture_output=True).returncode == 0
