"""A collection changes its encoder while it serves, and vectors of two encoders never mix."""

from __future__ import annotations

import io
import random
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import grpc
import numpy as np
import pytest
from PIL import Image

from calls import (
    create,
    delete,
    failure,
    hit_ids,
    items,
    png,
    search,
    stored_vectors,
    upsert,
    vector_item,
)
from gallery import random_vectors
from server_process import SECONDS, ServerProcess, eventually, running
from serving import Served, serving
from tashihiki.errors import UnavailableError
from tashihiki.v1 import catalog_pb2, maintenance_pb2, maintenance_pb2_grpc
from tashihiki_server import encoder_change
from tashihiki_server.catalogue.base import ItemRecord, StoredEmbedding
from tashihiki_server.catalogue.sqlite import SqliteCatalogue
from tashihiki_server.collection import builds
from tashihiki_server.collection.background import Background
from tashihiki_server.collection.collection import Collection
from tashihiki_server.encoder.embedder import Embedder
from tashihiki_server.encoder.openvino import OpenVinoEncoder
from tashihiki_server.encoder_change import EncoderChange
from tashihiki_server.images import ImageLimits
from tashihiki_server.library import Library
from tashihiki_server.verification import verify
from tiny_encoder import SIZE, write_tiny_encoder

SHOP = "shop"
COLOURS = {"red": (200, 40, 40), "blue": (40, 40, 200), "green": (40, 180, 40)}
SHAPES = ("disc", "bar")
Server = Served | ServerProcess


class Oracle:
    """Embeds by itself what the server has embedded."""

    def __init__(self, bundle: Path) -> None:
        self.bundle = bundle
        self.encoder = OpenVinoEncoder(bundle)
        self.fingerprint = self.encoder.manifest.fingerprint
        self._embedder = Embedder(ImageLimits(), 1)

    def embed(self, picture: bytes) -> np.ndarray:
        return self._embedder.embed(self.encoder, picture, "picture").astype(np.float64)


@pytest.fixture(scope="module")
def old(tiny_encoder_bundle: Path) -> Oracle:
    return Oracle(tiny_encoder_bundle)


@pytest.fixture(scope="module")
def new(tmp_path_factory: pytest.TempPathFactory) -> Oracle:
    """Of the same dimension, so that nothing but care keeps the vectors apart."""
    folder = tmp_path_factory.mktemp("new") / "inverted"
    write_tiny_encoder(folder, "inverted", negative=True)
    return Oracle(folder)


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Oracle:
    """Of another dimension; takes some milliseconds for a picture."""
    folder = tmp_path_factory.mktemp("slow") / "slow"
    write_tiny_encoder(folder, "slow", grid=2, work=500)
    return Oracle(folder)


@pytest.fixture
def shop(library: Library, new: Oracle, slow: Oracle) -> Iterator[Served]:
    library.install(new.bundle)
    library.install(slow.bundle)
    with serving(library) as served:
        create(served, SHOP)
        yield served


def _picture(colour: str, shape: str, seed: int) -> bytes:
    dice = np.random.default_rng(seed)
    pixels = dice.normal(150, 15, (SIZE, SIZE, 3))
    across, down = dice.integers(8, 24, 2)
    y, x = np.mgrid[:SIZE, :SIZE]
    inside = (x - across) ** 2 + (y - down) ** 2 < 64 if shape == "disc" else abs(x - across) < 5
    pixels[inside] = COLOURS[colour]
    return png(pixels.clip(0, 255).astype(np.uint8))


def _item(number: int, seed: int | None = None) -> catalog_pb2.ItemInput:
    colour, shape = list(COLOURS)[number % 3], SHAPES[number % 2]
    return catalog_pb2.ItemInput(
        id=f"i{number:04}",
        image=_picture(colour, shape, number if seed is None else seed),
        attributes={"colour": colour, "shape": shape},
    )


def _fill(server: Server, count: int) -> dict[str, bytes]:
    inputs = [_item(number) for number in range(count)]
    server.catalog.UpsertItems(
        catalog_pb2.UpsertItemsRequest(collection=SHOP, items=inputs), timeout=SECONDS
    )
    return {item.id: item.image for item in inputs}


def _maintenance(server: Server) -> maintenance_pb2_grpc.MaintenanceServiceStub:
    return maintenance_pb2_grpc.MaintenanceServiceStub(server.channel)


def _change(server: Server, to: Oracle) -> catalog_pb2.Collection:
    request = maintenance_pb2.ChangeEncoderRequest(collection=SHOP, encoder=to.fingerprint)
    changed: catalog_pb2.Collection = _maintenance(server).ChangeEncoder(request).collection
    return changed


def _roll_back(server: Server) -> catalog_pb2.Collection:
    request = maintenance_pb2.RollBackEncoderRequest(collection=SHOP)
    changed: catalog_pb2.Collection = _maintenance(server).RollBackEncoder(request).collection
    return changed


def _cancel(server: Server) -> catalog_pb2.Collection:
    request = maintenance_pb2.CancelEncoderChangeRequest(collection=SHOP)
    left: catalog_pb2.Collection = _maintenance(server).CancelEncoderChange(request).collection
    return left


def _collection(server: Server) -> catalog_pb2.Collection:
    request = catalog_pb2.GetCollectionRequest(name=SHOP)
    found: catalog_pb2.Collection = server.catalog.GetCollection(request).collection
    return found


def _wait(server: Server, to: Oracle) -> catalog_pb2.Collection:
    eventually(lambda: not _collection(server).HasField("encoder_change"), "the end of the change")
    found = _collection(server)
    assert found.encoder == to.fingerprint
    assert found.dimension == to.encoder.manifest.dimension
    return found


def _assert_pure(served: Served, encoder: Oracle, exact: Mapping[str, bytes] = {}) -> None:
    """Every vector is what the encoder makes of the item's picture.

    Args:
        served: with the collection.
        encoder: that is in force.
        exact: pictures, by the ids of items that must have been embedded from them and not from
            what is kept of them.
    """
    kept = {item.id: item.thumbnail for item in items(served, SHOP, include_thumbnails=True)}
    vectors = stored_vectors(served, SHOP)
    assert vectors.keys() == kept.keys()
    for identifier, vector in vectors.items():
        wanted = encoder.embed(exact.get(identifier) or kept[identifier])
        np.testing.assert_allclose(vector, wanted, atol=2e-6)


def _assert_searches_right(served: Served) -> None:
    vectors = stored_vectors(served, SHOP)
    for identifier in list(vectors)[::7]:
        cosines = {other: vectors[identifier] @ vector for other, vector in vectors.items()}
        ranked = sorted(
            (other for other in cosines if other != identifier), key=cosines.__getitem__
        )
        response = search(served, SHOP, "this item", {"this_item": identifier}, limit=5)
        scores = [cosines[hit] for hit in hit_ids(response)]
        np.testing.assert_allclose(scores, [cosines[other] for other in ranked[:-6:-1]], atol=1e-5)


def test_every_item_is_embedded_again_and_the_previous_encoder_is_known(
    shop: Served, old: Oracle, new: Oracle
) -> None:
    pictures = _fill(shop, 40)
    before = _collection(shop)
    _assert_pure(shop, old, pictures)
    begun = _change(shop, new)
    assert begun.encoder_change.encoder == new.fingerprint
    assert begun.encoder_change.total_count == 40
    assert (begun.encoder, begun.previous_encoder) == (old.fingerprint, "")
    after = _wait(shop, new)
    assert after.previous_encoder == old.fingerprint
    assert after.generation > before.generation
    assert after.item_count == 40
    _assert_pure(shop, new)
    _assert_searches_right(shop)
    # From now on pictures are embedded by the new one, before they are made small.
    again = {item.id: item.image for item in [_item(3, seed=900), _item(41)]}
    upsert(shop, SHOP, [_item(3, seed=900), _item(41)])
    _assert_pure(shop, new, again)
    _assert_searches_right(shop)


def test_searches_are_answered_by_the_old_embeddings_until_the_change(
    shop: Served, old: Oracle, slow: Oracle
) -> None:
    pictures = _fill(shop, 60)
    vectors = stored_vectors(shop, SHOP)
    _change(shop, slow)
    done = [0]
    answered = 0
    while _collection(shop).encoder != slow.fingerprint:
        request = catalog_pb2.EmbedRequest(collection=SHOP, images=[pictures["i0000"]])
        embedded = shop.catalog.Embed(request)
        response = search(shop, SHOP, "this item", {"this_item": "i0000"}, limit=59)
        if embedded.encoder == old.fingerprint and _collection(shop).encoder == old.fingerprint:
            assert len(response.hits) == 59
            cosines = [vectors["i0000"] @ vectors[hit] for hit in hit_ids(response)]
            assert cosines == sorted(cosines, reverse=True)
            done.append(_collection(shop).encoder_change.done_count or done[-1])
            answered += 1
    assert answered >= 5
    assert done == sorted(done)
    assert len(set(done)) >= 3
    _wait(shop, slow)
    _assert_pure(shop, slow)


def _again_while_unavailable(call: Callable[[], object]) -> None:
    """As the client does by itself."""
    while True:
        try:
            call()
        except grpc.RpcError as error:
            if error.code() != grpc.StatusCode.UNAVAILABLE:
                raise
        else:
            return


@pytest.mark.parametrize("kind", [catalog_pb2.SPACE_KIND_SUM, catalog_pb2.SPACE_KIND_FACTORED])
def test_what_is_written_meanwhile_is_there_afterwards(
    shop: Served, slow: Oracle, kind: catalog_pb2.SpaceKind.ValueType
) -> None:
    """Writers add, replace, relabel and delete all the while, and only know what was answered."""
    shop.library.delete(SHOP)
    create(shop, SHOP, space=kind)
    sent = _fill(shop, 45)
    eventually(lambda: not _collection(shop).space_pending, "a fit")
    labels = {f"i{n:04}": dict(_item(n).attributes) for n in range(45)}
    over = threading.Event()
    faults: list[BaseException] = []

    def write(part: int) -> None:
        dice = random.Random(part)
        try:
            while not over.is_set():
                number = dice.randrange(part, 60, 3)
                identifier, item = f"i{number:04}", _item(number, dice.randrange(10_000))
                there = identifier in labels
                if there and dice.random() < 0.2:
                    _again_while_unavailable(partial(delete, shop, SHOP, identifier))
                    del labels[identifier]
                    continue
                if there and dice.random() < 0.5:
                    item.ClearField("image")
                    item.attributes["colour"] = dice.choice(list(COLOURS))
                else:
                    sent[identifier] = item.image
                _again_while_unavailable(partial(upsert, shop, SHOP, [item]))
                labels[identifier] = dict(item.attributes)
        except BaseException as error:
            faults.append(error)

    writers = [threading.Thread(target=write, args=[part]) for part in range(3)]
    for writer in writers:
        writer.start()
    _change(shop, slow)
    eventually(lambda: _collection(shop).encoder == slow.fingerprint, "the change")
    time.sleep(0.2)
    over.set()
    for writer in writers:
        writer.join()
    assert not faults
    _wait(shop, slow)
    assert {item.id: dict(item.attributes) for item in items(shop, SHOP)} == labels
    counts = {
        (facet.facet, value.value): value.member_count
        for facet in shop.catalog.ListAttributes(
            catalog_pb2.ListAttributesRequest(collection=SHOP)
        ).facets
        for value in facet.values
    }
    wanted = [(facet, value) for item in labels.values() for facet, value in item.items()]
    assert counts == {key: wanted.count(key) for key in wanted}
    assert _collection(shop).item_count == len(labels)
    eventually(lambda: _collection(shop).space_in_force == kind, "the space asked for")
    response = search(shop, SHOP, "red", limit=200)
    assert set(hit_ids(response)) == labels.keys()
    if kind == catalog_pb2.SPACE_KIND_SUM:
        _assert_searches_right(shop)
    vectors = stored_vectors(shop, SHOP)
    assert {len(vector) for vector in vectors.values()} == {slow.encoder.manifest.dimension}
    kept = {item.id: item.thumbnail for item in items(shop, SHOP, include_thumbnails=True)}
    for identifier, vector in vectors.items():
        # The one before the change, the other after it.
        pictures = kept[identifier], sent[identifier]
        assert any(np.allclose(vector, slow.embed(one), atol=2e-6) for one in pictures)


def test_rolling_back_embeds_only_what_was_written_since(
    shop: Served, old: Oracle, new: Oracle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(builds, "MIN_INDEXED", 16)
    pictures = _fill(shop, 40)
    shop.library.collection(SHOP).settle()
    first = shop.library.collection(SHOP).state.index
    assert first is not None
    _change(shop, new)
    _wait(shop, new)
    changed = [_item(5, seed=700), _item(50)]
    upsert(shop, SHOP, changed)
    relabelled = catalog_pb2.ItemInput(id="i0006", attributes={"colour": "blue"})
    upsert(shop, SHOP, [relabelled])
    delete(shop, SHOP, "i0007")
    begun = _roll_back(shop)
    assert begun.encoder_change.encoder == old.fingerprint
    assert begun.encoder_change.done_count >= 38
    assert _wait(shop, old).previous_encoder == new.fingerprint
    # The index of old stands, for what has not changed.
    index = shop.library.collection(SHOP).state.index
    assert index is not None
    # These are still of the pictures themselves, not of what is kept of them.
    untouched = pictures.keys() - {"i0005", "i0007"}
    _assert_pure(shop, old, {identifier: pictures[identifier] for identifier in untouched})
    _assert_searches_right(shop)
    _roll_back(shop)
    _wait(shop, new)
    _assert_pure(shop, new, {item.id: item.image for item in changed})


def test_only_the_embeddings_of_two_encoders_are_kept(
    shop: Served, old: Oracle, new: Oracle, slow: Oracle
) -> None:
    _fill(shop, 20)
    for encoder in (new, slow):
        _change(shop, encoder)
        _wait(shop, encoder)
    catalogue = shop.library.collection(SHOP).catalogue
    kept = {new.fingerprint: 20, slow.fingerprint: 20}
    eventually(lambda: catalogue.embedding_counts() == kept, "the oldest to be dropped")
    assert _collection(shop).previous_encoder == new.fingerprint
    _change(shop, old)
    _wait(shop, old)
    _assert_pure(shop, old)


def test_a_cancelled_change_leaves_no_trace(
    shop: Served, tmp_path: Path, old: Oracle, slow: Oracle
) -> None:
    pictures = _fill(shop, 60)
    folder = tmp_path / "data" / "collections" / SHOP
    _change(shop, slow)
    eventually(lambda: _collection(shop).encoder_change.done_count > 5, "some embeddings")
    left = _cancel(shop)
    assert not left.HasField("encoder_change")
    assert (left.encoder, left.previous_encoder) == (old.fingerprint, "")
    counts = shop.library.collection(SHOP).catalogue.embedding_counts()
    assert counts == {old.fingerprint: 60}
    assert not (folder / "change.json").exists()
    assert {path.name for path in folder.glob("derived/*")} <= {old.fingerprint}
    _assert_pure(shop, old, pictures)
    assert failure(lambda: _cancel(shop)).reason == "NO_ENCODER_CHANGE"
    upsert(shop, SHOP, [_item(61)])
    _change(shop, slow)
    _wait(shop, slow)
    _assert_pure(shop, slow)


def test_what_cannot_be_changed_is_refused(shop: Served, old: Oracle, slow: Oracle) -> None:
    _fill(shop, 30)
    assert failure(lambda: _roll_back(shop)).reason == "NO_PREVIOUS_ENCODER"
    assert failure(lambda: _change(shop, old)).reason == "ENCODER_IN_FORCE"
    request = maintenance_pb2.ChangeEncoderRequest(collection=SHOP, encoder="none")
    assert failure(lambda: _maintenance(shop).ChangeEncoder(request)).reason == "UNKNOWN_ENCODER"
    request = maintenance_pb2.ChangeEncoderRequest(collection="none", encoder="slow")
    unknown = failure(lambda: _maintenance(shop).ChangeEncoder(request))
    assert unknown.reason == "UNKNOWN_COLLECTION"
    rows = random_vectors(2, 1)
    upsert(shop, SHOP, [vector_item("v1", rows[0]), vector_item("v2", rows[1])])
    fault = failure(lambda: _change(shop, slow))
    assert (fault.code, fault.reason) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "ITEM_WITHOUT_PICTURE",
    )
    assert fault.details == {"count": "2", "id": "v1"}
    assert "2 items" in fault.message
    delete(shop, SHOP, "v1", "v2")
    _change(shop, slow)
    under_way = failure(lambda: _change(shop, slow))
    assert under_way.reason == "ENCODER_CHANGE_UNDER_WAY"
    assert failure(lambda: _roll_back(shop)).reason == "ENCODER_CHANGE_UNDER_WAY"
    _wait(shop, slow)


def test_a_vector_written_meanwhile_holds_the_change_up_and_says_so(
    shop: Served, slow: Oracle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoder_change, "RETRY_SECONDS", 0.05)
    _fill(shop, 30)
    _change(shop, slow)
    upsert(shop, SHOP, [vector_item("v", random_vectors(1, 1)[0])])
    eventually(lambda: "'v'" in _collection(shop).encoder_change.fault, "a word on the item")
    found = _collection(shop)
    assert "as a vector" in found.encoder_change.fault
    assert (found.encoder_change.done_count, found.encoder_change.total_count) == (30, 31)
    upsert(shop, SHOP, [catalog_pb2.ItemInput(id="v", image=_item(7).image)])
    _wait(shop, slow)
    _assert_pure(shop, slow)


def test_a_failure_that_lasts_is_tried_again_ever_more_rarely_and_said_in_words(
    shop: Served, new: Oracle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoder_change, "RETRY_SECONDS", 0.05)
    monkeypatch.setattr(encoder_change, "LONGEST_RETRY_SECONDS", 0.4)
    tries: list[float] = []

    def fail(*_: object, **__: object) -> None:
        tries.append(time.monotonic())
        raise RuntimeError

    with monkeypatch.context() as broken:
        broken.setattr(EncoderChange, "_open_beside", fail)
        _fill(shop, 5)
        _change(shop, new)
        eventually(lambda: len(tries) >= 6, "six tries")
        eventually(lambda: bool(_collection(shop).encoder_change.fault), "a word on it")
        assert "RuntimeError" in _collection(shop).encoder_change.fault
    rests = np.diff(tries[:6])
    assert (rests >= [0.05, 0.1, 0.2, 0.4, 0.4]).all()
    _wait(shop, new)
    _assert_pure(shop, new)


def test_a_write_that_was_prepared_with_the_old_encoder_is_refused(
    shop: Served, old: Oracle, new: Oracle
) -> None:
    _fill(shop, 20)
    before = shop.library.collection(SHOP)
    state = before.state
    record = ItemRecord("late", {}, embedding=old.embed(_item(1).image).astype(np.float32))
    _change(shop, new)
    _wait(shop, new)
    for write in (
        lambda: before.upsert([record]),
        lambda: before.upsert([ItemRecord("i0001", {"colour": "red"})]),
        lambda: before.delete(["i0001"], skip_missing=False),
    ):
        with pytest.raises(UnavailableError) as caught:
            write()
        assert caught.value.reason == "ENCODER_CHANGED"
    # What began before ends as it began.
    query = before.embedding("i0001")
    assert query is not None
    found = before.nearest(state, state.space.project(query[None])[0], 3, None, set())
    assert state.rows.id(int(found.rows[0])) == "i0001"
    # An item that has no old embedding any more is not said to be unknown.
    upsert(shop, SHOP, [_item(1, seed=800), _item(2, seed=801)])
    with pytest.raises(UnavailableError):
        before.embedding("i0002")
    # One that it has read before is still what it was.
    again = before.embedding("i0001")
    assert again is not None
    assert np.array_equal(again, query)
    assert len(items(shop, SHOP)) == 20


def test_a_deleted_collection_ends_its_change(shop: Served, tmp_path: Path, slow: Oracle) -> None:
    _fill(shop, 60)
    _change(shop, slow)
    eventually(lambda: _collection(shop).encoder_change.done_count > 5, "some embeddings")
    shop.catalog.DeleteCollection(catalog_pb2.DeleteCollectionRequest(name=SHOP))
    assert not any(thread.name == f"encoder-{SHOP}" for thread in threading.enumerate())
    create(shop, SHOP)
    _fill(shop, 5)
    assert not _collection(shop).HasField("encoder_change")
    assert not (tmp_path / "data" / "collections" / SHOP / "change.json").exists()


def test_a_collection_that_took_the_name_of_a_changed_one_is_left_alone(
    shop: Served, new: Oracle, old: Oracle
) -> None:
    _fill(shop, 10)
    _change(shop, new)
    _wait(shop, new)
    shop.catalog.DeleteCollection(catalog_pb2.DeleteCollectionRequest(name=SHOP))
    create(shop, SHOP)
    pictures = _fill(shop, 12)
    _assert_pure(shop, old, pictures)


def test_a_snapshot_of_a_collection_in_change_is_of_the_old_encoder(
    shop: Served, old: Oracle, slow: Oracle
) -> None:
    pictures = _fill(shop, 60)
    _change(shop, slow)
    eventually(lambda: _collection(shop).encoder_change.done_count > 5, "some embeddings")
    taken = shop.library.snapshot(SHOP, "during")
    assert taken.encoder == old.fingerprint
    _wait(shop, slow)
    later = shop.library.snapshot(SHOP, "after")
    assert later.encoder == slow.fingerprint
    shop.library.restore(SHOP, "during", "again")
    vectors = stored_vectors(shop, "again")
    assert vectors.keys() == pictures.keys()
    for identifier, picture in pictures.items():
        np.testing.assert_allclose(vectors[identifier], old.embed(picture), atol=2e-6)
    # What was there of the other encoder is of no use to it.
    counts = shop.library.collection("again").catalogue.embedding_counts()
    assert counts == {old.fingerprint: 60}


def test_a_killed_server_goes_on_with_the_change(
    tmp_path: Path, tiny_encoder_bundle: Path, slow: Oracle
) -> None:
    data, options = tmp_path / "data", ("--encoder", str(slow.bundle))
    with running(data, tiny_encoder_bundle, *options) as server:
        collection = catalog_pb2.Collection(name=SHOP)
        server.catalog.CreateCollection(catalog_pb2.CreateCollectionRequest(collection=collection))
        _fill(server, 100)
        _change(server, slow)
        eventually(lambda: _collection(server).encoder_change.done_count > 30, "some embeddings")
        before = _collection(server).encoder_change.done_count
        server.kill()
    with running(data, tiny_encoder_bundle, *options) as server:
        found = _collection(server)
        if found.HasField("encoder_change"):
            assert found.encoder_change.done_count >= before
        _wait(server, slow)
    assert {finding.state for finding in verify(data)} == {"sound"}
    with closing(Library(data, tiny_encoder_bundle)) as library, serving(library) as served:
        _assert_pure(served, slow)


@pytest.mark.parametrize("moment", range(4))
def test_a_server_killed_at_any_moment_has_one_encoder(
    tmp_path: Path, tiny_encoder_bundle: Path, old: Oracle, new: Oracle, moment: int
) -> None:
    data, options = tmp_path / "data", ("--encoder", str(new.bundle))
    with running(data, tiny_encoder_bundle, *options) as server:
        collection = catalog_pb2.Collection(
            name=SHOP, space=catalog_pb2.Space(kind=catalog_pb2.SPACE_KIND_SUM)
        )
        server.catalog.CreateCollection(catalog_pb2.CreateCollectionRequest(collection=collection))
        pictures = _fill(server, 100)
        _change(server, new)
        time.sleep(0.1 * moment)
        with suppress(grpc.RpcError):
            server.catalog.UpsertItems(
                catalog_pb2.UpsertItemsRequest(collection=SHOP, items=[_item(3, seed=600)])
            )
        server.kill()
    with closing(Library(data, tiny_encoder_bundle, go_on=False)) as library:
        (opened,) = library.collections()
        if opened.settings.encoder == old.fingerprint:
            with serving(library) as served:
                del pictures["i0003"]
                assert len(items(served, SHOP)) == 100
                vectors = stored_vectors(served, SHOP)
                for identifier, picture in pictures.items():
                    np.testing.assert_allclose(vectors[identifier], old.embed(picture), atol=2e-6)
    with closing(Library(data, tiny_encoder_bundle)) as library, serving(library) as served:
        _wait(served, new)
        (late,) = [i for i in items(served, SHOP, include_thumbnails=True) if i.id == "i0003"]
        stored = stored_vectors(served, SHOP)["i0003"]
        # By the time of the write the one or the other encoder was in force.
        exact = new.embed(_item(3, seed=600).image)
        if np.allclose(stored, exact, atol=2e-6):
            _assert_pure(served, new, {"i0003": _item(3, seed=600).image})
        else:
            np.testing.assert_allclose(stored, new.embed(late.thumbnail), atol=2e-6)
            _assert_pure(served, new)


def test_damaged_embeddings_of_the_previous_encoder_are_made_again(
    tmp_path: Path,
    tiny_encoder_bundle: Path,
    old: Oracle,
    new: Oracle,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(encoder_change, "RETRY_SECONDS", 0.05)
    data = tmp_path / "data"
    with closing(Library(data, tiny_encoder_bundle, further=[new.bundle])) as library:
        library.create(SHOP)
        with serving(library) as served:
            _fill(served, 20)
            _change(served, new)
            _wait(served, new)
    assert {finding.state for finding in verify(data)} == {"sound"}
    with closing(sqlite3.connect(data / "collections" / SHOP / "catalogue.sqlite3")) as database:
        database.execute(
            "UPDATE embeddings SET vector = zeroblob(length(vector))"
            " WHERE place = (SELECT min(place) FROM embeddings WHERE encoder = 1)"
        )
        database.commit()
    assert [f.state for f in verify(data) if f.state != "sound"] == ["mendable"]
    with closing(Library(data, tiny_encoder_bundle)) as library, serving(library) as served:
        _roll_back(served)
        _wait(served, old)
        _assert_pure(served, old)


def test_a_damaged_note_of_a_change_ends_it(
    tmp_path: Path, tiny_encoder_bundle: Path, old: Oracle, slow: Oracle
) -> None:
    data = tmp_path / "data"
    with closing(Library(data, tiny_encoder_bundle, further=[slow.bundle])) as library:
        library.create(SHOP)
        with serving(library) as served:
            _fill(served, 60)
            _change(served, slow)
            eventually(lambda: _collection(served).encoder_change.done_count > 5, "embeddings")
    note = data / "collections" / SHOP / "change.json"
    content = note.read_text(encoding="utf-8")
    note.write_text(content.replace(slow.fingerprint, "0" * len(slow.fingerprint)))
    with closing(Library(data, tiny_encoder_bundle)) as library, serving(library) as served:
        assert not _collection(served).HasField("encoder_change")
        counts = library.collection(SHOP).catalogue.embedding_counts()
        assert counts == {old.fingerprint: 60}
    assert not note.exists()


def test_a_change_to_an_encoder_that_is_gone_says_so_and_can_be_cancelled(
    tmp_path: Path, tiny_encoder_bundle: Path, old: Oracle, slow: Oracle
) -> None:
    data = tmp_path / "data"
    with closing(Library(data, tiny_encoder_bundle, further=[slow.bundle])) as library:
        library.create(SHOP)
        with serving(library) as served:
            _fill(served, 60)
            _change(served, slow)
    (data / "encoders" / slow.fingerprint / "manifest.json").unlink()
    with closing(Library(data, tiny_encoder_bundle)) as library, serving(library) as served:
        eventually(lambda: bool(_collection(served).encoder_change.fault), "a word on the encoder")
        assert len(items(served, SHOP)) == 60
        _cancel(served)
        assert _collection(served).encoder == old.fingerprint


def test_a_space_of_the_first_release_is_moved_to_its_encoder(
    tmp_path: Path, tiny_encoder_bundle: Path, old: Oracle
) -> None:
    data = tmp_path / "data"
    folder = data / "collections" / SHOP
    with closing(Library(data, tiny_encoder_bundle)) as library:
        library.create(SHOP, space="factored")
        with serving(library) as served:
            _fill(served, 30)
        library.collection(SHOP).settle()
    spaces = folder / "derived" / old.fingerprint / "spaces"
    (fitted,) = spaces.glob("[0-9]*")
    spaces.replace(folder / "spaces")
    (folder / "generations" / "000000000001").mkdir(parents=True)
    with closing(Library(data, tiny_encoder_bundle)) as library:
        assert library.collection(SHOP).state.space.kind == "factored"
        assert [path.name for path in spaces.glob("[0-9]*")] == [fitted.name]
    assert not (folder / "spaces").exists()
    assert not (folder / "generations").exists()


def test_the_kept_picture_is_large_enough_for_an_encoder(shop: Served) -> None:
    out = io.BytesIO()
    Image.effect_noise((900, 600), 60).convert("RGB").save(out, "JPEG")
    upsert(shop, SHOP, [catalog_pb2.ItemInput(id="large", image=out.getvalue())])
    (item,) = items(shop, SHOP, include_thumbnails=True)
    assert Image.open(io.BytesIO(item.thumbnail)).width >= 224


class _Overtaken(SqliteCatalogue):
    """One that another collection writes to just before a fit reads the embeddings."""

    meanwhile: Callable[[], object] = staticmethod(lambda: None)

    def embeddings(self, at_once: int = 500) -> Iterator[StoredEmbedding]:
        self.meanwhile()
        return super().embeddings(at_once)


def test_labels_are_counted_right_when_a_fit_is_overtaken_by_writes(
    shop: Served, tmp_path: Path, new: Oracle
) -> None:
    _fill(shop, 30)
    first = shop.library.collection(SHOP)
    folder = tmp_path / "data" / "collections" / SHOP

    def embed_missing() -> None:
        ids = first.catalogue.without_embedding(new.fingerprint, 100)
        made = {
            identifier: (version, new.embed(jpeg).astype(np.float32))
            for identifier, (version, jpeg) in first.catalogue.pictures(ids).items()
        }
        first.catalogue.write_embeddings(new.fingerprint, made)

    def write() -> None:
        item = _item(0, seed=500)
        item.attributes["colour"] = "blue"
        upsert(shop, SHOP, [item])
        delete(shop, SHOP, "i0002")

    embed_missing()
    dimension = new.encoder.manifest.dimension
    path = folder / "catalogue.sqlite3"
    catalogue = _Overtaken(path, encoder=new.fingerprint, dimension=dimension, incomplete=True)
    catalogue.meanwhile = write
    settings = replace(first.settings, encoder=new.fingerprint, space="factored")
    background = Background()
    second = Collection(folder, settings, new.encoder, catalogue, background)
    second.settle()
    assert second.state.space.kind == "factored"
    second.hold_fits()
    embed_missing()
    second.absorb(["i0000", "i0002"])
    second.close()
    background.close()
    assert len(second) == len(first) == 29
    for facet, values in (("colour", COLOURS), ("shape", SHAPES)):
        for value in values:
            counts = [
                collection.vocabulary.count(collection.vocabulary.find_value(facet, value, ""))
                for collection in (first, second)
            ]
            assert counts[0] == counts[1], (facet, value)
