"""Collections: made, read, listed, deleted."""

from __future__ import annotations

import time

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from calls import (
    Failure,
    create,
    failure,
    fresh_name,
    random_picture,
    search,
    upsert,
    vector_item,
)
from gallery import random_vectors
from serving import Served
from tashihiki.v1 import catalog_pb2
from tiny_encoder import DIMENSION


def make(served: Served, collection: catalog_pb2.Collection) -> catalog_pb2.Collection:
    request = catalog_pb2.CreateCollectionRequest(collection=collection)
    response: catalog_pb2.CreateCollectionResponse = served.catalog.CreateCollection(request)
    return response.collection


def read(served: Served, name: str) -> catalog_pb2.Collection:
    """All but the index, which no other call returns."""
    request = catalog_pb2.GetCollectionRequest(name=name)
    response: catalog_pb2.GetCollectionResponse = served.catalog.GetCollection(request)
    assert response.collection.HasField("index")
    response.collection.ClearField("index")
    return response.collection


def drop(served: Served, name: str) -> None:
    served.catalog.DeleteCollection(catalog_pb2.DeleteCollectionRequest(name=name))


def page(served: Served, size: int = 0, token: str = "") -> tuple[list[str], str]:
    request = catalog_pb2.ListCollectionsRequest(page_size=size, page_token=token)
    response = served.catalog.ListCollections(request)
    return [collection.name for collection in response.collections], response.next_page_token


def test_a_new_collection_is_empty_and_has_the_default_encoder(served: Served) -> None:
    made = make(served, catalog_pb2.Collection(name="faces"))
    assert made.dimension == DIMENSION
    assert made.item_count == 0
    assert made.space == catalog_pb2.Space()
    assert made.space_in_force == catalog_pb2.SPACE_KIND_SUM
    assert not made.space_pending
    assert not made.HasField("space_diagnostics")
    assert len(made.encoder) == 16
    assert abs(made.create_time.seconds - time.time()) < 60
    assert read(served, "faces") == made


def test_a_collection_keeps_what_it_was_made_with(served: Served) -> None:
    wanted = catalog_pb2.Collection(
        name="faces",
        encoder="tiny",
        space=catalog_pb2.Space(kind=catalog_pb2.SPACE_KIND_SUM, keep_negative=True),
        aliases=[
            catalog_pb2.Alias(facet="expression", alias="HA", value="HAPPY"),
            catalog_pb2.Alias(facet="expression", alias="幸", value="HAPPY"),
        ],
    )
    made = make(served, wanted)
    assert made.space == wanted.space
    assert list(made.aliases) == list(wanted.aliases)
    again = make(served, catalog_pb2.Collection(name="more", encoder=made.encoder))
    assert again.encoder == made.encoder


def test_figures_follow_the_items(served: Served) -> None:
    before = make(served, catalog_pb2.Collection(name="c"))
    upsert(served, "c", [vector_item(i, random_vectors(1, 1)[0]) for i in "abc"])
    after = read(served, "c")
    assert (after.item_count, after.generation > before.generation) == (3, True)


def test_what_the_server_sets_cannot_be_set(served: Served) -> None:
    wanted = catalog_pb2.Collection(
        name="c", dimension=7, item_count=9, generation=99, create_time=Timestamp(seconds=1)
    )
    made = make(served, wanted)
    assert (made.dimension, made.item_count, made.generation) == (DIMENSION, 0, 0)
    assert made.create_time.seconds > 1


GOOD_NAMES = ["a", "0", "a-b_c", "x" * 63, "9-lives"]
BAD_NAMES = ["", "A", "é", "-a", "_a", ".a", "a.b", "a/b", "../a", "a b", "x" * 64, "a\n", "a\0"]


@pytest.mark.parametrize("name", GOOD_NAMES)
def test_names_that_are_allowed(module_served: Served, name: str) -> None:
    assert make(module_served, catalog_pb2.Collection(name=name)).name == name


@pytest.mark.parametrize("name", BAD_NAMES)
def test_names_that_are_refused(module_served: Served, name: str) -> None:
    found = failure(lambda: create(module_served, name))
    assert (found.code.name, found.reason) == ("INVALID_ARGUMENT", "NAME_INVALID")
    assert (found.field, found.domain) == ("collection.name", "tashihiki")


def test_two_collections_of_one_name(served: Served) -> None:
    create(served, "faces", keep_negative=True)
    upsert(served, "faces", [vector_item("a", random_vectors(1, 1)[0])])
    found = failure(lambda: create(served, "faces"))
    assert (found.code.name, found.reason) == ("ALREADY_EXISTS", "COLLECTION_EXISTS")
    kept = read(served, "faces")
    assert (kept.item_count, kept.space.keep_negative) == (1, True)


def test_an_unknown_encoder_is_named_with_those_that_are_there(served: Served) -> None:
    found = failure(lambda: make(served, catalog_pb2.Collection(name="c", encoder="large")))
    assert (found.code.name, found.reason, found.field) == (
        "NOT_FOUND",
        "UNKNOWN_ENCODER",
        "collection.encoder",
    )
    assert "tiny" in found.remedy


def test_an_unknown_space_is_refused(served: Served) -> None:
    space = catalog_pb2.Space(kind=9)  # type: ignore[arg-type]
    found = failure(lambda: make(served, catalog_pb2.Collection(name="c", space=space)))
    assert (found.reason, found.field) == ("SPACE_UNKNOWN", "collection.space.kind")


@pytest.mark.parametrize(
    ("wanted", "kept"),
    [
        (catalog_pb2.Space(keep_negative=True), catalog_pb2.SPACE_KIND_SUM),
        (catalog_pb2.Space(kind=catalog_pb2.SPACE_KIND_SUM), catalog_pb2.SPACE_KIND_SUM),
        (catalog_pb2.Space(kind=catalog_pb2.SPACE_KIND_FACTORED), catalog_pb2.SPACE_KIND_FACTORED),
    ],
)
def test_the_space_that_was_asked_for_is_kept(
    module_served: Served, wanted: catalog_pb2.Space, kept: catalog_pb2.SpaceKind.ValueType
) -> None:
    made = make(module_served, catalog_pb2.Collection(name=fresh_name(), space=wanted))
    assert made.space == catalog_pb2.Space(kind=kept, keep_negative=wanted.keep_negative)
    assert made.space_in_force == catalog_pb2.SPACE_KIND_SUM
    assert read(module_served, made.name) == made


def test_keep_negative_is_refused_for_a_factored_space(served: Served) -> None:
    space = catalog_pb2.Space(kind=catalog_pb2.SPACE_KIND_FACTORED, keep_negative=True)
    found = failure(lambda: make(served, catalog_pb2.Collection(name="c", space=space)))
    assert (found.code.name, found.reason) == ("INVALID_ARGUMENT", "SPACE_INVALID")
    assert found.field == "collection.space.keep_negative"
    assert found.remedy


@pytest.mark.parametrize(
    "aliases",
    [
        [("", "HA", "HAPPY")],
        [("expression", "", "HAPPY")],
        [("expression", "HA", "")],
        [("expression", "HA", "HAPPY"), ("expression", "ha", "SAD")],
    ],
)
def test_bad_aliases_are_refused(
    module_served: Served, aliases: list[tuple[str, str, str]]
) -> None:
    found = failure(lambda: create(module_served, "aliased", aliases=aliases))
    assert found.reason == "ALIAS_INVALID"
    assert found.field == f"collection.aliases[{len(aliases) - 1}]"


def test_a_deleted_collection_is_gone_with_its_items(served: Served) -> None:
    create(served, "faces")
    upsert(served, "faces", [vector_item("a", random_vectors(1, 1)[0], person="KR")])
    drop(served, "faces")
    for call in (
        lambda: read(served, "faces"),
        lambda: drop(served, "faces"),
        lambda: search(served, "faces", "KR"),
        lambda: upsert(served, "faces", [vector_item("a", random_vectors(1, 1)[0])]),
    ):
        found: Failure = failure(call)
        assert (found.code.name, found.reason) == ("NOT_FOUND", "UNKNOWN_COLLECTION")
    create(served, "faces")
    assert read(served, "faces").item_count == 0
    assert failure(lambda: search(served, "faces", "KR")).reason == "UNKNOWN_VALUE"


def test_a_misspelt_collection_gets_a_suggestion(served: Served) -> None:
    create(served, "faces")
    create(served, "items")
    assert failure(lambda: search(served, "face", "KR")).candidates == ["faces"]
    assert failure(lambda: search(served, "zzz", "KR")).candidates == ["faces", "items"]


def test_collections_are_listed_by_name_page_by_page(served: Served) -> None:
    names = [f"c{number}" for number in range(7)]
    for name in reversed(names):
        create(served, name)
    assert page(served) == (names, "")
    walked, token = page(served, 3)
    assert walked == names[:3]
    assert token
    second, token = page(served, 3, token)
    third, token = page(served, 3, token)
    assert (second, third, token) == (names[3:6], names[6:], "")
    assert page(served, 7) == (names, "")


def test_a_walk_over_collections_survives_changes(served: Served) -> None:
    for name in ("b", "d", "f"):
        create(served, name)
    first, token = page(served, 2)
    drop(served, "d")
    create(served, "a")
    create(served, "e")
    rest, end = page(served, 10, token)
    assert (first, rest, end) == (["b", "d"], ["e", "f"], "")


@pytest.mark.parametrize("size", [-1, 1001])
def test_a_page_size_out_of_range_is_refused(module_served: Served, size: int) -> None:
    found = failure(lambda: page(module_served, size))
    assert (found.reason, found.field) == ("OUT_OF_RANGE", "page_size")


def test_collections_have_their_own_items_and_names(served: Served) -> None:
    create(served, "one")
    create(served, "two")
    upsert(served, "one", [vector_item("a", random_vectors(1, 1)[0], colour="red")])
    assert read(served, "two").item_count == 0
    assert failure(lambda: search(served, "two", "red")).reason == "UNKNOWN_VALUE"
    _, picture = random_picture(1)
    item = catalog_pb2.ItemInput(id="a", image=picture, attributes={"colour": "blue"})
    upsert(served, "two", [item])
    assert failure(lambda: search(served, "one", "blue")).reason == "UNKNOWN_VALUE"
