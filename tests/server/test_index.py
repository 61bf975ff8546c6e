"""The derived index: damage is noticed, building disturbs nobody, answers stay right."""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose
from numpy.typing import NDArray

from routes import only_route
from server_process import builder, eventually
from tashihiki_server.catalogue.base import ItemRecord
from tashihiki_server.collection import background as background_module
from tashihiki_server.collection.collection import Collection
from tashihiki_server.collection.nearest import Nearest
from tashihiki_server.index.base import Route
from tashihiki_server.index.generation import open_latest
from tashihiki_server.library import Library
from tiny_encoder import DIMENSION, write_tiny_encoder

OpenLibrary = Callable[..., Library]
Vectors = NDArray[np.float32]
# Enough for an index that is asked instead of a comparison with all.
COUNT = 1100
CLUSTERS = 40
LIMIT = 5
REBUILT = "rebuilt from the catalogue"


def vectors(count: int, seed: int = 0) -> Vectors:
    """Clusters far apart, so that an index finds the very nearest of them."""
    centres = np.random.default_rng(99).random((CLUSTERS, DIMENSION)) ** 3
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    dice = np.random.default_rng(seed)
    near = centres[dice.integers(CLUSTERS, size=count)]
    near = np.abs(near + 0.08 * dice.normal(size=near.shape))
    found: Vectors = (near / np.linalg.norm(near, axis=1, keepdims=True)).astype(np.float32)
    return found


GALLERY = vectors(COUNT)
QUERIES = vectors(20, seed=1)


def records(gallery: Vectors, start: int = 0) -> list[ItemRecord]:
    return [
        ItemRecord(f"i{start + number}", {"parity": str(number % 2)}, embedding=vector)
        for number, vector in enumerate(gallery)
    ]


def ask(collection: Collection, query: Vectors) -> tuple[list[str], Nearest]:
    state = collection.state
    found = collection.nearest(state, query, LIMIT, None, set())
    return [state.rows.id(int(row)) for row in found.rows], found


def assert_right(collection: Collection, gallery: Vectors = GALLERY) -> bool:
    """Compares with numpy; says whether the index was used.

    The index may miss one in a hundred; whatever it finds has the similarity that it must have.
    """
    routes, missed = set(), 0
    for query in QUERIES:
        ids, found = ask(collection, query)
        similarities = gallery.astype(np.float64) @ query.astype(np.float64)
        wanted = [f"i{number}" for number in np.argsort(-similarities)[:LIMIT]]
        own = [similarities[int(identifier[1:])] for identifier in ids]
        assert_allclose(found.similarities, own, atol=1e-6)
        assert len(ids) == LIMIT
        assert sorted(own, reverse=True) == own
        exact = found.route is Route.EXACT
        assert not exact or ids == wanted
        missed += len(set(wanted) - set(ids))
        routes.add(exact)
    assert missed <= 0.03 * len(QUERIES) * LIMIT
    (exact,) = routes
    return not exact


@pytest.fixture(scope="module", params=[Route.CELLS, Route.GRAPH], ids=lambda route: route.value)
def route(request: pytest.FixtureRequest) -> Iterator[Route]:
    """The only route that builds may take; so few rows are faster compared with all."""
    chosen: Route = request.param
    with only_route(chosen):
        yield chosen


@pytest.fixture(autouse=True)
def _one_route(route: Route) -> None:
    """Every test here has an index."""


@pytest.fixture(scope="module")
def indexed(
    route: Route, tmp_path_factory: pytest.TempPathFactory, tiny_encoder_bundle: Path
) -> Path:
    """A data folder whose one collection has an index."""
    folder = tmp_path_factory.mktemp("indexed") / "data"
    library = Library(folder, tiny_encoder_bundle)
    collection = library.create("shop")
    collection.upsert(records(GALLERY))
    collection.settle()
    assert assert_right(collection)
    library.close()
    return folder


@pytest.fixture
def data(indexed: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    shutil.copytree(indexed, tmp_path / "data")
    return tmp_path / "data"


def generations(data: Path) -> Path:
    (derived,) = (data / "collections" / "shop" / "derived").iterdir()
    return derived / "generations"


# Damage


def _truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def _flip(path: Path) -> None:
    # Some files end with a line feed or padding that nobody reads, so not the very last.
    content = bytearray(path.read_bytes())
    content[-(len(content) // 3) - 1] ^= 0x10
    path.write_bytes(content)


def _lengthen(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"\0")


COMMON = {
    "manifest.json",
    "ids.json",
    "versions.npy",
    "vectors.npy",
    "calibration.json",
    "prototypes.json",
    "prototypes.npy",
}
OF_ROUTE = {
    Route.CELLS: {"cells-0.npz"},
    Route.GRAPH: {"ngt/grp", "ngt/obj", "ngt/prf", "ngt/robj", "ngt/tre"},
}


def files_of(generation: Path) -> set[str]:
    found = generation.rglob("*")
    return {str(path.relative_to(generation)) for path in found if path.is_file()}


def test_every_file_of_an_index_is_known(indexed: Path, route: Route) -> None:
    (generation,) = generations(indexed).iterdir()
    assert files_of(generation) == COMMON | OF_ROUTE[route]


@pytest.mark.parametrize("damage", [_truncate, _flip, _lengthen, Path.unlink])
def test_damage_of_any_file_is_noticed(
    indexed: Path, tmp_path: Path, damage: Callable[[Path], object]
) -> None:
    (generation,) = generations(indexed).iterdir()
    identity = json.loads((generation / "manifest.json").read_text())["identity"]
    for name in sorted(files_of(generation)):
        copy = tmp_path / name.replace("/", "-") / generation.name
        shutil.copytree(generation, copy)
        assert open_latest(copy.parent, identity) is not None
        damage(copy / name)
        assert open_latest(copy.parent, identity) is None, name


def test_a_damaged_index_is_rebuilt_and_answers_are_right_at_once(
    data: Path, open_library: OpenLibrary, caplog: pytest.LogCaptureFixture
) -> None:
    (generation,) = generations(data).iterdir()
    _truncate(generation / "vectors.npy")
    with caplog.at_level(logging.WARNING):
        library = open_library()
    collection = library.collection("shop")
    builder().suspend()
    assert sum(REBUILT in line for line in caplog.messages) == 1
    assert collection.state.index is None
    assert not assert_right(collection)
    builder().resume()
    collection.settle()
    assert assert_right(collection)
    library.close()
    assert [folder.name > generation.name for folder in generations(data).iterdir()] == [True]
    again = open_library().collection("shop")
    assert again.state.index is not None
    assert assert_right(again)


@pytest.mark.parametrize("change", [{"count": 700}, {"count": 3}, {"number": -1}, {"files": []}])
def test_a_manifest_that_was_edited_is_not_believed(
    data: Path, change: dict[str, object], caplog: pytest.LogCaptureFixture
) -> None:
    (generation,) = generations(data).iterdir()
    path = generation / "manifest.json"
    manifest = json.loads(path.read_text())
    path.write_text(json.dumps({**manifest, **change}, indent=1))
    assert open_latest(generations(data), manifest["identity"]) is None
    assert REBUILT in caplog.text
    # Written back as it was, it is believed: the layout alone is not what was noticed.
    path.write_text(json.dumps(manifest))
    assert open_latest(generations(data), manifest["identity"]) is not None


def test_an_index_of_another_encoder_is_not_opened(
    data: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (generation,) = generations(data).iterdir()
    identity = json.loads((generation / "manifest.json").read_text())["identity"]
    assert open_latest(generations(data), identity) is not None
    assert open_latest(generations(data), "another/sum") is None
    assert "another encoder" in caplog.text


def test_an_index_moved_in_from_a_collection_of_another_encoder_is_rebuilt(
    data: Path, open_library: OpenLibrary, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    library = open_library()
    write_tiny_encoder(tmp_path / "other", name="other")
    library.install(tmp_path / "other")
    made = library.create("other", encoder="other")
    made.upsert(records(vectors(COUNT, seed=5)))
    library.close()
    other = data / "collections" / "other" / "derived" / made.settings.encoder / "generations"
    shutil.rmtree(other, ignore_errors=True)
    shutil.copytree(generations(data), other)
    again = open_library().collection("other")
    assert "another encoder" in caplog.text
    assert_right(again, vectors(COUNT, seed=5))


@pytest.mark.parametrize("name", ["building", "building-x1y2z3"])
def test_what_a_killed_build_left_is_removed(
    data: Path, open_library: OpenLibrary, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    left = generations(data) / name
    (left / "ngt").mkdir(parents=True)
    (left / "vectors.npy").write_bytes(b"half of it")
    with caplog.at_level(logging.WARNING):
        collection = open_library().collection("shop")
    assert not left.exists()
    assert assert_right(collection)
    assert caplog.messages == []


# Changes after the index was built


def test_items_that_came_changed_and_went_are_answered_rightly(
    data: Path, open_library: OpenLibrary
) -> None:
    library = open_library()
    collection = library.collection("shop")
    gallery = GALLERY.copy()
    gallery[:40] = vectors(40, seed=2)
    collection.upsert(records(gallery[:40]))
    collection.upsert(records(vectors(30, seed=3), start=COUNT))
    gallery = np.concatenate([gallery, vectors(30, seed=3)])
    gone = range(100, 130)
    collection.delete([f"i{number}" for number in gone], skip_missing=False)
    gallery[list(gone)] = 0
    # Where marks leave few rows of a cell, the cells may pass.
    assert_right(collection, gallery)
    library.close()
    assert_right(open_library().collection("shop"), gallery)


def test_an_item_deleted_and_added_again_is_found_by_its_new_vector(
    data: Path, open_library: OpenLibrary
) -> None:
    collection = open_library().collection("shop")
    collection.delete(["i7"], skip_missing=False)
    gallery = GALLERY.copy()
    gallery[7] = vectors(1, seed=9)[0]
    collection.upsert(records(gallery[7:8], start=7))
    assert assert_right(collection, gallery)
    assert ask(collection, gallery[7])[0][0] == "i7"


# Building


@pytest.fixture
def growing(open_library: OpenLibrary) -> Iterator[Collection]:
    """A collection that has just become large enough for an index."""
    collection = open_library().create("shop")
    collection.upsert(records(GALLERY))
    yield collection
    collection.close()


def test_searches_and_writes_go_on_while_an_index_is_built(growing: Collection) -> None:
    building = builder()
    # Stopped, it takes as long as it takes us: whoever waited for it would wait for ever.
    building.suspend()
    assert not assert_right(growing)
    more = vectors(30, seed=3)
    growing.upsert(records(more, start=COUNT))
    growing.delete(["i3"], skip_missing=False)
    gallery = np.concatenate([GALLERY, more])
    gallery[3] = 0
    assert not assert_right(growing, gallery)
    building.resume()
    eventually(lambda: growing.state.index is not None, "the index")
    # What changed meanwhile is not in it, and is answered all the same.
    assert assert_right(growing, gallery)


def test_a_killed_build_is_logged_and_made_up_for(
    growing: Collection, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(background_module, "RETRY_SECONDS", 0.2)
    building = builder()
    building.suspend()
    building.send_signal(signal.SIGKILL)
    eventually(lambda: "could not be built" in caplog.text, "a log line")
    assert "-9" in caplog.text
    assert_right(growing)
    # Nobody writes any more: it comes by itself.
    eventually(lambda: growing.state.index is not None, "the second build")
    assert assert_right(growing)


def test_closing_ends_a_build(open_library: OpenLibrary, tmp_path: Path) -> None:
    library = open_library()
    library.create("shop").upsert(records(GALLERY))
    building = builder()
    library.close()
    assert not building.is_running()
    assert list(generations(tmp_path / "data").iterdir()) == []


def test_deleting_does_not_wait_for_the_build_of_another_collection(
    open_library: OpenLibrary,
) -> None:
    library = open_library()
    library.create("first").upsert(records(GALLERY))
    building = builder()
    building.suspend()
    library.create("second").upsert(records(GALLERY))
    library.delete("second")
    assert [collection.settings.name for collection in library.collections()] == ["first"]
    building.resume()
    first = library.collection("first")
    eventually(lambda: first.state.index is not None, "the index of the first")
