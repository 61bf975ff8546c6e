"""What was acknowledged survives `kill -9` and full disks; what was not is wholly there or not."""

from __future__ import annotations

import logging
import random
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import numpy as np
import pytest
from numpy.typing import NDArray

from server_process import (
    SECONDS,
    ServerProcess,
    eventually,
    fill_disk,
    running,
    serve_to_the_end,
    small_disk,
)
from serving import Served, serving
from tashihiki.status import from_rpc_error
from tashihiki.v1 import catalog_pb2, composition_pb2, search_pb2
from tashihiki_server.collection import background as background_module
from tashihiki_server.library import Library
from tiny_encoder import DIMENSION

Vector = NDArray[np.float32]
SHOP = "shop"


@dataclass(frozen=True)
class Content:
    """An item as a client knows it."""

    attributes: tuple[tuple[str, str], ...]
    vector: bytes


@dataclass
class Ledger:
    """What a client was told, and the one request that it was told nothing of."""

    acknowledged: dict[str, Content] = field(default_factory=dict)
    under_way: dict[str, Content] = field(default_factory=dict)
    going: set[str] = field(default_factory=set)
    answers: int = 0

    def begin(self, written: dict[str, Content], deleted: set[str]) -> None:
        self.under_way, self.going = written, deleted

    def settle(self) -> None:
        self.acknowledged = self.either_way()[1]
        self.under_way, self.going = {}, set()
        self.answers += 1

    def begun(self) -> bool:
        return self.answers > 0

    def either_way(self) -> tuple[dict[str, Content], dict[str, Content]]:
        """Everything without the request under way, and with it."""
        after = {**self.acknowledged, **self.under_way}
        return self.acknowledged, {i: c for i, c in after.items() if i not in self.going}


def unit(dice: np.random.Generator) -> Vector:
    vector = dice.random(DIMENSION).astype(np.float32)
    vector /= np.linalg.norm(vector)
    return vector


def labels(dice: np.random.Generator) -> tuple[tuple[str, str], ...]:
    return (("colour", f"c{dice.integers(5)}"), ("shape", f"s{dice.integers(3)}"))


def message(identifier: str, content: Content) -> catalog_pb2.ItemInput:
    values = np.frombuffer(content.vector, dtype=np.float32)
    return catalog_pb2.ItemInput(
        id=identifier,
        vector=composition_pb2.Vector(values=values.tolist()),
        attributes=dict(content.attributes),
    )


def write_until_it_dies(server: ServerProcess, ledger: Ledger, seed: int) -> None:
    """Upserts, replaces and deletes in batches until the server is gone."""
    dice = np.random.default_rng(seed)
    for turn in range(100_000):
        names = [f"i{dice.integers(600)}" for _ in range(20)]
        try:
            if turn % 4 == 3 and ledger.acknowledged:
                doomed = set(list(ledger.acknowledged)[:5])
                ledger.begin({}, doomed)
                server.catalog.DeleteItems(
                    catalog_pb2.DeleteItemsRequest(collection=SHOP, ids=sorted(doomed)),
                    timeout=SECONDS,
                )
            else:
                batch = {name: Content(labels(dice), unit(dice).tobytes()) for name in names}
                ledger.begin(batch, set())
                items = [message(name, content) for name, content in batch.items()]
                server.catalog.UpsertItems(
                    catalog_pb2.UpsertItemsRequest(collection=SHOP, items=items), timeout=SECONDS
                )
        except grpc.RpcError:
            return
        ledger.settle()
    raise AssertionError("the server was never killed")


def everything(server: ServerProcess | Served) -> dict[str, Content]:
    found: dict[str, Content] = {}
    token = ""
    while True:
        page = server.catalog.ListItems(
            catalog_pb2.ListItemsRequest(
                collection=SHOP, page_size=1000, page_token=token, include_vectors=True
            ),
            timeout=SECONDS,
        )
        for item in page.items:
            vector = np.array(item.vector.values, dtype=np.float32)
            found[item.id] = Content(tuple(sorted(item.attributes.items())), vector.tobytes())
        token = page.next_page_token
        if not token:
            return found


def nearest(server: ServerProcess | Served, content: Content) -> search_pb2.Hit:
    values = np.frombuffer(content.vector, dtype=np.float32).tolist()
    term = composition_pb2.Term(vector=composition_pb2.Vector(values=values))
    query = composition_pb2.Query(composition=composition_pb2.Composition(terms=[term]))
    request = search_pb2.SearchRequest(collection=SHOP, query=query, limit=1)
    (hit,) = server.search.Search(request, timeout=SECONDS).hits
    return hit


def create(
    server: ServerProcess | Served,
    kind: catalog_pb2.SpaceKind.ValueType = catalog_pb2.SPACE_KIND_UNSPECIFIED,
) -> None:
    collection = catalog_pb2.Collection(name=SHOP, space=catalog_pb2.Space(kind=kind))
    server.catalog.CreateCollection(
        catalog_pb2.CreateCollectionRequest(collection=collection), timeout=SECONDS
    )


def same(found: dict[str, Content], wanted: dict[str, Content]) -> bool:
    """Equal but for the last bits, which normalising again may turn."""
    return found.keys() == wanted.keys() and all(
        found[name].attributes == content.attributes
        and np.allclose(
            np.frombuffer(found[name].vector, dtype=np.float32),
            np.frombuffer(content.vector, dtype=np.float32),
            atol=1e-6,
        )
        for name, content in wanted.items()
    )


def in_force(server: ServerProcess) -> catalog_pb2.Collection:
    request = catalog_pb2.GetCollectionRequest(name=SHOP)
    found: catalog_pb2.Collection = server.catalog.GetCollection(request).collection
    return found


@pytest.mark.parametrize(
    ("kind", "patience"),
    [
        pytest.param(catalog_pb2.SPACE_KIND_SUM, 0.7, id="sum"),
        # Long enough for fits that are begun, written and swapped in.
        pytest.param(catalog_pb2.SPACE_KIND_FACTORED, 4.0, id="factored"),
    ],
)
def test_what_was_acknowledged_survives_kill_9(
    tmp_path: Path,
    tiny_encoder_bundle: Path,
    kind: catalog_pb2.SpaceKind.ValueType,
    patience: float,
) -> None:
    data = tmp_path / "data"
    ledger = Ledger()
    dice = random.Random(7)
    spaces: list[str] = []
    generation = 0
    for turn in range(5):
        with running(data, tiny_encoder_bundle) as server:
            if not turn:
                create(server, kind)
            else:
                found = everything(server)
                without, including = ledger.either_way()
                assert same(found, without) or same(found, including)
                ledger = Ledger(found)
                for name in dice.sample(sorted(found), 5):
                    hit = nearest(server, found[name])
                    assert (hit.id, tuple(sorted(hit.attributes.items()))) == (
                        name,
                        found[name].attributes,
                    )
                    assert hit.similarity == pytest.approx(1, abs=1e-6)
                assert in_force(server).generation >= generation
            writer = threading.Thread(target=write_until_it_dies, args=(server, ledger, turn))
            writer.start()
            eventually(ledger.begun, "a first write")
            time.sleep(dice.uniform(0.05, patience))
            generation = in_force(server).generation
            server.kill()
            writer.join(SECONDS)
            assert not writer.is_alive()
            spaces += [
                path.name for path in (data / "collections" / SHOP).glob("derived/*/spaces/[0-9]*")
            ]
    assert (len(set(spaces)) > 1) == (kind == catalog_pb2.SPACE_KIND_FACTORED)
    with running(data, tiny_encoder_bundle) as server:
        found = everything(server)
        assert any(same(found, state) for state in ledger.either_way())
        assert len(found) > 100
        eventually(lambda: in_force(server).space_in_force == kind, "the space asked for")


# Full disks


@pytest.fixture
def batch() -> list[catalog_pb2.ItemInput]:
    dice = np.random.default_rng(0)
    label = (("colour", "red"),)
    return [message(f"i{n}", Content(label, unit(dice).tobytes())) for n in range(300)]


def upsert(server: Served, items: list[catalog_pb2.ItemInput]) -> None:
    server.catalog.UpsertItems(
        catalog_pb2.UpsertItemsRequest(collection=SHOP, items=items), timeout=SECONDS
    )


def test_a_full_disk_refuses_writes_and_nothing_else(
    tmp_path: Path, tiny_encoder_bundle: Path, batch: list[catalog_pb2.ItemInput]
) -> None:
    with small_disk(tmp_path / "disk", "size=6m") as disk:
        library = Library(disk / "data", tiny_encoder_bundle)
        with serving(library) as server:
            create(server)
            upsert(server, batch[:20])
            before = everything(server)
            filler = fill_disk(disk)
            big = [catalog_pb2.ItemInput.FromString(i.SerializeToString()) for i in batch[15:215]]
            for item in big:
                item.metadata.update({"text": "x" * 5_000})
            for _ in range(3):
                with pytest.raises(grpc.RpcError) as caught:
                    upsert(server, big)
                error = from_rpc_error(caught.value)
                assert error.code is grpc.StatusCode.RESOURCE_EXHAUSTED
                assert (error.reason, bool(error.remedy)) == ("DISK_FULL", True)
                assert everything(server) == before
                assert nearest(server, before["i7"]).id == "i7"
            filler.unlink()
            upsert(server, big)
            after = everything(server)
        library.close()
        again = Library(disk / "data", tiny_encoder_bundle)
        with serving(again) as server:
            assert everything(server) == after
        again.close()
    assert after.keys() == {f"i{n}" for n in range(215)}


def test_a_full_disk_while_an_index_is_built_harms_nothing(
    tmp_path: Path,
    tiny_encoder_bundle: Path,
    batch: list[catalog_pb2.ItemInput],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(background_module, "RETRY_SECONDS", 0.2)
    with small_disk(tmp_path / "disk", "size=6m") as disk:
        library = Library(disk / "data", tiny_encoder_bundle)
        with serving(library) as server:
            create(server)
            upsert(server, batch[:250])
            # The catalogue's log has room for the next items; an index has not.
            filler = fill_disk(disk, leave=60_000)
            with caplog.at_level(logging.ERROR):
                upsert(server, batch[250:260])
                eventually(lambda: "could not be built" in caplog.text, "a failed build")
            assert everything(server).keys() == {f"i{n}" for n in range(260)}
            assert nearest(server, everything(server)["i255"]).id == "i255"
            filler.unlink()
            collection = library.collection(SHOP)
            eventually(lambda: collection.state.index is not None, "a build after making room")
            assert nearest(server, everything(server)["i255"]).id == "i255"
        library.close()


def test_a_disk_without_any_room_is_a_clear_error_at_the_start(
    tmp_path: Path, tiny_encoder_bundle: Path
) -> None:
    with small_disk(tmp_path / "disk", "size=1m") as disk:
        fill_disk(disk)
        ended = serve_to_the_end(disk / "data", tiny_encoder_bundle)
    assert ended.returncode == 1
    assert "No space left" in ended.stderr
    assert "Traceback" not in ended.stderr
