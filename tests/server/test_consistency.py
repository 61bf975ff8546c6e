"""What a search sees while others write: one state, whole and labelled as it was."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from calls import (
    array,
    compose,
    create,
    delete,
    failure,
    hit_ids,
    metadata,
    search,
    term,
    text_filter,
    upsert,
    vector,
    vector_item,
)
from gallery import random_vectors
from serving import Served
from tashihiki.v1 import catalog_pb2, search_pb2
from tashihiki_server.collection.collection import Collection
from tashihiki_server.collection.nearest import Nearest
from tashihiki_server.service import search as search_module

SECONDS = 1.5
ROWS = random_vectors(40, 3)


@contextmanager
def meanwhile(work: Callable[[int], object]) -> Iterator[None]:
    """Repeats the work in a thread of its own until the end of the block."""
    over = threading.Event()
    faults: list[BaseException] = []

    def repeat() -> None:
        round_ = 0
        try:
            while not over.is_set():
                work(round_)
                round_ += 1
        except BaseException as error:
            faults.append(error)

    thread = threading.Thread(target=repeat)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
    assert not faults


def rounds() -> Iterator[None]:
    stop = time.monotonic() + SECONDS
    while time.monotonic() < stop:
        yield


FIXED = {"i0": "green", "i1": "blue", "i2": "red"}


@pytest.fixture
def flickering(served: Served) -> Callable[[int], object]:
    """Writes that change every item's look and turn it red and blue, but for FIXED colours."""
    create(served, "c")

    def paint(round_: int) -> None:
        colour = ("red", "blue")[round_ % 2]
        rows = np.roll(ROWS, round_, axis=1)
        items = [
            vector_item(name, row, colour=FIXED.get(name, colour), all="yes")
            for name, row in zip((f"i{n}" for n in range(len(rows))), rows, strict=True)
        ]
        upsert(served, "c", items)

    paint(0)
    return paint


def test_every_hit_has_the_labels_that_the_filter_asked_for(
    served: Served, flickering: Callable[[int], object]
) -> None:
    seen = 0
    with meanwhile(flickering):
        for _ in rounds():
            answer = search(
                served, "c", "all:yes", filter=text_filter("colour:green or not colour:blue")
            )
            assert all(hit.attributes["colour"] != "blue" for hit in answer.hits)
            seen += len(answer.hits)
    assert seen


def test_an_item_that_is_replaced_is_there_throughout(
    served: Served, flickering: Callable[[int], object]
) -> None:
    with meanwhile(flickering):
        for _ in rounds():
            assert search(served, "c", "this item + green", {"this_item": "i0"}).hits


def priced(name: str, row: int, price: float) -> catalog_pb2.ItemInput:
    item = vector_item(name, ROWS[row], all="yes")
    item.metadata.CopyFrom(metadata({"price": price}))
    return item


def written_in_between(
    monkeypatch: pytest.MonkeyPatch, write: Callable[[], object], times: int
) -> None:
    """Writes so many times between the look-up of a search and the reading of its hits."""
    nearest = Collection.nearest
    left = iter(range(times))

    def disturbed(self: Collection, *args: Any) -> Nearest:
        found = nearest(self, *args)
        if next(left, None) is not None:
            write()
        return found

    monkeypatch.setattr(Collection, "nearest", disturbed)
    # The event loop cannot wait for a write that it is to answer itself.
    monkeypatch.setattr(search_module, "is_short", lambda request: False)


@pytest.mark.parametrize("times", [1, 3, 1000])
def test_hits_do_not_contradict_a_filter_when_they_are_written_meanwhile(
    served: Served, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    create(served, "c")
    upsert(served, "c", [priced(f"i{n}", n, 1.0) for n in range(20)])
    order = hit_ids(search(served, "c", "all:yes", limit=20))
    dear = [priced(f"i{n}", n, 100.0) for n in range(0, 20, 2)]
    written_in_between(monkeypatch, lambda: upsert(served, "c", dear), times)
    cheap = text_filter("metadata.price < 10")
    answer = search(served, "c", "all:yes", filter=cheap, limit=5)
    assert all(hit.metadata["price"] == 1.0 for hit in answer.hits)
    expected = [name for name in order if int(name[1:]) % 2]
    # However often the items change, those that do not are there.
    assert hit_ids(answer) == expected[:5]


@pytest.mark.parametrize("condition", ["", "all:yes"])
def test_without_a_filter_only_what_is_gone_is_left_out(
    served: Served, monkeypatch: pytest.MonkeyPatch, condition: str
) -> None:
    create(served, "c")
    upsert(served, "c", [priced(f"i{n}", n, 1.0) for n in range(20)])
    form = [term(vector=vector(ROWS[30]))]
    order = hit_ids(search(served, "c", form, limit=20))
    versions = iter(range(2, 1000))

    def write() -> None:
        version = float(next(versions))
        upsert(served, "c", [priced(f"i{n}", n, version) for n in range(1, 20)])
        if version == 2:
            delete(served, "c", "i0")

    written_in_between(monkeypatch, write, 1000)
    given = text_filter(condition) if condition else None
    # Another request than before: the same one would be answered from memory.
    asked = search(served, "c", form, limit=20, filter=given, min_similarity=-1.0)
    found = hit_ids(asked)
    assert found == ([] if condition else [name for name in order if name != "i0"])


def test_a_generation_is_one_state(served: Served, flickering: Callable[[int], object]) -> None:
    composed: dict[int, list[float]] = {}
    with meanwhile(flickering):
        for _ in rounds():
            answer = compose(served, "c", "all:yes")
            vector = array(answer.vector).tolist()
            assert composed.setdefault(answer.generation, vector) == vector
    assert len(composed) > 1


def test_an_answer_that_is_too_large_says_so(served: Served) -> None:
    create(served, "c")
    large = metadata({"text": "x" * 65_400})
    rows = random_vectors(1100, 4)
    items = [
        catalog_pb2.ItemInput(
            id=f"i{n:04}", vector=vector_item("", row).vector, attributes={"a": "b"}, metadata=large
        )
        for n, row in enumerate(rows)
    ]
    for start in range(0, len(items), 500):
        upsert(served, "c", items[start : start + 500])
    found = failure(lambda: search(served, "c", " + ".join(["a:b"] * 400), limit=1000))
    assert (found.reason, bool(found.remedy)) == ("RESPONSE_TOO_LARGE", True)
    request = search_pb2.SearchRequest(collection="c", limit=400)
    request.query.expression = "a:b"
    batch = served.search.BatchSearch(search_pb2.BatchSearchRequest(requests=[request] * 4))
    kinds = [result.WhichOneof("result") for result in batch.results]
    assert kinds == ["response", "error", "error", "error"]

    listed, token = [], ""
    while True:
        page = served.catalog.ListItems(
            catalog_pb2.ListItemsRequest(collection="c", page_size=1000, page_token=token)
        )
        listed += [item.id for item in page.items]
        assert page.ByteSize() < 16 * 2**20
        if not (token := page.next_page_token):
            break
    assert listed == [item.id for item in items]


def test_metadata_has_a_limit(served: Served) -> None:
    create(served, "c")
    item = vector_item("a", np.ones(48))
    item.metadata.CopyFrom(metadata({"text": "x" * 70_000}))
    assert failure(lambda: upsert(served, "c", [item])).reason == "METADATA_INVALID"


@pytest.mark.parametrize("value", ["a\x1b[31mb", "a\nb", "\x85"])
def test_labels_hold_no_control_characters(served: Served, value: str) -> None:
    create(served, "c")
    item = vector_item("a", np.ones(48), colour=value)
    assert failure(lambda: upsert(served, "c", [item])).reason == "ATTRIBUTE_INVALID"
