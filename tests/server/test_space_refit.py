"""A collection's space follows its labels, and no search ever sees half of a change."""

from __future__ import annotations

import itertools
import json
import logging
import os
import shutil
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.testing import assert_allclose
from numpy.typing import NDArray

from server_process import eventually, fill_disk, fitter, small_disk
from tashihiki_server.catalogue.base import ItemRecord
from tashihiki_server.collection import background as background_module
from tashihiki_server.collection import growth as growth_module
from tashihiki_server.collection import refit as refit_module
from tashihiki_server.collection.collection import Collection, State
from tashihiki_server.collection.growth import Growth
from tashihiki_server.library import Library
from tashihiki_server.space.base import AttributeTerm, EmbeddingTerm, SpaceTerm
from tiny_encoder import DIMENSION

OpenLibrary = Callable[..., Library]
Vector = NDArray[np.float32]

COLOURS = ("red", "blue", "green")
SHAPES = ("mug", "hat", "chair")
SIZES = ("small", "large")
_looks = np.random.default_rng(99)
MEAN = 4 + _looks.random(DIMENSION)
EFFECTS = {name: _looks.normal(size=DIMENSION) for name in (*COLOURS, *SHAPES, *SIZES)}
# A colour that the others tell nothing of but where it lies among them: opposite to red.
EFFECTS["gold"] = EFFECTS["blue"] + EFFECTS["green"] - EFFECTS["red"]


def embedding(labels: Mapping[str, str], seed: int) -> Vector:
    """What an item with these labels looks like: effects add up, with some noise."""
    noise = np.random.default_rng(seed).normal(size=DIMENSION)
    total = MEAN + sum(EFFECTS[value] for value in labels.values()) + 0.3 * noise
    vector = np.maximum(total, 0.0).astype(np.float32)
    unit: Vector = vector / np.linalg.norm(vector)
    return unit


def record(name: str, seed: int, **labels: str) -> ItemRecord:
    return ItemRecord(name, labels, embedding=embedding(labels, seed))


def goods(count: int, start: int = 0) -> list[ItemRecord]:
    """Items of two facets, each with three values."""
    pairs = itertools.islice(itertools.cycle(itertools.product(COLOURS, SHAPES)), count)
    return [
        record(f"i{number}", number, colour=colour, shape=shape)
        for number, (colour, shape) in enumerate(pairs, start)
    ]


def becomes(collection: Collection, kind: str) -> None:
    eventually(lambda: collection.state.space.kind == kind, f"a {kind} space")


def attribute(collection: Collection, facet: str, value: str) -> AttributeTerm:
    return AttributeTerm(1.0, collection.vocabulary.find_value(facet, value, ""))


def ask(
    collection: Collection, terms: Iterable[SpaceTerm], limit: int = 5, state: State | None = None
) -> list[str]:
    """The ids that are found, after comparing with all rows of the state by numpy."""
    state = state or collection.state
    vector = state.space.compose(list(terms)).vector
    found = collection.nearest(state, vector, limit, None, set())
    ids = [state.rows.id(int(row)) for row in found.rows]
    alive = np.flatnonzero(state.rows.alive)
    similarities = state.rows.take(np.array(alive)).astype(np.float64) @ vector.astype(np.float64)
    best = sorted(
        zip(alive.tolist(), similarities.round(9).tolist(), strict=True),
        key=lambda pair: (-pair[1], state.rows.id(pair[0])),
    )
    assert ids == [state.rows.id(row) for row, _ in best[:limit]]
    return ids


def colours_of(collection: Collection, ids: Iterable[str]) -> set[str]:
    items = collection.catalogue.items(list(ids))
    return {item.attributes["colour"] for item in items.values()}


def assert_whole(collection: Collection) -> None:
    """Every row is its item's embedding in the space that serves."""
    state = collection.state
    stored = {item.id: item for item in collection.catalogue.embeddings()}
    live = np.flatnonzero(state.rows.alive).tolist()
    assert {state.rows.id(row): state.rows.version(row) for row in live} == {
        name: item.version for name, item in stored.items()
    }
    wanted = state.space.project(np.array([stored[state.rows.id(n)].embedding for n in live]))
    assert_allclose(state.rows.take(np.array(live)), wanted, atol=1e-5)
    assert state.rows.frozen.shape[1] == state.space.dimension


@pytest.fixture
def collection(library: Library) -> Collection:
    """Of 45 items, in a factored space."""
    made = library.create("shop")
    made.upsert(goods(45))
    made.settle()
    assert made.state.space.kind == "factored"
    return made


def spaces(folder: Path) -> Path:
    derived = folder / "data" / "collections" / "shop" / "derived"
    return next(derived.glob("*"), derived) / "spaces"


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growth_module, "QUIET", 0.1)


# Which space


def test_a_collection_becomes_factored_when_its_labels_are_enough(library: Library) -> None:
    collection = library.create("shop")
    collection.upsert([record(f"i{n}", n, colour=COLOURS[n % 3]) for n in range(12)])
    collection.settle()
    assert (collection.state.space.kind, collection.space_pending) == ("sum", False)
    assert collection.diagnostics is None
    before = collection.state.generation
    collection.upsert(goods(12))
    becomes(collection, "factored")
    assert collection.state.generation > before + 1
    assert {block.facet for block in collection.state.space.blocks} == {"colour", "shape", ""}
    assert collection.diagnostics is not None
    assert_whole(collection)


def test_two_facets_of_few_items_are_not_enough(library: Library) -> None:
    collection = library.create("shop")
    collection.upsert(goods(7))
    collection.settle()
    assert (collection.state.space.kind, collection.space_pending) == ("sum", False)
    collection.upsert(goods(1, start=7))
    collection.settle()
    assert collection.state.space.kind == "factored"


def test_an_explicit_sum_stays_one(open_library: OpenLibrary, tmp_path: Path) -> None:
    library = open_library()
    collection = library.create("shop", space="sum")
    collection.upsert(goods(45))
    collection.settle()
    assert (collection.state.space.kind, collection.space_pending) == ("sum", False)
    library.close()
    again = open_library().collection("shop")
    assert (again.settings.space, again.state.space.kind) == ("sum", "sum")
    assert not spaces(tmp_path).exists()


def test_a_collection_from_before_there_was_a_choice_is_a_sum(
    open_library: OpenLibrary, tmp_path: Path
) -> None:
    library = open_library()
    library.create("shop")
    library.close()
    path = tmp_path / "data" / "collections" / "shop" / "collection.json"
    settings = json.loads(path.read_text())
    del settings["space"], settings["checksum"]
    path.write_text(json.dumps(settings))
    assert open_library().collection("shop").settings.space == "sum"


def test_an_explicit_factored_space_needs_one_facet_with_two_values(library: Library) -> None:
    collection = library.create("shop", space="factored")
    collection.upsert([record(f"r{n}", n, colour="red") for n in range(4)])
    collection.settle()
    assert (collection.state.space.kind, collection.space_pending) == ("sum", False)
    collection.upsert([record(f"b{n}", 10 + n, colour="blue") for n in range(4)])
    becomes(collection, "factored")
    ids = ask(collection, [attribute(collection, "colour", "blue")], 4)
    assert set(ids) == {f"b{n}" for n in range(4)}


def test_a_space_stays_when_the_labels_that_made_it_go(collection: Collection) -> None:
    identity = collection.state.space.identity
    collection.upsert([ItemRecord(f"i{number}", {}) for number in range(45)])
    collection.settle()
    assert not collection.space_pending
    assert collection.state.space.identity == identity
    assert ask(collection, [EmbeddingTerm(1.0, goods(45)[7].embedding)])[0] == "i7"  # type: ignore[arg-type]


def test_a_few_labels_that_are_left_do_not_replace_a_fit_to_many(collection: Collection) -> None:
    identity = collection.state.space.identity
    collection.upsert([ItemRecord(f"i{number}", {}) for number in range(4, 45)])
    collection.settle()
    assert not collection.space_pending
    assert collection.state.space.identity == identity


def test_labels_of_pictures_that_do_not_differ_make_no_space(
    library: Library, caplog: pytest.LogCaptureFixture
) -> None:
    collection = library.create("shop", space="factored")
    same = embedding({}, 0)
    collection.upsert(
        [ItemRecord(f"i{n}", {"colour": COLOURS[n % 3]}, embedding=same) for n in range(9)]
    )
    collection.settle()
    assert (collection.state.space.kind, collection.space_pending) == ("sum", False)
    assert sum("no space is fitted" in line for line in caplog.messages) == 1
    collection.upsert(goods(45))
    becomes(collection, "factored")


# What it is for


def test_embeddings_are_what_was_written_whatever_the_space(collection: Collection) -> None:
    for item in goods(45):
        found = collection.embedding(item.id)
        assert found is not None
        assert item.embedding is not None
        assert (found == item.embedding).all()
    assert collection.embedding("nobody") is None


def test_an_attribute_finds_its_members(collection: Collection) -> None:
    for colour in COLOURS:
        ids = ask(collection, [attribute(collection, "colour", colour)], 10)
        assert colours_of(collection, ids) == {colour}


def test_a_value_that_came_after_the_fit_finds_its_members(collection: Collection) -> None:
    identity = collection.state.space.identity
    collection.upsert([record(f"g{n}", 500 + n, colour="gold", shape="mug") for n in range(3)])
    assert collection.state.space.identity == identity
    ids = ask(collection, [attribute(collection, "colour", "gold")], 3)
    assert set(ids) == {"g0", "g1", "g2"}


def test_a_facet_that_came_after_the_fit_gets_a_block(collection: Collection) -> None:
    more = goods(45)
    collection.upsert([ItemRecord(i.id, {**i.attributes, "size": SIZES[0]}) for i in more[:2]])
    collection.settle()
    assert "size" in collection.vocabulary.facets()
    sized = [
        record(f"s{number}", 600 + number, colour="red", shape="hat", size=SIZES[number % 2])
        for number in range(2)
    ]
    collection.upsert(sized)
    eventually(
        lambda: "size" in {block.facet for block in collection.state.space.blocks}, "its block"
    )
    eventually(lambda: not collection.space_pending, "the end of the fit")
    assert_whole(collection)


def test_a_facet_of_look_alikes_gets_a_block_with_its_first_value_that_differs(
    library: Library,
) -> None:
    collection = library.create("shop")
    plain = goods(45)
    same = embedding({}, 7)
    twins = [ItemRecord(f"t{n}", {"make": "ab"[n % 2]}, embedding=same) for n in range(6)]
    collection.upsert([*plain, *twins])
    collection.settle()
    assert "make" not in {block.facet for block in collection.state.space.blocks}
    collection.upsert([ItemRecord("c", {"make": "c"}, embedding=plain[0].embedding)])
    eventually(
        lambda: "make" in {block.facet for block in collection.state.space.blocks}, "its block"
    )


def test_relabelling_without_a_picture_keeps_the_vector(collection: Collection) -> None:
    collection.upsert([ItemRecord("i0", {"colour": "blue", "shape": "mug"})])
    assert_whole(collection)
    assert ask(collection, [EmbeddingTerm(1.0, embedding(goods(1)[0].attributes, 0))])[0] == "i0"


def test_an_index_of_the_space_answers_as_a_comparison_with_all(library: Library) -> None:
    collection = library.create("shop")
    collection.upsert(goods(400))
    collection.settle()
    state = collection.state
    assert state.space.kind == "factored"
    assert state.index is not None
    assert state.index.count == 400
    for item in goods(20):
        assert item.embedding is not None
        assert ask(collection, [EmbeddingTerm(1.0, item.embedding)])[0] == item.id


# While the collection grows


def fitted_items(collection: Collection) -> int:
    return 0 if collection.diagnostics is None else collection.diagnostics.items


def test_a_catalogue_sorted_by_colour_is_not_fitted_to_its_first_colours(library: Library) -> None:
    collection = library.create("shop")
    catalogue = sorted(goods(90), key=lambda item: item.attributes["colour"])
    with collection.writing():
        for some in (catalogue[:60], catalogue[60:]):
            collection.upsert(some)
            assert collection.space_pending
            assert collection.state.space.kind == "sum"
    becomes(collection, "factored")
    assert fitted_items(collection) == 90
    for colour in COLOURS:
        ids = ask(collection, [attribute(collection, "colour", colour)], 10)
        assert colours_of(collection, ids) == {colour}


class _Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        clock = SimpleNamespace(monotonic=lambda: self.now)
        monkeypatch.setattr(growth_module, "time", clock)


@pytest.mark.parametrize("rate", [1, 40, 5000])
def test_a_stream_without_rest_is_waited_for_until_it_adds_little(
    monkeypatch: pytest.MonkeyPatch, rate: int
) -> None:
    clock, growth = _Clock(monkeypatch), Growth()
    begin, items = clock.now, 10
    with growth.writing():
        while wait := growth.patience(items):
            assert wait <= growth_module.QUIET
            clock.now += wait
            items = 10 + int(rate * (clock.now - begin))
            growth.note()
            assert clock.now - begin <= 60.0
    # What is missed of the stream by then is little beside what is there.
    assert items >= 10 * rate * growth_module.SPAN - 10


def test_what_has_come_to_rest_is_waited_for_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, growth = _Clock(monkeypatch), Growth()
    assert growth.patience(50) == 0
    growth.note()
    assert growth.patience(50) == pytest.approx(growth_module.QUIET)
    clock.now += growth_module.QUIET
    assert growth.patience(50) == 0
    with growth.writing():
        assert growth.patience(50) > 0
    assert growth.patience(50) == 0


def test_a_first_fit_that_was_outgrown_is_not_put_in_force(fitting: Collection) -> None:
    fitting.upsert(goods(100, start=45))
    let_go(fitting)
    assert fitted_items(fitting) == 145


def test_of_fits_that_are_all_outgrown_the_second_is_put_in_force(fitting: Collection) -> None:
    first = fitter()
    fitting.upsert(goods(100, start=45))
    first.resume()
    first.wait()
    second = fitter()
    second.suspend()
    fitting.upsert(goods(155, start=145))
    second.resume()
    eventually(lambda: fitted_items(fitting) == 145, "a space of the second fit")
    eventually(lambda: fitted_items(fitting) == 300, "the next fit, without a rest")


def test_fits_in_vain_rest_also_when_the_last_one_is_outgrown(
    library: Library, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refit_module, "REST", 100_000.0)
    collection = library.create("shop")
    collection.upsert(goods(9))
    becomes(collection, "factored")
    same = embedding({}, 0)
    # No picture differs from another, whatever its label.
    alike = [ItemRecord(f"i{n}", {"colour": COLOURS[n % 3]}, embedding=same) for n in range(60)]
    collection.upsert(alike)
    eventually(lambda: "no space is fitted" in caplog.text, "a fit in vain")
    collection.upsert([replace(alike[1], attributes={"colour": "red"})])
    collection.hold_fits()
    assert sum("no space is fitted" in line for line in caplog.messages) == 1


def test_a_collection_that_has_doubled_is_fitted_without_a_rest(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refit_module, "REST", 100_000.0)
    collection = library.create("shop")
    for count in (9, 20, 60):
        collection.upsert(goods(count))
        eventually(lambda count=count: fitted_items(collection) == count, "the next fit")  # type: ignore[misc]
    collection.upsert(goods(40, start=60))
    assert collection.space_pending
    assert fitted_items(collection) == 60


def test_a_third_value_gets_directions_of_its_own(library: Library) -> None:
    """Of two values, all items on one side look the same, whatever else they are."""
    collection = library.create("shop")
    collection.upsert([item for item in goods(90) if item.attributes["colour"] != "green"])
    collection.settle()
    # Last of all ids, so that they are found by what they look like.
    collection.upsert([record(f"z{n}", 500 + n, colour="green", shape="mug") for n in range(3)])
    green = attribute(collection, "colour", "green")
    eventually(lambda: set(ask(collection, [green], 3)) == {"z0", "z1", "z2"}, "its items")


# While a space is fitted


@pytest.fixture
def fitting(library: Library) -> Iterator[Collection]:
    """A collection whose first fit takes as long as the test likes; see `let_go`."""
    made = library.create("shop")
    made.upsert(goods(45))
    fitter().suspend()
    yield made
    made.close()


def let_go(collection: Collection) -> None:
    fitter().resume()
    becomes(collection, "factored")


def test_what_is_written_during_a_fit_is_searched_at_once_and_after_it(
    fitting: Collection,
) -> None:
    assert fitting.space_pending
    new = record("new", 700, colour="gold", shape="hat")
    changed = record("i3", 701, colour="gold", shape="hat")
    fitting.upsert([new, changed, ItemRecord("i4", {"colour": "gold", "shape": "chair"})])
    fitting.delete(["i5"], skip_missing=False)
    for kind in ("sum", "factored"):
        if kind == "factored":
            let_go(fitting)
        assert fitting.state.space.kind == kind
        assert_whole(fitting)
        for item in (new, changed):
            assert item.embedding is not None
            assert ask(fitting, [EmbeddingTerm(1.0, item.embedding)])[0] == item.id
        # Its prototype is of the three that have it, in whichever space.
        state, key = fitting.state, fitting.vocabulary.find_value("colour", "gold", "")
        members = state.rows.members(key)
        assert {state.rows.id(int(row)) for row in members} == {"new", "i3", "i4"}
        composed = state.space.compose([AttributeTerm(1.0, key)]).vector
        wanted = state.space.prototype("colour", state.rows.take(members))
        assert_allclose(composed, wanted / np.linalg.norm(wanted), atol=1e-5)
        assert "i5" not in ask(fitting, [attribute(fitting, "colour", "gold")], 45)


def test_a_killed_fit_is_logged_and_made_up_for(
    fitting: Collection, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(background_module, "RETRY_SECONDS", 0.2)
    fitter().send_signal(signal.SIGKILL)
    eventually(lambda: "could not be fitted" in caplog.text, "a log line")
    assert "-9" in caplog.text
    becomes(fitting, "factored")
    assert_whole(fitting)


def test_closing_ends_a_fit(open_library: OpenLibrary, tmp_path: Path) -> None:
    library = open_library()
    library.create("shop").upsert(goods(45))
    process = fitter()
    process.suspend()
    threads = threading.active_count()
    library.close()
    assert not process.is_running()
    assert list(spaces(tmp_path).iterdir()) == []
    assert threading.active_count() < threads
    again = open_library().collection("shop")
    becomes(again, "factored")


def test_deleting_does_not_wait_for_the_fit_of_another_collection(library: Library) -> None:
    library.create("first").upsert(goods(45))
    process = fitter()
    process.suspend()
    library.create("second").upsert(goods(45))
    library.delete("second")
    process.resume()
    becomes(library.collection("first"), "factored")


def test_a_full_disk_keeps_the_old_space_until_there_is_room(
    tmp_path: Path,
    tiny_encoder_bundle: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(background_module, "RETRY_SECONDS", 0.2)
    with small_disk(tmp_path / "disk", "size=6m") as disk:
        library = Library(disk / "data", tiny_encoder_bundle)
        collection = library.create("shop", space="factored")
        collection.upsert([record(f"r{n}", n, colour="red") for n in range(100)])
        # The catalogue's log has room for two more items; a fit has not.
        filler = fill_disk(disk, leave=24_000)
        collection.upsert([record(f"b{n}", 200 + n, colour="blue") for n in range(2)])
        eventually(lambda: "could not be fitted" in caplog.text, "a failed fit")
        assert collection.state.space.kind == "sum"
        assert_whole(collection)
        filler.unlink()
        becomes(collection, "factored")
        assert_whole(collection)
        library.close()


def test_searches_beside_writes_and_fits_see_one_state(collection: Collection) -> None:
    """Each writer changes looks and labels; each answer is checked in its own state."""
    fixed = goods(45)[40:]
    over = threading.Event()
    faults: list[BaseException] = []
    identities: set[str] = set()

    def repeat(work: Callable[[int], None]) -> None:
        try:
            for turn in itertools.count():
                if over.is_set():
                    return
                work(turn)
        except BaseException as error:
            faults.append(error)
            over.set()

    def write(turn: int) -> None:
        some = [record(f"w{n}", 100_000 + turn * 10 + n, **_labels(turn + n)) for n in range(10)]
        collection.upsert(some)
        collection.upsert([ItemRecord("w3", _labels(turn))])
        collection.delete(["w4"], skip_missing=True)
        # Never written again, so that whatever forgets it is found out.
        collection.upsert([record(f"once{turn}", 20_000 + turn, **_labels(turn))])
        collection.delete([f"once{turn - 30}"], skip_missing=True)

    def read(turn: int) -> None:
        state = collection.state
        identities.add(state.space.identity)
        item = fixed[turn % len(fixed)]
        assert item.embedding is not None
        assert ask(collection, [EmbeddingTerm(1.0, item.embedding)], state=state)[0] == item.id
        colour = attribute(collection, "colour", "red")
        assert len(ask(collection, [colour], state=state)) == 5

    threads = [threading.Thread(target=repeat, args=(work,)) for work in (write, read, read)]
    for thread in threads:
        thread.start()
    eventually(lambda: over.is_set() or len(identities) >= 3, "three spaces")
    over.set()
    for thread in threads:
        thread.join()
    assert faults == []
    assert_whole(collection)
    collection.settle()
    assert not collection.space_pending
    assert_whole(collection)


def _labels(number: int) -> dict[str, str]:
    return {"colour": COLOURS[number % 3], "shape": SHAPES[number // 3 % 3]}


# What is on disk


def answers(collection: Collection) -> list[list[str]]:
    return [
        ask(collection, [attribute(collection, "colour", colour), EmbeddingTerm(1.0, vector)])
        for colour in COLOURS
        for vector in (embedding({"shape": shape}, 800) for shape in SHAPES)
    ]


def test_a_restart_serves_what_was_served(
    open_library: OpenLibrary, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    library = open_library()
    collection = library.create("shop")
    collection.upsert(goods(300))
    collection.settle()
    collection.upsert([record(f"g{n}", 500 + n, colour="gold", shape="mug") for n in range(3)])
    before = collection.state
    found = answers(collection)
    library.close()
    with caplog.at_level(logging.WARNING):
        again = open_library().collection("shop")
    assert caplog.messages == []
    assert again.state.space.identity == before.space.identity
    assert again.state.generation == before.generation
    assert again.state.index is not None
    assert not again.space_pending
    assert again.diagnostics is not None
    assert answers(again) == found
    assert_whole(again)
    # The three that came after the fit still count towards the next.
    again.upsert([record(f"n{n}", 900 + n, **_labels(n)) for n in range(57)])
    becomes(again, "factored")
    eventually(lambda: again.state.space.identity != before.space.identity, "the next fit")
    assert len(list(spaces(tmp_path).glob("[0-9]*"))) == 1


def _truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


@pytest.mark.parametrize("damage", [_truncate, Path.unlink])
@pytest.mark.parametrize("name", ["space.json", "space.npz", "basis.json"])
def test_a_damaged_space_is_logged_and_fitted_again(
    open_library: OpenLibrary,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    name: str,
    damage: Callable[[Path], object],
) -> None:
    library = open_library()
    library.create("shop").upsert(goods(45))
    library.collection("shop").settle()
    library.close()
    (folder,) = spaces(tmp_path).iterdir()
    damage(folder / name)
    again = open_library().collection("shop")
    assert sum("will be fitted again" in line for line in caplog.messages) == 1
    becomes(again, "factored")
    assert_whole(again)
    eventually(lambda: not folder.exists(), "the end of the damaged one")


def test_a_space_of_another_encoder_is_not_opened(
    open_library: OpenLibrary, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    library = open_library()
    library.create("shop").upsert(goods(45))
    library.collection("shop").settle()
    library.close()
    (folder,) = spaces(tmp_path).iterdir()
    basis = json.loads((folder / "basis.json").read_text())
    (folder / "basis.json").write_text(
        json.dumps({**basis, "encoder": "another", "checksum": None})
    )
    again = open_library().collection("shop")
    assert "another encoder" in caplog.text
    becomes(again, "factored")


def test_what_a_killed_fit_left_is_removed(open_library: OpenLibrary, tmp_path: Path) -> None:
    library = open_library()
    library.create("shop").upsert(goods(45))
    library.collection("shop").settle()
    library.close()
    left = spaces(tmp_path) / "fitting-x1y2z3"
    (folder,) = spaces(tmp_path).iterdir()
    shutil.copytree(folder, left)
    assert open_library().collection("shop").state.space.kind == "factored"
    assert list(spaces(tmp_path).iterdir()) == [folder]
