"""What dead rows leave: memory, disk and columns that live items can have again."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

from calls import Floats
from gallery import random_vectors
from server_process import eventually
from tashihiki.errors import FailedPreconditionError
from tashihiki_server.catalogue.base import ItemRecord, StoredLabels
from tashihiki_server.collection.builds import MIN_INDEXED
from tashihiki_server.collection.collection import Collection, State
from tashihiki_server.collection.columns import MAX_PATHS
from tashihiki_server.library import Library
from tashihiki_server.query.filter import Bounds

OpenLibrary = Callable[..., Library]
COUNT = 1100
VECTORS = random_vectors(COUNT, 3)
QUERY = random_vectors(1, 4)[0]
JUNK = {f"junk{number:03}": number for number in range(MAX_PATHS + 10)}


def record(number: int, vector: Floats, metadata: dict[str, Any] | None = None) -> ItemRecord:
    return ItemRecord(
        f"i{number:05}",
        # Without labels no space is fitted, which would arrange the rows anew.
        {"parity": str(number % 2)} if metadata is None else {},
        embedding=vector.astype(np.float32),
        metadata=metadata or {},
    )


def assert_answered(
    collection: Collection, wanted: Mapping[str, Floats], state: State | None = None
) -> None:
    """Compares all hits of a query with numpy."""
    state = state or collection.state
    found = collection.nearest(state, QUERY.astype(np.float32), len(wanted) + 1, None, set())
    similarities = {identifier: float(vector @ QUERY) for identifier, vector in wanted.items()}
    ids = [state.rows.id(int(row)) for row in found.rows]
    assert sorted(ids) == sorted(wanted)
    assert_allclose(found.similarities, [similarities[i] for i in ids], atol=1e-6)
    assert sorted(found.similarities, reverse=True) == found.similarities.tolist()


def generations(data: Path) -> Path:
    (derived,) = (data / "collections" / "shop" / "derived").iterdir()
    return derived / "generations"


def test_few_items_that_many_have_left_keep_neither_rows_nor_an_index(
    open_library: OpenLibrary, tmp_path: Path
) -> None:
    library = open_library()
    collection = library.create("shop")
    collection.upsert([record(n, VECTORS[n]) for n in range(COUNT)])
    collection.settle()
    folder = generations(tmp_path / "data")
    before = collection.state
    assert before.index is not None
    collection.delete([f"i{n:05}" for n in range(50, COUNT)], skip_missing=False)
    eventually(lambda: collection.state.rows.count == 50, "fewer rows")
    collection.settle()
    assert collection.state.index is None
    assert not collection.index_pending
    assert list(folder.iterdir()) == []
    left = {f"i{n:05}": VECTORS[n] for n in range(50)}
    assert_answered(collection, left)
    assert_answered(collection, {f"i{n:05}": VECTORS[n] for n in range(COUNT)}, before)
    assert collection.state.rows.attributes(0) == {"parity": "0"}

    # They are written to as before, and may become many again.
    collection.upsert([record(3, VECTORS[903])])
    collection.delete(["i00007"], skip_missing=False)
    left["i00003"] = VECTORS[903]
    del left["i00007"]
    assert_answered(collection, left)
    library.close()
    assert_answered(open_library().collection("shop"), left)


def test_an_index_that_outlived_its_rows_does_no_harm(
    open_library: OpenLibrary, tmp_path: Path
) -> None:
    library = open_library()
    collection = library.create("shop")
    collection.upsert([record(n, VECTORS[n]) for n in range(COUNT)])
    collection.settle()
    folder = generations(tmp_path / "data")
    shutil.copytree(folder, tmp_path / "stale")
    collection.delete([f"i{n:05}" for n in range(50, COUNT)], skip_missing=False)
    collection.upsert([record(3, VECTORS[903])])
    eventually(lambda: collection.state.index is None, "the end of the index")
    library.close()
    shutil.rmtree(folder)
    shutil.copytree(tmp_path / "stale", folder)
    left = {f"i{n:05}": VECTORS[n] for n in range(50)} | {"i00003": VECTORS[903]}
    reopened = open_library().collection("shop")
    assert_answered(reopened, left)
    eventually(lambda: reopened.state.rows.count == 50, "fewer rows")
    assert_answered(reopened, left)


def test_rows_of_few_items_that_are_written_again_and_again_stay_few(
    open_library: OpenLibrary,
) -> None:
    collection = open_library().create("shop")
    for turn in range(150):
        collection.upsert([record(n, VECTORS[10 * (turn % 100) + n]) for n in range(10)])
    collection.settle()
    eventually(lambda: collection.state.rows.count <= 10 + MIN_INDEXED, "fewer rows")
    assert_answered(collection, {f"i{n:05}": VECTORS[490 + n] for n in range(10)})


def priced(state: State, low: float) -> list[str]:
    rows = state.rows
    mask = rows.between("price", Bounds(at_least=low)) & rows.alive
    return sorted(rows.ids(np.flatnonzero(mask)).tolist())


@pytest.fixture
def crowded(open_library: OpenLibrary) -> Collection:
    """A collection whose columns one item has taken, and 200 that came after it."""
    collection = open_library().create("shop")
    collection.upsert([ItemRecord("junk", {}, embedding=VECTORS[0], metadata=JUNK)])
    collection.upsert([record(n, VECTORS[n], {"price": float(n)}) for n in range(200)])
    with pytest.raises(FailedPreconditionError, match="or had") as caught:
        priced(collection.state, 0.0)
    assert caught.value.reason == "FILTER_PATH_LIMIT"
    return collection


def test_paths_of_an_item_that_has_gone_make_room_for_others(crowded: Collection) -> None:
    crowded.delete(["junk"], skip_missing=False)
    crowded.upsert([record(n, VECTORS[n], {"price": float(n)}) for n in range(200, 400)])
    crowded.settle()
    assert priced(crowded.state, 150.0) == [f"i{n:05}" for n in range(150, 400)]
    crowded.upsert([record(7, VECTORS[7], {"price": 1000.0})])
    assert priced(crowded.state, 395.0) == ["i00007", *(f"i{n:05}" for n in range(395, 400))]
    assert not crowded.state.rows.present("junk000").any()
    assert not crowded.state.rows.present("junk135").any()


def test_what_is_written_while_metadata_is_read_again_is_filtered_as_it_is(
    crowded: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    prices = {f"i{n:05}": float(n) for n in range(400)}
    read = crowded.catalogue.labels

    def overtaken() -> Iterator[StoredLabels]:
        for place, item in enumerate(read()):
            if place == 100:
                for start in range(400, 2800, 800):
                    more = {n: 10_000.0 + n for n in range(start, start + 800)}
                    crowded.upsert([record(n, VECTORS[n % 9], {"price": more[n]}) for n in more])
                    prices.update({f"i{n:05}": price for n, price in more.items()})
                crowded.upsert([record(n, VECTORS[n], {"price": -1.0}) for n in range(300, 350)])
                prices.update({f"i{n:05}": -1.0 for n in range(300, 350)})
                crowded.delete(["i00399"], skip_missing=False)
                prices.pop("i00399", None)
            yield item

    crowded.delete(["junk"], skip_missing=False)
    monkeypatch.setattr(crowded.catalogue, "labels", overtaken)
    crowded.upsert([record(n, VECTORS[n], {"price": float(n)}) for n in range(200, 400)])
    eventually(lambda: len(crowded) == 2799, "the writes in between")
    monkeypatch.setattr(crowded.catalogue, "labels", read)
    crowded.settle()
    for low in (-5.0, 0.0, 320.0, 10_500.0):
        assert priced(crowded.state, low) == sorted(
            i for i, price in prices.items() if price >= low
        )
