"""Etags, unchanged items and unchanged pictures."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy as np
import pytest
from numpy.testing import assert_allclose

from calls import array, create, failure, fresh_name, get, random_picture, upsert, vector_item
from gallery import random_vectors
from serving import Served
from tashihiki.errors import TashihikiError
from tashihiki.v1 import catalog_pb2
from tashihiki_server.encoder.base import Encoder
from tashihiki_server.encoder.embedder import EmbeddedImage, Embedder
from tiny_encoder import tiny_embedding

ROWS = random_vectors(20, 1)


@pytest.fixture
def collection(module_served: Served) -> str:
    return create(module_served, fresh_name())


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Every picture that is encoded meanwhile."""
    seen: list[bytes] = []
    embed_all = Embedder.embed_all

    def noting(
        self: Embedder, encoder: Encoder, images: Sequence[tuple[bytes, str]]
    ) -> list[EmbeddedImage | TashihikiError]:
        seen.extend(data for data, _ in images)
        return embed_all(self, encoder, images)

    monkeypatch.setattr(Embedder, "embed_all", noting)
    return seen


def send(
    served: Served, collection: str, *items: catalog_pb2.ItemInput, partial: bool = False
) -> catalog_pb2.UpsertItemsResponse:
    answer: catalog_pb2.UpsertItemsResponse = served.catalog.UpsertItems(
        catalog_pb2.UpsertItemsRequest(collection=collection, items=items, allow_partial=partial)
    )
    return answer


def picture_item(identifier: str, seed: int, **attributes: str) -> catalog_pb2.ItemInput:
    image = random_picture(seed)[1]
    return catalog_pb2.ItemInput(id=identifier, image=image, attributes=attributes)


# Etags


def test_the_etag_of_the_answer_is_the_items(module_served: Served, collection: str) -> None:
    answer = send(
        module_served,
        collection,
        vector_item("a", ROWS[0]),
        vector_item("", ROWS[1]),
        vector_item("b", ROWS[2]),
        partial=True,
    )
    assert len(set(answer.etags)) == 3
    assert answer.etags[1] == ""
    found = [get(module_served, collection, name).etag for name in "ab"]
    assert found == [answer.etags[0], answer.etags[2]]


def test_a_write_with_an_old_etag_is_refused(module_served: Served, collection: str) -> None:
    (first,) = send(module_served, collection, vector_item("a", ROWS[0])).etags
    changed = vector_item("a", ROWS[1])
    changed.etag = first
    (second,) = send(module_served, collection, changed).etags
    assert second != first
    error = failure(lambda: send(module_served, collection, vector_item("b", ROWS[0]), changed))
    assert error.code is grpc.StatusCode.ABORTED
    assert (error.reason, error.field) == ("ETAG_MISMATCH", "items[1].etag")
    assert error.remedy
    missing = vector_item("c", ROWS[0])
    missing.etag = second
    answer = send(
        module_served,
        collection,
        vector_item("", ROWS[0]),
        changed,
        missing,
        vector_item("b", ROWS[0]),
        partial=True,
    )
    assert [error.index for error in answer.errors] == [0, 1, 2]
    assert answer.upserted_count == 1
    assert [bool(etag) for etag in answer.etags] == [False, False, False, True]
    assert get(module_served, collection, "a").etag == second


def test_of_many_changes_to_one_state_one_is_made(module_served: Served, collection: str) -> None:
    upsert(module_served, collection, [vector_item("a", ROWS[0], count="0")])
    start = threading.Barrier(4)

    def count_up(_: int) -> None:
        start.wait()
        done = 0
        while done < 10:
            item = get(module_served, collection, "a")
            wanted = catalog_pb2.ItemInput(id="a", etag=item.etag)
            wanted.attributes["count"] = str(int(item.attributes["count"]) + 1)
            answer = send(module_served, collection, wanted, partial=True)
            done += answer.upserted_count

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(count_up, range(4)))
    assert get(module_served, collection, "a").attributes == {"count": "40"}


# What is as it was


def test_what_is_as_it_was_is_not_written(module_served: Served, collection: str) -> None:
    item = vector_item("a", ROWS[0], colour="red", shape="mug")
    item.metadata.update({"price": 3})
    first = send(module_served, collection, item, vector_item("b", ROWS[1]))
    before = get(module_served, collection, "a")
    again = send(module_served, collection, item, vector_item("b", ROWS[2]))
    assert (again.upserted_count, again.unchanged_count) == (2, 1)
    assert again.etags[0] == first.etags[0]
    assert again.etags[1] != first.etags[1]
    assert get(module_served, collection, "a") == before
    bare = catalog_pb2.ItemInput(id="a", attributes=item.attributes, metadata=item.metadata)
    assert send(module_served, collection, bare).unchanged_count == 1
    for change in ("attributes", "metadata"):
        other = catalog_pb2.ItemInput(id="a", attributes=item.attributes, metadata=item.metadata)
        other.ClearField(change)
        assert send(module_served, collection, other).unchanged_count == 0
        assert send(module_served, collection, item).unchanged_count == 0


def test_the_same_file_is_not_encoded_again(
    module_served: Served, collection: str, encoded: list[bytes]
) -> None:
    first = picture_item("a", 1, colour="red")
    answer = send(module_served, collection, first)
    assert (answer.unchanged_image_count, len(encoded)) == (0, 1)
    item = get(module_served, collection, "a", include_vector=True, include_thumbnail=True)
    assert item.image_sha256 == hashlib.sha256(first.image).digest()
    same = send(module_served, collection, first)
    assert (same.unchanged_count, same.unchanged_image_count, len(encoded)) == (1, 1, 1)
    relabelled = send(module_served, collection, picture_item("a", 1, colour="blue"))
    assert (relabelled.unchanged_count, relabelled.unchanged_image_count) == (0, 1)
    assert len(encoded) == 1
    after = get(module_served, collection, "a", include_vector=True, include_thumbnail=True)
    assert after.attributes == {"colour": "blue"}
    assert (after.vector, after.thumbnail, after.image_sha256) == (
        item.vector,
        item.thumbnail,
        item.image_sha256,
    )
    # Another item's file is no reason.
    other = send(module_served, collection, picture_item("b", 1), picture_item("a", 2))
    assert (other.unchanged_image_count, len(encoded)) == (0, 3)
    assert_allclose(
        array(get(module_served, collection, "a", include_vector=True).vector),
        tiny_embedding(random_picture(2)[0]),
        atol=1e-5,
    )


def test_a_vector_takes_the_place_of_a_picture(
    module_served: Served, collection: str, encoded: list[bytes]
) -> None:
    send(module_served, collection, picture_item("a", 1))
    send(module_served, collection, vector_item("a", ROWS[0]))
    item = get(module_served, collection, "a", include_thumbnail=True)
    assert (item.image_sha256, item.thumbnail) == (b"", b"")
    answer = send(module_served, collection, picture_item("a", 1))
    assert (answer.unchanged_image_count, len(encoded)) == (0, 2)


def test_a_picture_that_is_replaced_meanwhile_is_encoded_after_all(
    module_served: Served, collection: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(module_served, collection, picture_item("a", 1), picture_item("b", 1))
    embed_all = Embedder.embed_all
    rivals: list[Callable[[], object]] = [
        lambda: send(module_served, collection, picture_item("a", 2)),
        lambda: module_served.catalog.DeleteItems(
            catalog_pb2.DeleteItemsRequest(collection=collection, ids=["b"])
        ),
    ]

    def overtaken(
        self: Embedder, encoder: Encoder, images: Sequence[tuple[bytes, str]]
    ) -> list[EmbeddedImage | TashihikiError]:
        made = embed_all(self, encoder, images)
        if not images and rivals:
            rivals.pop()()
        return made

    monkeypatch.setattr(Embedder, "embed_all", overtaken)
    wanted = tiny_embedding(random_picture(1)[0])
    for _ in range(2):
        for name in "ba":
            answer = send(module_served, collection, picture_item(name, 1, colour="red"))
            assert answer.upserted_count == 1
            item = get(module_served, collection, name, include_vector=True)
            assert_allclose(array(item.vector), wanted, atol=1e-5)
            assert item.attributes == {"colour": "red"}
    assert not rivals


def test_a_batch_of_known_and_new_pictures(
    module_served: Served, collection: str, encoded: list[bytes]
) -> None:
    send(module_served, collection, *[picture_item(f"i{n}", n) for n in range(6)])
    del encoded[:]
    broken = catalog_pb2.ItemInput(id="broken", image=b"no picture")
    answer = send(
        module_served,
        collection,
        *[picture_item(f"i{n}", n + (n % 2) * 100) for n in range(6)],
        broken,
        partial=True,
    )
    assert (answer.unchanged_image_count, answer.unchanged_count) == (3, 3)
    assert (answer.upserted_count, len(answer.errors), len(encoded)) == (6, 1, 4)
    for n in range(6):
        item = get(module_served, collection, f"i{n}", include_vector=True)
        wanted = tiny_embedding(random_picture(n + (n % 2) * 100)[0])
        assert_allclose(np.asarray(array(item.vector)), wanted, atol=1e-5)
