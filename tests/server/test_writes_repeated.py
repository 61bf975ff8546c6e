"""Writes that are sent again: carried out once, answered the same."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest

from calls import create, failure, fresh_name, get, listed_ids, random_picture, vector_item
from gallery import random_vectors
from server_process import SECONDS, running
from serving import Served
from tashihiki.v1 import catalog_pb2, composition_pb2

SHOP = "shop"
ROWS = random_vectors(20, 1)
_OTHERS = str.maketrans("xé", "yü")


@pytest.fixture
def collection(module_served: Served) -> str:
    return create(module_served, fresh_name())


def upserting(collection: str, request_id: str, first: int = 0) -> catalog_pb2.UpsertItemsRequest:
    items = [vector_item(f"i{n}", ROWS[n], colour="red") for n in range(first, first + 3)]
    items.append(vector_item("", ROWS[9]))
    return catalog_pb2.UpsertItemsRequest(
        collection=collection, items=items, allow_partial=True, request_id=request_id
    )


def deleting(collection: str, request_id: str, *ids: str) -> catalog_pb2.DeleteItemsRequest:
    return catalog_pb2.DeleteItemsRequest(
        collection=collection,
        ids=ids,
        missing_items=composition_pb2.MISSING_ITEMS_SKIP,
        request_id=request_id,
    )


def test_a_write_that_is_sent_again_changes_nothing(module_served: Served, collection: str) -> None:
    catalog = module_served.catalog
    request = upserting(collection, "one")
    answer = catalog.UpsertItems(request)
    assert (answer.upserted_count, len(answer.errors), answer.unchanged_count) == (3, 1, 0)
    # What others have done since is not undone.
    gone = catalog.DeleteItems(deleting(collection, "two", "i0", "never"))
    assert (gone.deleted_count, list(gone.missing_ids)) == (1, ["never"])
    catalog.UpsertItems(
        catalog_pb2.UpsertItemsRequest(
            collection=collection, items=[vector_item("i1", ROWS[5], colour="blue")]
        )
    )
    assert catalog.UpsertItems(request) == answer
    assert listed_ids(module_served, collection) == ["i1", "i2"]
    assert get(module_served, collection, "i1").attributes == {"colour": "blue"}
    catalog.UpsertItems(upserting(collection, "three"))
    assert catalog.DeleteItems(deleting(collection, "two", "i0", "never")) == gone
    assert listed_ids(module_served, collection) == ["i0", "i1", "i2"]


def test_a_request_in_which_nothing_changed_is_remembered_too(
    module_served: Served, collection: str
) -> None:
    catalog = module_served.catalog
    catalog.UpsertItems(upserting(collection, "one"))
    same = upserting(collection, "two")
    answer = catalog.UpsertItems(same)
    assert answer.unchanged_count == answer.upserted_count == 3
    catalog.DeleteItems(deleting(collection, "three", "i0"))
    assert catalog.UpsertItems(same) == answer
    assert listed_ids(module_served, collection) == ["i1", "i2"]


def test_an_id_for_another_request_is_refused(module_served: Served, collection: str) -> None:
    catalog = module_served.catalog
    catalog.UpsertItems(upserting(collection, "one"))
    for call in (
        lambda: catalog.UpsertItems(upserting(collection, "one", first=1)),
        lambda: catalog.DeleteItems(deleting(collection, "one", "i0")),
    ):
        error = failure(call)
        assert error.code is grpc.StatusCode.INVALID_ARGUMENT
        assert (error.reason, error.field) == ("REQUEST_ID_REUSED", "request_id")
        assert error.remedy
    assert listed_ids(module_served, collection) == ["i0", "i1", "i2"]
    # Each collection has its own.
    other = create(module_served, fresh_name())
    catalog.UpsertItems(upserting(other, "one", first=4))
    assert listed_ids(module_served, other) == ["i4", "i5", "i6"]


@pytest.mark.parametrize(
    ("identifier", "sound"), [("x", True), ("é" * 64, True), ("é" * 64 + "x", False)]
)
def test_how_long_an_id_may_be(
    module_served: Served, collection: str, identifier: str, sound: bool
) -> None:
    catalog = module_served.catalog
    name = fresh_name()
    calls: list[Callable[[], object]] = [
        lambda: catalog.UpsertItems(upserting(collection, identifier)),
        lambda: catalog.DeleteItems(deleting(collection, identifier.translate(_OTHERS), "i0")),
        lambda: catalog.CreateCollection(
            catalog_pb2.CreateCollectionRequest(
                collection=catalog_pb2.Collection(name=name), request_id=identifier
            )
        ),
    ]
    for call in calls:
        if sound:
            call()
        else:
            error = failure(call)
            assert (error.reason, error.field) == ("REQUEST_ID_INVALID", "request_id")


def test_a_refused_request_may_be_mended_under_its_id(
    module_served: Served, collection: str
) -> None:
    request = upserting(collection, "one")
    request.allow_partial = False
    assert failure(lambda: module_served.catalog.UpsertItems(request)).reason == "ID_INVALID"
    del request.items[-1]
    assert module_served.catalog.UpsertItems(request).upserted_count == 3


def test_sent_at_once_it_is_carried_out_once(module_served: Served, collection: str) -> None:
    pictures = [catalog_pb2.ItemInput(id=f"p{n}", image=random_picture(n)[1]) for n in range(20)]
    request = catalog_pb2.UpsertItemsRequest(
        collection=collection, items=pictures, request_id="one"
    )
    start = threading.Barrier(6)

    def send() -> catalog_pb2.UpsertItemsResponse:
        start.wait()
        answer: catalog_pb2.UpsertItemsResponse = module_served.catalog.UpsertItems(request)
        return answer

    with ThreadPoolExecutor(6) as pool:
        answers = [future.result() for future in [pool.submit(send) for _ in range(6)]]
    assert all(answer == answers[0] for answer in answers)
    assert (answers[0].unchanged_count, answers[0].unchanged_image_count) == (0, 0)


def test_answers_outlive_a_kill(tmp_path: Path, tiny_encoder_bundle: Path) -> None:
    data = tmp_path / "data"
    made = catalog_pb2.CreateCollectionRequest(
        collection=catalog_pb2.Collection(name=SHOP), request_id="made"
    )
    with running(data, tiny_encoder_bundle) as server:
        created = server.catalog.CreateCollection(made, timeout=SECONDS)
        answer = server.catalog.UpsertItems(upserting(SHOP, "one"), timeout=SECONDS)
        gone = server.catalog.DeleteItems(deleting(SHOP, "two", "i0"), timeout=SECONDS)
        server.kill()
    with running(data, tiny_encoder_bundle) as server:
        again = server.catalog.CreateCollection(made, timeout=SECONDS).collection
        assert (again.name, again.create_time, again.item_count) == (
            SHOP,
            created.collection.create_time,
            2,
        )
        assert server.catalog.UpsertItems(upserting(SHOP, "one"), timeout=SECONDS) == answer
        assert server.catalog.DeleteItems(deleting(SHOP, "two", "i0"), timeout=SECONDS) == gone
        listed = server.catalog.ListItems(catalog_pb2.ListItemsRequest(collection=SHOP))
        assert [item.id for item in listed.items] == ["i1", "i2"]


def test_what_was_cut_short_by_a_kill_is_carried_out_once(
    tmp_path: Path, tiny_encoder_bundle: Path
) -> None:
    data = tmp_path / "data"
    answered: list[tuple[catalog_pb2.UpsertItemsRequest, catalog_pb2.UpsertItemsResponse]] = []
    dice = random.Random(3)
    for turn in range(3):
        in_doubt: list[catalog_pb2.UpsertItemsRequest] = []
        with running(data, tiny_encoder_bundle) as server:
            if not turn:
                server.catalog.CreateCollection(
                    catalog_pb2.CreateCollectionRequest(
                        collection=catalog_pb2.Collection(name=SHOP)
                    )
                )
            killer = threading.Timer(dice.uniform(0.05, 0.4), server.process.kill)
            killer.start()
            for number in range(100_000):
                request = rewriting(turn, number)
                in_doubt = [request]
                try:
                    answered.append((request, server.catalog.UpsertItems(request)))
                except grpc.RpcError:
                    break
            killer.join()
        with running(data, tiny_encoder_bundle) as server:
            for request, answer in dice.sample(answered, min(20, len(answered))):
                assert server.catalog.UpsertItems(request) == answer
            (request,) = in_doubt
            answer = server.catalog.UpsertItems(request)
            assert server.catalog.UpsertItems(request) == answer
            answered.append((request, answer))
            page = server.catalog.ListItems(catalog_pb2.ListItemsRequest(collection=SHOP))
            assert [item.etag for item in page.items] == list(answer.etags)
            assert all(item.attributes["turn"] == request.request_id for item in page.items)
    # Every answer tells of writes of its own.
    etags = [etag for _, answer in answered for etag in answer.etags]
    assert len(set(etags)) == len(etags) > 100


def rewriting(turn: int, number: int) -> catalog_pb2.UpsertItemsRequest:
    name = f"{turn}-{number}"
    items = [vector_item(f"i{n}", ROWS[n], turn=name) for n in range(10)]
    return catalog_pb2.UpsertItemsRequest(collection=SHOP, items=items, request_id=name)


# Collections


def test_a_collection_that_was_made_is_returned_again(module_served: Served) -> None:
    name = fresh_name()
    wanted = catalog_pb2.Collection(name=name, target_recall=0.9)
    request = catalog_pb2.CreateCollectionRequest(collection=wanted, request_id="one")
    first = module_served.catalog.CreateCollection(request)
    module_served.catalog.UpsertItems(upserting(name, "one"))
    again = module_served.catalog.CreateCollection(request)
    assert again.collection.create_time == first.collection.create_time
    assert again.collection.item_count == 3
    request.collection.target_recall = 0.95
    reused = failure(lambda: module_served.catalog.CreateCollection(request))
    assert reused.reason == "REQUEST_ID_REUSED"
    request.request_id = "other"
    taken = failure(lambda: module_served.catalog.CreateCollection(request))
    assert taken.reason == "COLLECTION_EXISTS"


def test_a_collection_may_be_missing_when_it_is_deleted(module_served: Served) -> None:
    name = create(module_served, fresh_name())
    for _ in range(2):
        module_served.catalog.DeleteCollection(
            catalog_pb2.DeleteCollectionRequest(name=name, allow_missing=True)
        )
    error = failure(
        lambda: module_served.catalog.DeleteCollection(
            catalog_pb2.DeleteCollectionRequest(name=name)
        )
    )
    assert error.reason == "UNKNOWN_COLLECTION"


@pytest.mark.parametrize(("wanted", "kept"), [(0.0, 0.99), (0.5, 0.5), (1.0, 1.0), (0.95, 0.95)])
def test_the_recall_that_was_asked_for_is_kept(
    module_served: Served, wanted: float, kept: float
) -> None:
    name = fresh_name()
    collection = catalog_pb2.Collection(name=name, target_recall=wanted)
    request = catalog_pb2.CreateCollectionRequest(collection=collection)
    assert module_served.catalog.CreateCollection(request).collection.target_recall == kept
    found = module_served.catalog.GetCollection(catalog_pb2.GetCollectionRequest(name=name))
    assert found.collection.target_recall == kept


@pytest.mark.parametrize("wanted", [0.49, 1.01, -1.0, float("nan"), float("inf")])
def test_a_recall_that_makes_no_sense_is_refused(module_served: Served, wanted: float) -> None:
    collection = catalog_pb2.Collection(name=fresh_name(), target_recall=wanted)
    request = catalog_pb2.CreateCollectionRequest(collection=collection)
    error = failure(lambda: module_served.catalog.CreateCollection(request))
    assert (error.reason, error.field) == ("OUT_OF_RANGE", "collection.target_recall")
