"""A server that is killed again and again while it is written to, against a ledger.

Writers upsert, replace, relabel and remove items; so many change that indexes are folded and
spaces fitted all the time. Another client makes snapshots and restores them.
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import numpy as np

from contents import around, everything, is_nearest_to_itself
from ledger import Content, Contents, Journal, random_content, same
from server_process import SECONDS, ServerProcess, eventually
from tashihiki.status import from_rpc_error
from tashihiki.v1 import catalog_pb2, maintenance_pb2, maintenance_pb2_grpc

SHOP = "shop"
RESTORED = "restored"
WRITERS = 3
NAMES = 200
BATCH = 20
SAMPLED = 4
# What a call is told whose server was killed.
_GONE = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)


@dataclass
class Tally:
    """What a campaign saw.

    Attributes:
        kills: how often the server was killed.
        acknowledged: requests that were answered before.
        in_doubt: requests under way at a kill.
        indexes: that were put to use.
        spaces: that were.
        snapshots: that were acknowledged.
        restored: that were compared with the ledger after a kill.
        cut_snapshots: under way at a kill.
        start_seconds: from a start to the first right answer, each.
    """

    kills: int = 0
    acknowledged: int = 0
    in_doubt: int = 0
    indexes: set[str] = field(default_factory=set)
    spaces: set[str] = field(default_factory=set)
    snapshots: int = 0
    restored: int = 0
    cut_snapshots: int = 0
    start_seconds: list[float] = field(default_factory=list)


@dataclass
class _Snapshot:
    """What may be in a snapshot: for each writer the requests before it, and those begun."""

    name: str
    first: list[int]
    last: list[int] | None = None


class _Archivist:
    """The client that makes, restores and deletes snapshots until the server is gone."""

    def __init__(self, journals: Sequence[Journal], prefix: str) -> None:
        self._journals = journals
        self._prefix = prefix
        self.kept: dict[str, _Snapshot] = {}
        self.going: set[str] = set()
        self.restoring: _Snapshot | None = None
        self.acknowledged = 0

    def work(self, server: ServerProcess) -> None:
        stub = maintenance_pb2_grpc.MaintenanceServiceStub(server.channel)
        try:
            for number in range(100_000):
                self._turn(server, stub, f"{self._prefix}-{number}")
        except grpc.RpcError as error:
            if from_rpc_error(error).code not in _GONE:
                raise

    def _turn(
        self,
        server: ServerProcess,
        stub: maintenance_pb2_grpc.MaintenanceServiceStub,
        name: str,
    ) -> None:
        snapshot = self.kept[name] = _Snapshot(name, [j.answered for j in self._journals])
        request = maintenance_pb2.CreateSnapshotRequest(collection=SHOP, name=name)
        last = list(stub.CreateSnapshot(request, timeout=SECONDS))[-1]
        assert last.snapshot.name == name
        snapshot.last = [j.begun for j in self._journals]
        self.acknowledged += 1
        self.restoring = snapshot
        restore = maintenance_pb2.RestoreSnapshotRequest(
            collection=SHOP, name=name, target=RESTORED
        )
        list(stub.RestoreSnapshot(restore, timeout=SECONDS))
        drop(server, RESTORED)
        self.restoring = None
        for old in list(self.kept)[:-2]:
            self.going.add(old)
            stub.DeleteSnapshot(maintenance_pb2.DeleteSnapshotRequest(collection=SHOP, name=old))
            del self.kept[old]
            self.going.discard(old)

    def may_be(self, snapshot: _Snapshot, found: Contents) -> bool:
        """Whether it shows every writer's items at some moment while it was made."""
        last = snapshot.last or [journal.begun for journal in self._journals]
        parts = by_writer(found)
        return all(
            any(same(parts[n], state) for state in journal.states(snapshot.first[n], last[n]))
            for n, journal in enumerate(self._journals)
        )


class KillCampaign:
    """One data folder and its ledger."""

    def __init__(
        self,
        data: Path,
        bundle: Path,
        *,
        seed: int,
        kind: catalog_pb2.SpaceKind.ValueType = catalog_pb2.SPACE_KIND_FACTORED,
        still: int = 0,
        patience: float = 1.0,
    ) -> None:
        """Prepares a campaign.

        Args:
            data: the folder, empty.
            bundle: the encoder.
            seed: of all that is random.
            kind: of the space.
            still: items beside those that change.
            patience: seconds; longest time from the first write to the kill.
        """
        self._data = data
        self._bundle = bundle
        self._dice = random.Random(seed)
        self._random = np.random.default_rng(seed)
        self._kind = kind
        self._patience = patience
        self._still = {
            f"still-{n}": random_content(self._random, colour=f"c{n % 5}", shape=f"s{n % 3}")
            for n in range(still)
        }
        self._journals = [Journal() for _ in range(WRITERS)]
        self._archivist: _Archivist | None = None
        self._removed: dict[str, Content] = {}
        self._generation = 0
        self.tally = Tally()

    def run(self, kills: int) -> Tally:
        """Kills so often, and looks at what is left after each."""
        for turn in range(kills + 1):
            begin = time.perf_counter()
            server = ServerProcess(self._data, self._bundle)
            try:
                if turn:
                    self._compare(server, begin)
                else:
                    self._found(server)
                if turn < kills:
                    self._disturb(server, turn)
            finally:
                server.stop()
        return self.tally

    def _found(self, server: ServerProcess) -> None:
        create(server, SHOP, self._kind)
        names = list(self._still)
        for start in range(0, len(names), 500):
            batch = names[start : start + 500]
            send(server, {name: self._still[name] for name in batch})

    def _disturb(self, server: ServerProcess, turn: int) -> None:
        self._archivist = _Archivist(self._journals, f"t{turn}")
        answered = [journal.answered for journal in self._journals]
        with ThreadPoolExecutor(WRITERS + 1) as pool:
            work = [
                pool.submit(self._write, server, n, int(self._random.integers(2**31)))
                for n in range(WRITERS)
            ]
            work.append(pool.submit(self._archivist.work, server))
            eventually(
                lambda: (
                    any(future.done() and future.exception() for future in work)
                    or all(j.answered > n for j, n in zip(self._journals, answered, strict=True))
                ),
                "a first write of each writer",
            )
            if not turn:
                # So that kills meet derived files, however slow the machine is.
                eventually(self._is_derived, "an index, and a space where there are any")
            time.sleep(self._dice.uniform(0.0, self._patience))
            server.kill()
        for future in work:
            future.result()
        self._count(answered)

    def _is_derived(self) -> bool:
        derived = self._data / "collections" / SHOP / "derived"
        spaces = self._kind != catalog_pb2.SPACE_KIND_FACTORED or any(
            derived.glob("*/spaces/[0-9]*")
        )
        return spaces and any(derived.glob("*/generations/[0-9]*"))

    def _count(self, answered: list[int]) -> None:
        assert self._archivist is not None
        tally, folder = self.tally, self._data / "collections" / SHOP
        tally.kills += 1
        tally.acknowledged += sum(
            j.answered - n for j, n in zip(self._journals, answered, strict=True)
        )
        tally.in_doubt += sum(journal.begun - journal.answered for journal in self._journals)
        tally.indexes |= {path.name for path in folder.glob("derived/*/generations/[0-9]*")}
        tally.spaces |= {path.name for path in folder.glob("derived/*/spaces/[0-9]*")}
        tally.snapshots += self._archivist.acknowledged
        tally.cut_snapshots += any(s.last is None for s in self._archivist.kept.values())

    # The writers

    def _write(self, server: ServerProcess, writer: int, seed: int) -> None:
        dice = np.random.default_rng(seed)
        journal = self._journals[writer]
        try:
            for turn in range(100_000):
                mine = journal.contents
                if turn % 4 == 3 and len(mine) > NAMES // 2:
                    doomed = sorted(mine)[:: len(mine) // 8 + 1]
                    for name in doomed:
                        self._removed[name] = mine[name]
                    with journal.request({}, frozenset(doomed)):
                        remove(server, doomed)
                elif turn % 4 == 1 and mine:
                    chosen = dice.choice(sorted(mine), size=min(5, len(mine)), replace=False)
                    relabelled = {
                        str(name): Content(_labels(dice, writer), mine[str(name)].vector)
                        for name in chosen
                    }
                    with journal.request(relabelled):
                        send(server, relabelled, with_vectors=False)
                else:
                    names = {f"w{writer}-{dice.integers(NAMES)}" for _ in range(BATCH)}
                    batch = {
                        name: random_content(dice, **dict(_labels(dice, writer)))
                        for name in sorted(names)
                    }
                    with journal.request(batch):
                        send(server, batch)
        except grpc.RpcError as error:
            if from_rpc_error(error).code not in _GONE:
                raise

    # After a kill

    def _compare(self, server: ServerProcess, begin: float) -> None:
        self._answer_soon(server, begin)
        found = everything(server, SHOP)
        parts = by_writer(found)
        for journal, part in zip(self._journals, parts, strict=False):
            assert any(same(part, state) for state in journal.possible()), "a write was lost"
        assert same(parts[WRITERS], self._still)
        self._search(server, found)
        generation = in_force(server, SHOP).generation
        assert generation >= self._generation
        self._generation = generation
        self._look_at_snapshots(server)
        self._journals = [Journal(parts[n]) for n in range(WRITERS)]

    def _answer_soon(self, server: ServerProcess, begin: float) -> None:
        """Asks for an item that the request under way did not touch."""
        first, *others = self._journals[0].possible()
        certain = {n: c for n, c in first.items() if all(o.get(n) == c for o in others)}
        name, content = self._dice.choice(sorted((self._still or certain).items(), key=_id))
        assert is_nearest_to_itself(server, SHOP, name, content)
        self.tally.start_seconds.append(time.perf_counter() - begin)

    def _search(self, server: ServerProcess, found: Contents) -> None:
        for name in self._dice.sample(sorted(found), SAMPLED):
            assert is_nearest_to_itself(server, SHOP, name, found[name])
        gone = sorted(self._removed.keys() - found.keys())
        for name in self._dice.sample(gone, min(SAMPLED, len(gone))):
            hits = around(server, SHOP, self._removed[name].array()).hits
            assert all(
                tuple(sorted(hit.attributes.items())) == found[hit.id].attributes for hit in hits
            ), "a removed item came back"

    def _look_at_snapshots(self, server: ServerProcess) -> None:
        assert self._archivist is not None
        archivist = self._archivist
        stub = maintenance_pb2_grpc.MaintenanceServiceStub(server.channel)
        request = maintenance_pb2.ListSnapshotsRequest(collection=SHOP)
        listed = {s.name for s in stub.ListSnapshots(request, timeout=SECONDS).snapshots}
        certain = {n for n, s in archivist.kept.items() if s.last is not None} - archivist.going
        assert certain <= listed <= archivist.kept.keys()
        request_all = catalog_pb2.ListCollectionsRequest()
        answer = server.catalog.ListCollections(request_all, timeout=SECONDS)
        faults = {c.name: c.fault for c in answer.collections}
        assert faults.keys() <= {SHOP, RESTORED}
        assert not any(faults.values()), faults
        if RESTORED in faults:
            assert archivist.restoring is not None
            assert archivist.may_be(archivist.restoring, everything(server, RESTORED))
            drop(server, RESTORED)
        # One of them in full: the others take as long, and are made in the same way.
        chosen = self._dice.choice(sorted(listed)) if listed else None
        for name in sorted(listed):
            self._use_up(server, stub, archivist.kept[name], compare=name == chosen)

    def _use_up(
        self,
        server: ServerProcess,
        stub: maintenance_pb2_grpc.MaintenanceServiceStub,
        snapshot: _Snapshot,
        *,
        compare: bool,
    ) -> None:
        assert self._archivist is not None
        if compare:
            restore = maintenance_pb2.RestoreSnapshotRequest(
                collection=SHOP, name=snapshot.name, target=RESTORED
            )
            list(stub.RestoreSnapshot(restore, timeout=SECONDS))
            assert self._archivist.may_be(snapshot, everything(server, RESTORED))
            self.tally.restored += 1
            drop(server, RESTORED)
        stub.DeleteSnapshot(
            maintenance_pb2.DeleteSnapshotRequest(collection=SHOP, name=snapshot.name)
        )


def by_writer(found: Contents) -> list[Contents]:
    """The items of each writer, and last those of nobody."""
    parts: list[Contents] = [{} for _ in range(WRITERS + 1)]
    for name, content in found.items():
        owner = int(name[1 : name.index("-")]) if name.startswith("w") else WRITERS
        parts[owner][name] = content
    return parts


def _id(item: tuple[str, Content]) -> str:
    return item[0]


def _labels(dice: np.random.Generator, writer: int) -> tuple[tuple[str, str], ...]:
    return (
        ("colour", f"c{dice.integers(5)}"),
        ("shape", f"s{dice.integers(3)}"),
        ("writer", f"w{writer}"),
    )


# Requests


def create(
    server: ServerProcess,
    name: str,
    kind: catalog_pb2.SpaceKind.ValueType,
    target_recall: float = 0.0,
) -> None:
    """CreateCollection."""
    collection = catalog_pb2.Collection(
        name=name, space=catalog_pb2.Space(kind=kind), target_recall=target_recall
    )
    server.catalog.CreateCollection(
        catalog_pb2.CreateCollectionRequest(collection=collection), timeout=SECONDS
    )


def drop(server: ServerProcess, name: str) -> None:
    """DeleteCollection."""
    server.catalog.DeleteCollection(catalog_pb2.DeleteCollectionRequest(name=name), timeout=SECONDS)


def send(
    server: ServerProcess, batch: Contents, collection: str = SHOP, *, with_vectors: bool = True
) -> None:
    """UpsertItems."""
    items = [c.message(name, with_vector=with_vectors) for name, c in batch.items()]
    server.catalog.UpsertItems(
        catalog_pb2.UpsertItemsRequest(collection=collection, items=items), timeout=SECONDS
    )


def remove(server: ServerProcess, ids: Sequence[str], collection: str = SHOP) -> None:
    """DeleteItems."""
    server.catalog.DeleteItems(
        catalog_pb2.DeleteItemsRequest(collection=collection, ids=ids), timeout=SECONDS
    )


def in_force(server: ServerProcess, name: str) -> catalog_pb2.Collection:
    """GetCollection."""
    request = catalog_pb2.GetCollectionRequest(name=name)
    found: catalog_pb2.Collection = server.catalog.GetCollection(
        request, timeout=SECONDS
    ).collection
    return found
