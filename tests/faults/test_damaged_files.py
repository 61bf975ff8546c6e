"""Every file of a data folder, one at a time: cut, flipped or gone.

The server then answers as it did before or says what is wrong with that collection, and the
others answer. The folder is as a kill leaves it, so the catalogue's log holds writes too.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import numpy as np
import pytest

from calls import random_picture
from contents import around, every_item, is_nearest_to_itself, is_ranking, ranking
from kills import create, drop, in_force, remove, send
from ledger import Content, Contents, content_of, random_content
from server_process import SECONDS, RefusedStartError, ServerProcess, eventually
from tashihiki.errors import TashihikiError
from tashihiki.status import from_rpc_error
from tashihiki.v1 import catalog_pb2, maintenance_pb2, maintenance_pb2_grpc

GOODS, STYLED, SMALL = "goods", "styled", "small"
COLLECTIONS = (GOODS, STYLED, SMALL)
SNAPSHOT = "first"
RESTORED = "restored"
COUNT = 300
PICTURES = 12
# Files of the folder itself; the server may refuse to start without them, in words.
SHARED = ("format.json", "encoders", "lock")


@dataclass
class Known:
    """What the clients know of a collection.

    Attributes:
        contents: its items.
        removed: items that must not be hits.
        thumbnails: that the server made.
    """

    contents: Contents = field(default_factory=dict)
    removed: dict[str, Content] = field(default_factory=dict)
    thumbnails: dict[str, bytes] = field(default_factory=dict)


@dataclass
class Folder:
    """A sound data folder."""

    path: Path
    bundle: Path
    known: dict[str, Known]
    snapshot: Contents


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory, tiny_encoder_bundle: Path) -> Folder:
    """With an index, a factored space and a snapshot; killed after its last write."""
    path = tmp_path_factory.mktemp("sound") / "data"
    dice = np.random.default_rng(5)
    known = {name: Known() for name in COLLECTIONS}
    server = ServerProcess(path, tiny_encoder_bundle)
    for name, kind in (
        (GOODS, catalog_pb2.SPACE_KIND_SUM),
        (STYLED, catalog_pb2.SPACE_KIND_FACTORED),
        (SMALL, catalog_pb2.SPACE_KIND_SUM),
    ):
        create(server, name, kind)
        count = 20 if name == SMALL else COUNT
        known[name].contents = {
            f"i{n}": random_content(dice, colour=f"c{n % 4}", shape=f"s{n % 3}")
            for n in range(count)
        }
        send(server, known[name].contents, name)
    _send_pictures(server)
    space = catalog_pb2.SPACE_KIND_FACTORED
    eventually(lambda: in_force(server, STYLED).space_in_force == space, "a fit")
    for name in (GOODS, STYLED):
        derived = path / "collections" / name / "derived"
        eventually(lambda d=derived: bool(list(d.glob("*/generations/[0-9]*"))), "an index")  # type: ignore[misc]
        # Of the space in force; what a build under way has written is no part of the folder.
        eventually(lambda n=name: not in_force(server, n).index.pending, "the last index")  # type: ignore[misc]
    snapshot = _contents(server, GOODS)
    _make_snapshot(server)
    server.stop()
    server = ServerProcess(path, tiny_encoder_bundle)
    for name in COLLECTIONS:
        _write_a_little(server, name, known[name], dice)
    for name in COLLECTIONS:
        items = every_item(server, name)
        known[name].contents = {item.id: content_of(item) for item in items}
        known[name].thumbnails = {item.id: item.thumbnail for item in items if item.thumbnail}
    assert len(known[GOODS].thumbnails) == PICTURES
    server.kill()
    (path / "lock").write_text("")
    return Folder(path, tiny_encoder_bundle, known, snapshot)


def _send_pictures(server: ServerProcess) -> None:
    items = [
        catalog_pb2.ItemInput(id=f"p{n}", image=random_picture(n)[1], attributes={"colour": "p"})
        for n in range(PICTURES)
    ]
    server.catalog.UpsertItems(
        catalog_pb2.UpsertItemsRequest(collection=GOODS, items=items), timeout=SECONDS
    )


def _make_snapshot(server: ServerProcess) -> None:
    stub = maintenance_pb2_grpc.MaintenanceServiceStub(server.channel)
    request = maintenance_pb2.CreateSnapshotRequest(collection=GOODS, name=SNAPSHOT)
    list(stub.CreateSnapshot(request, timeout=SECONDS))


def _write_a_little(
    server: ServerProcess, name: str, known: Known, dice: np.random.Generator
) -> None:
    batch = {f"i{n}": random_content(dice, colour="late", shape="s0") for n in range(3)}
    doomed = [f"i{n}" for n in range(5, 9)]
    send(server, batch, name)
    remove(server, doomed, name)
    known.removed = {identifier: known.contents[identifier] for identifier in doomed}


def _contents(server: ServerProcess, name: str) -> Contents:
    return {item.id: content_of(item) for item in every_item(server, name)}


# Damage


def _empty(path: Path, dice: np.random.Generator) -> None:
    os.truncate(path, 0)


def _halve(path: Path, dice: np.random.Generator) -> None:
    os.truncate(path, path.stat().st_size // 2)


def _flip(path: Path, dice: np.random.Generator) -> None:
    content = bytearray(path.read_bytes())
    content[int(dice.integers(len(content)))] ^= 1 << int(dice.integers(8))
    path.write_bytes(content)


def _flip_early(path: Path, dice: np.random.Generator) -> None:
    content = bytearray(path.read_bytes())
    content[int(dice.integers(min(len(content), 64)))] ^= 1 << int(dice.integers(8))
    path.write_bytes(content)


def _remove(path: Path, dice: np.random.Generator) -> None:
    path.unlink()


Damage = Callable[[Path, np.random.Generator], None]
DAMAGES: tuple[Damage, ...] = (_empty, _halve, _flip, _flip_early, _remove)
# Of a large file; each flip is somewhere else.
FLIPS = 4
LARGE = 1 << 16


def _cases(sound: Folder, damage: Damage, everything: bool) -> Iterator[tuple[str, int]]:
    """Files and seeds: every file for every damage, or a fifth of them for each."""
    files = sorted(p for p in sound.path.rglob("*") if p.is_file() and p.stat().st_size)
    for n, path in enumerate(files):
        name = str(path.relative_to(sound.path))
        if everything:
            flips = FLIPS if damage is _flip and path.stat().st_size > LARGE else 1
            yield from ((name, 1000 * n + flip) for flip in range(flips))
        elif (n + DAMAGES.index(damage)) % len(DAMAGES) == 0:
            yield name, n


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_gives_right_answers_or_a_clear_error(
    sound: Folder, tmp_path: Path, damage: Damage, request: pytest.FixtureRequest
) -> None:
    every = bool(request.config.getoption("--every-damage", default=False))
    cases = list(_cases(sound, damage, every))
    assert cases

    def try_one(number: int) -> list[str]:
        name, seed = cases[number]
        where = tmp_path / f"{number}"
        where.mkdir()
        try:
            return _faults_after(sound, where, name, damage, seed, again=every)
        finally:
            shutil.rmtree(where)

    with ThreadPoolExecutor(2) as pool:
        found = [fault for faults in pool.map(try_one, range(len(cases))) for fault in faults]
    assert not found, "\n".join(found)


def _faults_after(
    sound: Folder, where: Path, name: str, damage: Damage, seed: int, *, again: bool
) -> list[str]:
    """What is wrong with the answers after a damage, in words."""
    data = where / "data"
    shutil.copytree(sound.path, data)
    damage(data / name, np.random.default_rng(seed))
    what = f"{name}{damage.__name__.replace('_', ' ')} ({seed})"
    faults = []
    # A second start must not do worse than the first.
    for turn in range(2 if again else 1):
        label = f"{what}, start {turn + 1}"
        try:
            with _started(data, sound.bundle) as server:
                faults += [f"{label}: {fault}" for fault in _faults(server, sound, name)]
        except RefusedStartError as error:
            clear = error.status == 1 and "Traceback" not in error.log and "error: " in error.log
            if not name.startswith(SHARED) or not clear:
                faults.append(f"{label}: {error}")
    return faults


@contextmanager
def _started(data: Path, bundle: Path) -> Iterator[ServerProcess]:
    server = ServerProcess(data, bundle)
    try:
        yield server
        alive = server.process.poll()
        assert alive is None, f"the server has ended: {alive}"
    finally:
        status = server.stop()
    assert status == 0, f"exit status {status}: {server.log[-600:]}"


def _faults(server: ServerProcess, sound: Folder, damaged: str) -> Iterator[str]:
    for name, known in sound.known.items():
        mine = damaged.startswith(f"collections/{name}/")
        try:
            yield from (f"{name}: {fault}" for fault in _wrong_answers(server, name, known))
        except grpc.RpcError as error:
            problem = from_rpc_error(error)
            if not (mine and _is_clear(problem)):
                yield f"{name}: {problem.code} {problem.reason}: {problem}"
    if not damaged.startswith("collections/"):
        yield from _snapshot_faults(server, sound, damaged.startswith("snapshots/"))


def _is_clear(problem: TashihikiError) -> bool:
    """Names a reason that is of the data and what to do."""
    return problem.code is grpc.StatusCode.FAILED_PRECONDITION and bool(
        problem.reason and problem.remedy
    )


def _wrong_answers(server: ServerProcess, name: str, known: Known) -> Iterator[str]:
    items = every_item(server, name)
    found = {item.id: content_of(item) for item in items}
    # Read from the same file, so that not even the last bit may differ.
    if found != known.contents:
        yield f"the items differ: {_difference(found, known.contents)}"
    if {item.id: item.thumbnail for item in items if item.thumbnail} != known.thumbnails:
        yield "the thumbnails differ"
    for identifier in [*list(known.contents)[:2], *list(known.contents)[-2:]]:
        own = known.contents[identifier]
        if not is_nearest_to_itself(server, name, identifier, own):
            yield f"{identifier} is not found by its own vector"
    for content in list(known.removed.values())[:2]:
        hits = {hit.id for hit in around(server, name, content.array()).hits}
        if hits & known.removed.keys():
            yield f"removed items are hits: {sorted(hits & known.removed.keys())}"
    if name != STYLED:
        yield from _wrong_rankings(server, name, known)


def _wrong_rankings(server: ServerProcess, name: str, known: Known) -> Iterator[str]:
    dice = np.random.default_rng(0)
    for _ in range(3):
        vectors = [random_content(dice).array() for _ in range(2)]
        if not is_ranking(
            around(server, name, *vectors, limit=3), ranking(known.contents, *vectors)
        ):
            yield "the hits are not the nearest items"


def _difference(found: Mapping[str, Content], wanted: Mapping[str, Content]) -> str:
    lost, new = wanted.keys() - found.keys(), found.keys() - wanted.keys()
    changed = [n for n in wanted.keys() & found.keys() if found[n] != wanted[n]]
    return f"{len(lost)} lost, {len(new)} new, {len(changed)} changed of {len(wanted)}"


def _snapshot_faults(server: ServerProcess, sound: Folder, damaged: bool) -> Iterator[str]:
    stub = maintenance_pb2_grpc.MaintenanceServiceStub(server.channel)
    request = maintenance_pb2.RestoreSnapshotRequest(
        collection=GOODS, name=SNAPSHOT, target=RESTORED
    )
    try:
        list(stub.RestoreSnapshot(request, timeout=SECONDS))
    except grpc.RpcError as error:
        problem = from_rpc_error(error)
        clear = problem.code in (
            grpc.StatusCode.FAILED_PRECONDITION,
            grpc.StatusCode.NOT_FOUND,
        ) and bool(problem.reason and problem.remedy)
        if not (damaged and clear):
            yield f"the snapshot: {problem.code} {problem.reason}: {problem}"
        return
    if _contents(server, RESTORED) != sound.snapshot:
        yield "the snapshot is restored wrongly"
    drop(server, RESTORED)
