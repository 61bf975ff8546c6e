"""Prototypes: the normalised median of the members, at every moment."""

from __future__ import annotations

import threading
import time

import grpc
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from calls import (
    Floats,
    array,
    compose,
    create,
    delete,
    failure,
    fresh_name,
    stored_vectors,
    term,
    upsert,
    vector_item,
)
from gallery import median_direction, random_vectors
from serving import Served
from tashihiki.v1 import catalog_pb2

TOLERANCE = 2e-6


def prototype(served: Served, collection: str, word: str) -> Floats:
    return array(compose(served, collection, word).vector)


@pytest.fixture
def collection(module_served: Served) -> str:
    """Five red items and four blue ones, in signed vectors."""
    name = create(module_served, fresh_name(), keep_negative=True)
    rows = random_vectors(9, 51, signed=True)
    upsert(
        module_served,
        name,
        [
            vector_item(f"i{number}", row, colour="red" if number < 5 else "blue", size="m")
            for number, row in enumerate(rows)
        ],
    )
    return name


def test_a_prototype_is_the_normalised_median_of_its_members(
    module_served: Served, collection: str
) -> None:
    vectors = stored_vectors(module_served, collection)
    for value, members in (("red", range(5)), ("blue", range(5, 9)), ("m", range(9))):
        expected = median_direction([vectors[f"i{number}"] for number in members])
        assert_allclose(prototype(module_served, collection, value), expected, atol=TOLERANCE)


def test_the_median_of_one_member_is_that_member(module_served: Served) -> None:
    name = create(module_served, fresh_name())
    upsert(module_served, name, [vector_item("a", random_vectors(1, 52)[0], colour="red")])
    assert_allclose(
        prototype(module_served, name, "red"),
        stored_vectors(module_served, name)["a"],
        atol=TOLERANCE,
    )


def test_a_new_member_counts_at_once(module_served: Served, collection: str) -> None:
    upsert(module_served, collection, [vector_item("new", random_vectors(1, 53)[0], colour="red")])
    vectors = stored_vectors(module_served, collection)
    members = [vectors[i] for i in ("i0", "i1", "i2", "i3", "i4", "new")]
    assert_allclose(
        prototype(module_served, collection, "red"), median_direction(members), atol=TOLERANCE
    )


def test_a_replaced_vector_counts_at_once(module_served: Served, collection: str) -> None:
    upsert(module_served, collection, [vector_item("i0", random_vectors(1, 54)[0], colour="red")])
    vectors = stored_vectors(module_served, collection)
    members = [vectors[f"i{number}"] for number in range(5)]
    assert_allclose(
        prototype(module_served, collection, "red"), median_direction(members), atol=TOLERANCE
    )


def test_a_relabelled_item_moves_from_one_prototype_to_the_other(
    module_served: Served, collection: str
) -> None:
    relabelled = catalog_pb2.ItemInput(id="i0", attributes={"colour": "blue"})
    upsert(module_served, collection, [relabelled])
    vectors = stored_vectors(module_served, collection)
    for word, members in (("red", range(1, 5)), ("blue", (0, *range(5, 9))), ("m", range(1, 9))):
        expected = median_direction([vectors[f"i{number}"] for number in members])
        assert_allclose(prototype(module_served, collection, word), expected, atol=TOLERANCE)


def test_a_deleted_member_counts_no_more(module_served: Served, collection: str) -> None:
    delete(module_served, collection, "i0", "i7")
    vectors = stored_vectors(module_served, collection)
    for word, members in (("red", (1, 2, 3, 4)), ("blue", (5, 6, 8))):
        expected = median_direction([vectors[f"i{number}"] for number in members])
        assert_allclose(prototype(module_served, collection, word), expected, atol=TOLERANCE)


def test_a_value_without_members_is_unknown_again(module_served: Served, collection: str) -> None:
    upsert(module_served, collection, [vector_item("g", random_vectors(1, 55)[0], colour="green")])
    assert len(compose(module_served, collection, "green").terms) == 1
    delete(module_served, collection, "g")
    assert failure(lambda: compose(module_served, collection, "green")).reason == "UNKNOWN_VALUE"
    found = failure(lambda: compose(module_served, collection, "colour:green"))
    assert found.reason == "UNKNOWN_VALUE"
    assert found.candidates == ["colour:blue", "colour:red"]


def test_a_facet_without_members_is_unknown_again(module_served: Served, collection: str) -> None:
    upsert(module_served, collection, [vector_item("s", random_vectors(1, 56)[0], style="art")])
    upsert(module_served, collection, [catalog_pb2.ItemInput(id="s")])
    found = failure(lambda: compose(module_served, collection, "style:art"))
    assert found.reason == "UNKNOWN_FACET"
    assert (
        failure(lambda: compose(module_served, collection, "m - style")).reason == "UNKNOWN_VALUE"
    )


def test_a_value_that_comes_back_has_only_its_new_members(
    module_served: Served, collection: str
) -> None:
    delete(module_served, collection, *(f"i{number}" for number in range(5)))
    upsert(module_served, collection, [vector_item("r", random_vectors(1, 57)[0], colour="RED")])
    expected = stored_vectors(module_served, collection)["r"]
    assert_allclose(prototype(module_served, collection, "red"), expected, atol=TOLERANCE)


def test_members_whose_median_vanishes_are_stood_for_by_their_mean(
    module_served: Served,
) -> None:
    name = create(module_served, fresh_name())
    rows = np.eye(48)[:5]
    upsert(
        module_served,
        name,
        [vector_item(f"i{n}", row, colour="red") for n, row in enumerate(rows)],
    )
    expected = rows.mean(axis=0) / np.linalg.norm(rows.mean(axis=0))
    assert_allclose(prototype(module_served, name, "red"), expected, atol=TOLERANCE)


def test_members_that_cancel_out_have_no_direction(module_served: Served) -> None:
    name = create(module_served, fresh_name(), keep_negative=True)
    row, other = random_vectors(2, 58, signed=True)
    upsert(
        module_served,
        name,
        [
            vector_item("a", row, colour="grey"),
            vector_item("b", -row, colour="grey"),
            vector_item("c", other, colour="red"),
        ],
    )
    assert failure(lambda: compose(module_served, name, "grey")).reason == "ZERO_QUERY_VECTOR"
    with_red = prototype(module_served, name, "grey + red")
    assert_allclose(with_red, stored_vectors(module_served, name)["c"], atol=TOLERANCE)
    assert len(compose(module_served, name, "item(a) - colour").terms) == 2


@given(data=st.data())
def test_prototypes_follow_any_course_of_writes(module_served: Served, data: st.DataObject) -> None:
    name = create(module_served, fresh_name(), keep_negative=True)
    labels: dict[str, str] = {}
    ids = st.sampled_from(["a", "b", "c", "d", "e"])
    colours = st.sampled_from(["red", "blue"])
    for step in range(data.draw(st.integers(1, 8))):
        identifier = data.draw(ids)
        if identifier in labels and data.draw(st.booleans()):
            delete(module_served, name, identifier)
            del labels[identifier]
        else:
            row = random_vectors(1, 100 + step, signed=True)[0]
            labels[identifier] = data.draw(colours)
            upsert(module_served, name, [vector_item(identifier, row, colour=labels[identifier])])
    vectors = stored_vectors(module_served, name)
    assert set(vectors) == set(labels)
    for colour in ("red", "blue"):
        members = [vectors[i] for i, found in labels.items() if found == colour]
        if members:
            found = prototype(module_served, name, colour)
            assert_allclose(found, median_direction(members), atol=TOLERANCE)
        else:
            assert failure(lambda: compose(module_served, name, f"colour:{colour}")).reason in {  # noqa: B023
                "UNKNOWN_VALUE",
                "UNKNOWN_FACET",
            }


def _collection_of(served: Served, count: int) -> str:
    name = create(served, fresh_name())
    rows = random_vectors(count, 59)
    inputs = [vector_item(f"i{n:04}", row, colour="red") for n, row in enumerate(rows)]
    for start in range(0, count, 1000):
        upsert(served, name, inputs[start : start + 1000])
    return name


def _wait_until_current(served: Served, collection: str) -> None:
    request = catalog_pb2.GetCollectionRequest(name=collection)
    while served.catalog.GetCollection(request).collection.stale_prototype_count:
        time.sleep(0.001)


def test_prototypes_of_many_members_become_current(module_served: Served) -> None:
    name = _collection_of(module_served, 2500)
    for gone in ([], ["i0000", "i0001"]):
        if gone:
            delete(module_served, name, *gone)
        _wait_until_current(module_served, name)
        members = list(stored_vectors(module_served, name).values())
        assert_allclose(
            prototype(module_served, name, "red"), median_direction(members), atol=TOLERANCE
        )


def test_a_prototype_that_is_still_being_computed_never_replaces_a_newer_one(
    module_served: Served,
) -> None:
    """Above 2,000 members the background computes them, below it the write does."""
    name = _collection_of(module_served, 1950)
    expected = prototype(module_served, name, "red")
    rows = random_vectors(100, 60)
    more = [vector_item(f"x{n:04}", row, colour="red") for n, row in enumerate(rows)]
    for _ in range(20):
        upsert(module_served, name, more)
        delete(module_served, name, *(item.id for item in more))
        time.sleep(0.02)  # For a computation under way to do its harm.
        assert_allclose(prototype(module_served, name, "red"), expected, atol=TOLERANCE)


def test_ignoring_a_facet_that_comes_and_goes_is_never_an_internal_error(
    module_served: Served, collection: str
) -> None:
    answers: set[str] = set()
    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            try:
                compose(module_served, collection, "- style + item(i1)")
            except grpc.RpcError as error:
                answers.add(error.code().name)
            else:
                answers.add("OK")

    reader = threading.Thread(target=ask)
    reader.start()
    try:
        for _ in range(150):
            for attributes in ({"style": "art"}, {}):
                item = catalog_pb2.ItemInput(id="i0", attributes=attributes)
                upsert(module_served, collection, [item])
    finally:
        done.set()
        reader.join()
    assert answers <= {"OK", "INVALID_ARGUMENT"}
    assert "OK" in answers


def test_a_composition_uses_the_prototype_of_the_moment(
    module_served: Served, collection: str
) -> None:
    before = compose(module_served, collection, [term(word="red")])
    upsert(module_served, collection, [vector_item("new", random_vectors(1, 61)[0], colour="red")])
    after = compose(module_served, collection, [term(word="red")])
    assert after.generation > before.generation
    assert (before.terms[0].member_count, after.terms[0].member_count) == (5, 6)
