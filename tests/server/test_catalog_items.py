"""Items: written, read, listed, deleted."""

from __future__ import annotations

import base64
import io
import json
import math
import time
from typing import Any

import numpy as np
import pytest
from google.protobuf import json_format, struct_pb2
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from PIL import Image

from calls import (
    array,
    create,
    delete,
    facet_in,
    failure,
    failure_of,
    fresh_name,
    get,
    items,
    listed_ids,
    metadata,
    pages,
    random_picture,
    search,
    term,
    upsert,
    vector,
    vector_item,
)
from gallery import random_vectors, unit
from serving import Served
from tashihiki.v1 import catalog_pb2, composition_pb2
from tiny_encoder import DIMENSION, tiny_embedding

SKIP = composition_pb2.MISSING_ITEMS_SKIP
ROW = random_vectors(1, 1)[0]


@pytest.fixture
def collection(module_served: Served) -> str:
    return create(module_served, fresh_name())


def test_an_item_comes_back_as_it_was_given(module_served: Served, collection: str) -> None:
    pixels, picture = random_picture(1)
    content = {"price": 12, "tags": ["a", "b"], "maker": {"name": "碗屋", "since": 1.5}}
    attributes = {"Colour": "Navy Blue", "kind": "mug"}
    given_item = catalog_pb2.ItemInput(
        id="mug/7 ü", image=picture, attributes=attributes, metadata=metadata(content)
    )
    upsert(module_served, collection, [given_item])
    item = get(module_served, collection, "mug/7 ü", include_vector=True, include_thumbnail=True)
    assert (item.id, dict(item.attributes)) == ("mug/7 ü", attributes)
    assert json_format.MessageToDict(item.metadata) == content
    assert float(array(item.vector) @ tiny_embedding(pixels)) > 0.9999
    assert Image.open(io.BytesIO(item.thumbnail)).format == "JPEG"


def test_vector_and_thumbnail_come_only_when_asked_for(
    module_served: Served, collection: str
) -> None:
    upsert(module_served, collection, [catalog_pb2.ItemInput(id="a", image=random_picture(1)[1])])
    item = get(module_served, collection, "a")
    assert not item.HasField("vector")
    assert not item.thumbnail
    (listed,) = items(module_served, collection)
    assert listed == item
    (full,) = items(module_served, collection, include_vectors=True, include_thumbnails=True)
    assert full.thumbnail
    assert len(full.vector.values) == DIMENSION


def test_an_item_given_as_a_vector_has_it_at_unit_length_and_no_thumbnail(
    module_served: Served, collection: str
) -> None:
    upsert(module_served, collection, [vector_item("a", 3 * ROW)])
    item = get(module_served, collection, "a", include_vector=True, include_thumbnail=True)
    assert_allclose(array(item.vector), ROW, atol=1e-6)
    assert not item.thumbnail


def test_times_tell_creation_and_change(module_served: Served, collection: str) -> None:
    upsert(module_served, collection, [vector_item("a", ROW)])
    before = get(module_served, collection, "a")
    assert before.create_time == before.update_time
    assert abs(before.create_time.seconds - time.time()) < 60
    time.sleep(0.01)
    upsert(module_served, collection, [vector_item("a", -ROW)])
    after = get(module_served, collection, "a")
    assert after.create_time == before.create_time
    assert after.update_time.ToNanoseconds() > before.update_time.ToNanoseconds()


def test_replacing_an_item_replaces_all_of_it(module_served: Served, collection: str) -> None:
    first = catalog_pb2.ItemInput(
        id="a",
        image=random_picture(1)[1],
        attributes={"colour": "red", "kind": "mug"},
        metadata=metadata({"price": 1}),
    )
    upsert(module_served, collection, [first])
    upsert(module_served, collection, [vector_item("a", ROW, colour="blue")])
    item = get(module_served, collection, "a", include_vector=True, include_thumbnail=True)
    assert dict(item.attributes) == {"colour": "blue"}
    assert not item.metadata.fields
    assert not item.thumbnail
    assert_allclose(array(item.vector), ROW, atol=1e-6)


def test_an_update_without_content_keeps_picture_and_vector(
    module_served: Served, collection: str
) -> None:
    picture = random_picture(1)[1]
    upsert(
        module_served,
        collection,
        [catalog_pb2.ItemInput(id="a", image=picture, attributes={"colour": "red", "kind": "mug"})],
    )
    before = get(module_served, collection, "a", include_vector=True, include_thumbnail=True)
    update = catalog_pb2.ItemInput(
        id="a", attributes={"colour": "blue"}, metadata=metadata({"price": 2})
    )
    assert upsert(module_served, collection, [update]).upserted_count == 1
    after = get(module_served, collection, "a", include_vector=True, include_thumbnail=True)
    assert (after.vector, after.thumbnail) == (before.vector, before.thumbnail)
    assert dict(after.attributes) == {"colour": "blue"}
    assert json_format.MessageToDict(after.metadata) == {"price": 2}
    assert listed_ids(module_served, collection, filter=facet_in("colour", "blue")) == ["a"]


def test_a_new_item_needs_content(module_served: Served, collection: str) -> None:
    bare = catalog_pb2.ItemInput(id="new", attributes={"colour": "blue"})
    found = failure(lambda: upsert(module_served, collection, [vector_item("a", ROW), bare]))
    assert (found.code.name, found.reason, found.field) == ("NOT_FOUND", "UNKNOWN_ITEM", "items[1]")
    assert "image or a vector" in found.remedy
    assert listed_ids(module_served, collection) == []


def bad_items() -> dict[str, tuple[catalog_pb2.ItemInput, str, str]]:
    """What is wrong, the item, its reason and the field after `items[n]`."""
    item = catalog_pb2.ItemInput
    infinite = struct_pb2.Struct()
    infinite.fields["price"].number_value = math.inf
    undefined = struct_pb2.Struct()
    undefined.fields["list"].list_value.values.add().number_value = math.nan
    short = vector(ROW[:-1])
    holed = vector(np.where(np.arange(DIMENSION) == 5, np.nan, ROW))
    endless = vector(np.where(np.arange(DIMENSION) == 5, np.inf, ROW))
    mine = vector(ROW)
    return {
        "empty id": (item(id="", vector=mine), "ID_INVALID", ".id"),
        "long id": (item(id="é" * 257, vector=mine), "ID_INVALID", ".id"),
        "id with a line break": (item(id="a\nb", vector=mine), "ID_INVALID", ".id"),
        "id with a zero": (item(id="a\0b", vector=mine), "ID_INVALID", ".id"),
        "id with a control character": (item(id="a\x85b", vector=mine), "ID_INVALID", ".id"),
        "empty image": (item(id="x", image=b""), "IMAGE_EMPTY", ".image"),
        "text as image": (item(id="x", image=b"red"), "IMAGE_FORMAT_UNKNOWN", ".image"),
        "cut image": (item(id="x", image=random_picture(1)[1][:600]), "IMAGE_BROKEN", ".image"),
        "empty vector": (item(id="x", vector=vector([])), "VECTOR_INVALID", ".vector"),
        "short vector": (item(id="x", vector=short), "VECTOR_INVALID", ".vector"),
        "NaN vector": (item(id="x", vector=holed), "VECTOR_INVALID", ".vector"),
        "infinite vector": (item(id="x", vector=endless), "VECTOR_INVALID", ".vector"),
        "zero vector": (item(id="x", vector=vector(0 * ROW)), "VECTOR_INVALID", ".vector"),
        "infinite metadata": (
            item(id="x", vector=mine, metadata=infinite),
            "METADATA_INVALID",
            ".metadata",
        ),
        "NaN metadata": (
            item(id="x", vector=mine, metadata=undefined),
            "METADATA_INVALID",
            ".metadata",
        ),
        "empty facet": (vector_item("x", ROW, **{"": "red"}), "ATTRIBUTE_INVALID", ".attributes"),
        "blank value": (vector_item("x", ROW, colour=" "), "ATTRIBUTE_INVALID", ".attributes"),
        "long value": (
            vector_item("x", ROW, colour="r" * 257),
            "ATTRIBUTE_INVALID",
            ".attributes",
        ),
        "two spellings of a facet": (
            vector_item("x", ROW, colour="red", Colour="blue"),
            "ATTRIBUTE_INVALID",
            ".attributes",
        ),
        "too many attributes": (
            vector_item("x", ROW, **{f"f{n}": "v" for n in range(65)}),
            "ATTRIBUTE_INVALID",
            ".attributes",
        ),
        "nothing to look at": (item(id="x"), "UNKNOWN_ITEM", ""),
        "twice": (vector_item("a", ROW), "DUPLICATE_ITEM", ".id"),
    }


BAD = bad_items()


@pytest.mark.parametrize("fault", BAD)
def test_one_bad_item_refuses_the_batch(module_served: Served, collection: str, fault: str) -> None:
    bad, reason, field = BAD[fault]
    found = failure(
        lambda: upsert(
            module_served, collection, [vector_item("a", ROW), bad, vector_item("b", ROW)]
        )
    )
    assert (found.domain, found.reason, found.field) == ("tashihiki", reason, f"items[1]{field}")
    assert found.remedy
    assert listed_ids(module_served, collection) == []


def test_the_sound_items_are_written_when_partial_success_is_allowed(
    module_served: Served, collection: str
) -> None:
    batch = [vector_item("a", ROW, colour="red"), vector_item("b", ROW, colour="red")]
    batch[1:1] = [bad for bad, _, _ in BAD.values()]
    answer = upsert(module_served, collection, batch, allow_partial=True)
    assert answer.upserted_count == 2
    assert listed_ids(module_served, collection) == ["a", "b"]
    assert [error.index for error in answer.errors] == list(range(1, len(BAD) + 1))
    for error, (bad, reason, field) in zip(answer.errors, BAD.values(), strict=True):
        found = failure_of(error.error)
        assert (error.id, found.reason, found.field) == (
            bad.id,
            reason,
            f"items[{error.index}]{field}",
        )
    request = catalog_pb2.ListAttributesRequest(collection=collection)
    (facet,) = module_served.catalog.ListAttributes(request).facets
    assert [(value.value, value.member_count) for value in facet.values] == [("red", 2)]


def test_partial_success_of_nothing_writes_nothing(module_served: Served, collection: str) -> None:
    answer = upsert(module_served, collection, [catalog_pb2.ItemInput(id="x")], allow_partial=True)
    assert (answer.upserted_count, len(answer.errors)) == (0, 1)


def test_a_batch_of_a_thousand_is_taken_and_of_one_more_refused(
    module_served: Served, collection: str
) -> None:
    rows = random_vectors(1001, 2)
    batch = [vector_item(f"i{number:04}", row) for number, row in enumerate(rows)]
    found = failure(lambda: upsert(module_served, collection, batch))
    assert (found.code.name, found.reason, found.field) == (
        "INVALID_ARGUMENT",
        "BATCH_TOO_LARGE",
        "items",
    )
    assert upsert(module_served, collection, batch[:1000]).upserted_count == 1000
    found = failure(lambda: delete(module_served, collection, *(item.id for item in batch)))
    assert (found.reason, found.field) == ("BATCH_TOO_LARGE", "ids")
    delete(module_served, collection, *(item.id for item in batch[:1000]))
    assert listed_ids(module_served, collection) == []


def test_an_empty_batch_is_no_error(module_served: Served, collection: str) -> None:
    assert upsert(module_served, collection, []).upserted_count == 0


@pytest.mark.parametrize(
    "identifier", ["a" * 512, "é" * 256, "a/b", " ", "'; DROP TABLE items;", "🙂"]
)
def test_ids_that_are_allowed(module_served: Served, collection: str, identifier: str) -> None:
    upsert(module_served, collection, [vector_item(identifier, ROW)])
    assert get(module_served, collection, identifier).id == identifier
    (hit,) = search(
        module_served, collection, [term(item_id=identifier)], include_operands=True
    ).hits
    assert hit.id == identifier
    delete(module_served, collection, identifier)
    assert listed_ids(module_served, collection) == []


# Deleting


def test_deleting_an_item_that_is_not_there_deletes_nothing(
    module_served: Served, collection: str
) -> None:
    upsert(module_served, collection, [vector_item("a", ROW)])
    found = failure(lambda: delete(module_served, collection, "a", "gone"))
    assert (found.code.name, found.reason, found.field) == ("NOT_FOUND", "UNKNOWN_ITEM", "ids")
    assert "gone" in found.message
    assert listed_ids(module_served, collection) == ["a"]


def test_items_that_are_not_there_are_skipped_and_reported_on_request(
    module_served: Served, collection: str
) -> None:
    upsert(module_served, collection, [vector_item("a", ROW), vector_item("b", ROW)])
    answer = module_served.catalog.DeleteItems(
        catalog_pb2.DeleteItemsRequest(
            collection=collection, ids=["x", "a", "y", "a"], missing_items=SKIP
        )
    )
    assert (answer.deleted_count, list(answer.missing_ids)) == (1, ["x", "y"])
    assert listed_ids(module_served, collection) == ["b"]


def test_a_deleted_item_is_gone_from_everywhere(module_served: Served, collection: str) -> None:
    upsert(module_served, collection, [vector_item(i, ROW, colour="red") for i in "ab"])
    delete(module_served, collection, "a")
    found = failure(lambda: get(module_served, collection, "a"))
    assert (found.code.name, found.reason, found.field) == ("NOT_FOUND", "UNKNOWN_ITEM", "id")
    assert listed_ids(module_served, collection) == ["b"]
    (hit,) = search(module_served, collection, "red").hits
    assert hit.id == "b"
    assert failure(lambda: search(module_served, collection, "item(a)")).reason == "UNKNOWN_ITEM"


def test_an_item_that_comes_back_is_a_new_one(module_served: Served, collection: str) -> None:
    first = catalog_pb2.ItemInput(id="a", image=random_picture(1)[1], attributes={"colour": "red"})
    upsert(module_served, collection, [first])
    before = get(module_served, collection, "a")
    delete(module_served, collection, "a")
    upsert(module_served, collection, [vector_item("a", ROW)])
    after = get(module_served, collection, "a", include_thumbnail=True)
    assert not after.attributes
    assert not after.thumbnail
    assert after.create_time.ToNanoseconds() > before.create_time.ToNanoseconds()


# Listing


def test_items_are_listed_in_the_order_of_their_ids(module_served: Served, collection: str) -> None:
    ids = ["b", "B", "é", "10", "9", "ａ", "𝒂", "a b"]
    upsert(module_served, collection, [vector_item(identifier, ROW) for identifier in ids])
    assert listed_ids(module_served, collection) == sorted(ids)
    assert listed_ids(module_served, collection, page_size=1) == sorted(ids)


@pytest.mark.parametrize("size", [1, 3, 7, 12, 13, 1000])
def test_pages_are_full_until_the_last(module_served: Served, collection: str, size: int) -> None:
    upsert(module_served, collection, [vector_item(f"i{n:02}", ROW) for n in range(12)])
    sizes = [len(page) for page in pages(module_served, collection, page_size=size)]
    assert sum(sizes) == 12
    assert set(sizes[:-1]) <= {size}
    assert sizes[-1] > 0


def test_a_hundred_items_make_a_page_by_default(module_served: Served, collection: str) -> None:
    upsert(module_served, collection, [vector_item(f"i{n:03}", ROW) for n in range(101)])
    assert [len(page) for page in pages(module_served, collection)] == [100, 1]


def test_a_walk_while_items_come_and_go_meets_every_item_that_stays(
    module_served: Served, collection: str
) -> None:
    stays = [f"i{n:02}0" for n in range(20)]
    upsert(module_served, collection, [vector_item(identifier, ROW) for identifier in stays])
    upsert(module_served, collection, [vector_item(f"i{n:02}5", ROW) for n in range(20)])
    seen: list[str] = []
    for number, page in enumerate(pages(module_served, collection, page_size=4)):
        seen += [item.id for item in page]
        upsert(module_served, collection, [vector_item(f"i{number:02}7", ROW)])
        request = catalog_pb2.DeleteItemsRequest(
            collection=collection,
            # The last one of the page among them: its token points at it.
            ids=[f"i{number:02}5", page[-1].id if page[-1].id[-1] == "5" else "none"],
            missing_items=SKIP,
        )
        module_served.catalog.DeleteItems(request)
    assert seen == sorted(set(seen))
    assert set(stays) <= set(seen)


def test_filtered_pages_are_full_too(module_served: Served, collection: str) -> None:
    upsert(
        module_served,
        collection,
        [vector_item(f"i{n:03}", ROW, odd="yes" if n % 2 else "no") for n in range(200)],
    )
    found = list(pages(module_served, collection, page_size=30, filter=facet_in("odd", "yes")))
    assert [len(page) for page in found] == [30, 30, 30, 10]
    assert [item.id for page in found for item in page] == [f"i{n:03}" for n in range(1, 200, 2)]


def _token(served: Served, collection: str) -> str:
    request = catalog_pb2.ListItemsRequest(collection=collection, page_size=1)
    token: str = served.catalog.ListItems(request).next_page_token
    assert token
    return token


def test_a_foreign_page_token_is_refused(module_served: Served, collection: str) -> None:
    other = create(module_served, fresh_name())
    for name in (collection, other):
        upsert(module_served, name, [vector_item(i, ROW) for i in "abc"])
    deep = base64.urlsafe_b64encode(b"[" * 100_000).decode()
    tokens = [_token(module_served, other), "x", "é", "W10=", "W1siYSJd", "W" * 40_000, deep]
    for token in tokens:
        request = catalog_pb2.ListItemsRequest(collection=collection, page_token=token)
        found = failure(lambda request=request: module_served.catalog.ListItems(request))  # type: ignore[misc]
        assert (found.code.name, found.reason, found.field) == (
            "INVALID_ARGUMENT",
            "PAGE_TOKEN_INVALID",
            "page_token",
        )


# Metadata


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.integers(-(2**53), 2**53)
    | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(content=st.dictionaries(st.text(max_size=5), json_values, max_size=4))
def test_metadata_comes_back_equal(module_served: Served, content: dict[str, Any]) -> None:
    if "metadata" not in {
        c.name
        for c in module_served.catalog.ListCollections(
            catalog_pb2.ListCollectionsRequest(page_size=1000)
        ).collections
    }:
        create(module_served, "metadata")
    item = catalog_pb2.ItemInput(id="a", vector=vector(ROW), metadata=metadata(content))
    upsert(module_served, "metadata", [item])
    stored = get(module_served, "metadata", "a").metadata
    assert stored == item.metadata
    (hit,) = search(module_served, "metadata", "item(a)", include_operands=True).hits
    assert hit.metadata == item.metadata


def test_metadata_without_a_kind_comes_back_as_null(module_served: Served, collection: str) -> None:
    content = struct_pb2.Struct()
    content.fields["nothing"].CopyFrom(struct_pb2.Value())
    upsert(
        module_served,
        collection,
        [catalog_pb2.ItemInput(id="a", vector=vector(ROW), metadata=content)],
    )
    stored = get(module_served, collection, "a").metadata
    assert json.loads(json_format.MessageToJson(stored)) == {"nothing": None}


def test_a_hit_brings_its_thumbnail_when_asked(module_served: Served, collection: str) -> None:
    pixels, picture = random_picture(3)
    upsert(module_served, collection, [catalog_pb2.ItemInput(id="a", image=picture)])
    query = [term(vector=vector(unit(tiny_embedding(pixels))))]
    (plain,) = search(module_served, collection, query).hits
    (full,) = search(module_served, collection, query, include_thumbnails=True).hits
    assert not plain.thumbnail
    assert Image.open(io.BytesIO(full.thumbnail)).size == (32, 32)
