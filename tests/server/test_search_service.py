"""The services as a whole: batches, limits, bad requests, health and reflection."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)

from calls import (
    array,
    compose,
    failure,
    failure_of,
    hit_ids,
    query,
    random_picture,
    search,
    term,
    text_filter,
    vector,
)
from gallery import Gallery, fill, goods, random_vectors
from serving import Served
from tashihiki.v1 import (
    catalog_pb2,
    composition_pb2,
    discovery_pb2,
    maintenance_pb2,
    search_pb2,
)
from tiny_encoder import DIMENSION

Terms = Sequence[composition_pb2.Term]
ROW = random_vectors(1, 1)[0]


@pytest.fixture(scope="module")
def shop(module_served: Served) -> Gallery:
    return goods(module_served, "items")


@pytest.mark.parametrize("limit", [-1, 1001, -(2**31), 2**31 - 1])
def test_a_limit_out_of_range_is_refused(module_served: Served, shop: Gallery, limit: int) -> None:
    found = failure(lambda: search(module_served, shop.name, "red", limit=limit))
    assert (found.code.name, found.reason, found.field) == (
        "INVALID_ARGUMENT",
        "OUT_OF_RANGE",
        "limit",
    )


@pytest.mark.parametrize(("limit", "count"), [(0, 10), (1, 1), (18, 18), (1000, 18)])
def test_a_limit_bounds_the_hits(
    module_served: Served, shop: Gallery, limit: int, count: int
) -> None:
    assert len(search(module_served, shop.name, "red", limit=limit).hits) == count


# Bad requests: the form, its bindings, then code, reason and field.
BAD: dict[str, tuple[str | Terms, dict[str, Any], str, str, str]] = {
    "empty text": ("", {}, "INVALID_ARGUMENT", "EXPRESSION_EMPTY", "query.expression"),
    "syntax": ("red + (", {}, "INVALID_ARGUMENT", "EXPRESSION_SYNTAX", "query.expression"),
    "no terms": ([], {}, "INVALID_ARGUMENT", "COMPOSITION_EMPTY", "query.composition.terms"),
    "empty group": (
        [term(group=[])],
        {},
        "INVALID_ARGUMENT",
        "COMPOSITION_EMPTY",
        "query.composition.terms[0].group.terms",
    ),
    "term without an operand": (
        [term(word="red"), term(2.0)],
        {},
        "INVALID_ARGUMENT",
        "COMPOSITION_INVALID",
        "query.composition.terms[1]",
    ),
    "placeholder without a kind": (
        [term(placeholder=composition_pb2.PLACEHOLDER_UNSPECIFIED)],
        {},
        "INVALID_ARGUMENT",
        "COMPOSITION_INVALID",
        "query.composition.terms[0]",
    ),
    "weight in text": ("nan * red", {}, "INVALID_ARGUMENT", "WEIGHT_INVALID", "query.expression"),
    "weight in terms": (
        [term(math.inf, word="red")],
        {},
        "INVALID_ARGUMENT",
        "WEIGHT_INVALID",
        "query.composition.terms[0]",
    ),
    "weight in a group": (
        [term(word="mug"), term(group=[term(word="red"), term(1e308, word="red")])],
        {},
        "INVALID_ARGUMENT",
        "WEIGHT_INVALID",
        "query.composition.terms[1].group.terms[1]",
    ),
    "unknown facet in text": (
        "shape:round",
        {},
        "INVALID_ARGUMENT",
        "UNKNOWN_FACET",
        "query.expression",
    ),
    "unknown facet in terms": (
        [term(attribute=("shape", "round"))],
        {},
        "INVALID_ARGUMENT",
        "UNKNOWN_FACET",
        "query.composition.terms[0]",
    ),
    "unknown whole facet": (
        [term(word="red"), term(-1.0, facet="shape")],
        {},
        "INVALID_ARGUMENT",
        "UNKNOWN_FACET",
        "query.composition.terms[1]",
    ),
    "empty whole facet": (
        [term(word="red"), term(-1.0, facet="")],
        {},
        "INVALID_ARGUMENT",
        "UNKNOWN_FACET",
        "query.composition.terms[1]",
    ),
    "unknown value": (
        "colour:green",
        {},
        "INVALID_ARGUMENT",
        "UNKNOWN_VALUE",
        "query.expression",
    ),
    "unknown word": ("green", {}, "INVALID_ARGUMENT", "UNKNOWN_VALUE", "query.expression"),
    "empty word": (
        [term(word="")],
        {},
        "INVALID_ARGUMENT",
        "UNKNOWN_VALUE",
        "query.composition.terms[0]",
    ),
    "facet added": ("mug + colour", {}, "INVALID_ARGUMENT", "FACET_ADDED", "query.expression"),
    "cancelled out": ("red - red", {}, "INVALID_ARGUMENT", "ZERO_QUERY_VECTOR", "query"),
    "item that is not there": (
        "item(gone)",
        {},
        "NOT_FOUND",
        "UNKNOWN_ITEM",
        "query.expression",
    ),
    "item that is not there, in terms": (
        [term(item_id="gone")],
        {},
        "NOT_FOUND",
        "UNKNOWN_ITEM",
        "query.composition.terms[0]",
    ),
    "bound item that is not there": (
        "this item",
        {"this_item": "gone"},
        "NOT_FOUND",
        "UNKNOWN_ITEM",
        "query.bindings.this_item",
    ),
    "this item unbound": (
        "this item",
        {},
        "INVALID_ARGUMENT",
        "UNBOUND_OPERAND",
        "query.bindings.this_item",
    ),
    "this image unbound": (
        "this image",
        {},
        "INVALID_ARGUMENT",
        "UNBOUND_OPERAND",
        "query.bindings.this_image",
    ),
    "image unbound": (
        "image(photo)",
        {"images": {"other": random_picture(1)[1]}},
        "INVALID_ARGUMENT",
        "UNBOUND_OPERAND",
        "query.bindings.images[photo]",
    ),
    "vector unbound": (
        "vector(v)",
        {},
        "INVALID_ARGUMENT",
        "UNBOUND_OPERAND",
        "query.bindings.vectors[v]",
    ),
    "bound image of 0 bytes": (
        "image(photo)",
        {"images": {"photo": b""}},
        "INVALID_ARGUMENT",
        "IMAGE_EMPTY",
        "query.bindings.images[photo]",
    ),
    "text as this image": (
        "this image",
        {"this_image": b"hello"},
        "INVALID_ARGUMENT",
        "IMAGE_FORMAT_UNKNOWN",
        "query.bindings.this_image",
    ),
    "text as an image in a term": (
        [term(image=b"hello")],
        {},
        "INVALID_ARGUMENT",
        "IMAGE_FORMAT_UNKNOWN",
        "query.composition.terms[0]",
    ),
    "vector of the wrong length": (
        "vector(v)",
        {"vectors": {"v": vector(ROW[:-1])}},
        "INVALID_ARGUMENT",
        "VECTOR_INVALID",
        "query.bindings.vectors[v]",
    ),
    "vector of NaN in a term": (
        [term(vector=vector([math.nan] * DIMENSION))],
        {},
        "INVALID_ARGUMENT",
        "VECTOR_INVALID",
        "query.composition.terms[0]",
    ),
    "vector of zeros in a term": (
        [term(vector=vector(0 * ROW))],
        {},
        "INVALID_ARGUMENT",
        "VECTOR_INVALID",
        "query.composition.terms[0]",
    ),
    "too many terms": (
        [term(word="red")] * 1001,
        {},
        "INVALID_ARGUMENT",
        "TOO_MANY_TERMS",
        "query",
    ),
}


@pytest.mark.parametrize("fault", BAD)
def test_a_bad_query_is_refused_with_reason_field_and_remedy(
    module_served: Served, shop: Gallery, fault: str
) -> None:
    form, bindings, code, reason, field = BAD[fault]
    for call in (search, compose):
        found = failure(lambda call=call: call(module_served, shop.name, form, bindings))  # type: ignore[misc]
        assert (found.code.name, found.reason, found.field) == (code, reason, field)
        assert found.domain == "tashihiki"
        assert found.remedy
        assert found.message


def test_a_query_is_needed(module_served: Served, shop: Gallery) -> None:
    request = search_pb2.SearchRequest(collection=shop.name)
    found = failure(lambda: module_served.search.Search(request))
    assert (found.reason, found.field) == ("QUERY_MISSING", "query")


def test_a_collection_is_needed(module_served: Served, shop: Gallery) -> None:
    for name in ("", "gone"):
        for call in (search, compose):
            found = failure(lambda call=call, name=name: call(module_served, name, "red"))  # type: ignore[misc]
            assert (found.code.name, found.reason, found.field) == (
                "NOT_FOUND",
                "UNKNOWN_COLLECTION",
                "collection",
            )


def test_groups_nested_too_deep_are_refused(module_served: Served, shop: Gallery) -> None:
    form = [term(word="red")]
    for _ in range(32):
        form = [term(group=form)]
    assert compose(module_served, shop.name, form).terms[0].label == "colour:red"
    found = failure(lambda: compose(module_served, shop.name, [term(group=form)]))
    assert found.reason == "COMPOSITION_INVALID"


def batch(
    served: Served, requests: list[search_pb2.SearchRequest]
) -> list[search_pb2.BatchSearchResult]:
    answer = served.search.BatchSearch(search_pb2.BatchSearchRequest(requests=requests))
    return list(answer.results)


def test_each_search_of_a_batch_succeeds_or_fails_by_itself(
    module_served: Served, shop: Gallery
) -> None:
    def request(text: str, **options: Any) -> search_pb2.SearchRequest:
        return search_pb2.SearchRequest(
            **{"collection": shop.name, "query": query(text), "limit": 3, **options}
        )

    results = batch(
        module_served,
        [
            request("red"),
            request("green"),
            request("mug + blue", filter=text_filter("background:wood"), include_vector=True),
            request("red", collection="gone"),
            request("red", limit=-1),
            request("item(gone)"),
        ],
    )
    kinds = [result.WhichOneof("result") for result in results]
    assert kinds == ["response", "error", "response", "error", "error", "error"]
    assert results[0].response == search(module_served, shop.name, "red", limit=3)
    assert results[2].response == search(
        module_served,
        shop.name,
        "mug + blue",
        limit=3,
        filter=text_filter("background:wood"),
        include_vector=True,
    )
    found = [failure_of(results[number].error) for number in (1, 3, 4, 5)]
    assert [(f.code.name, f.reason) for f in found] == [
        ("INVALID_ARGUMENT", "UNKNOWN_VALUE"),
        ("NOT_FOUND", "UNKNOWN_COLLECTION"),
        ("INVALID_ARGUMENT", "OUT_OF_RANGE"),
        ("NOT_FOUND", "UNKNOWN_ITEM"),
    ]


def test_a_batch_of_a_hundred_is_answered_and_of_one_more_refused(
    module_served: Served, shop: Gallery
) -> None:
    request = search_pb2.SearchRequest(collection=shop.name, query=query("red"), limit=1)
    assert len(batch(module_served, [request] * 100)) == 100
    found = failure(lambda: batch(module_served, [request] * 101))
    assert (found.reason, found.field) == ("BATCH_TOO_LARGE", "requests")


def test_an_empty_batch_is_no_error(module_served: Served) -> None:
    assert batch(module_served, []) == []


def test_the_same_query_has_the_same_answer(module_served: Served, shop: Gallery) -> None:
    first = search(module_served, shop.name, "mug + red - wood", include_vector=True)
    again = search(module_served, shop.name, "mug + red - wood", include_vector=True)
    assert first == again


def test_compose_and_search_agree(module_served: Served, shop: Gallery) -> None:
    text = "mug + red - background"
    found = search(module_served, shop.name, text, include_vector=True)
    composed = compose(module_served, shop.name, text)
    assert composed.vector == found.vector
    assert (composed.norm, composed.generation) == (found.norm, found.generation)
    assert list(composed.terms) == list(found.terms)
    hit = found.hits[0]
    cosine = float(array(composed.vector) @ shop.vectors[hit.id])
    assert hit.similarity == pytest.approx(cosine, abs=2e-6)


def test_the_longest_names_are_answered_to(module_served: Served) -> None:
    long = "長" * 255
    labels = {
        str(number): {"colour": long + str(number), "trim": long + str(number)}
        for number in range(10)
    }
    vectors = dict(zip(labels, random_vectors(10, 3), strict=True))
    gallery = fill(module_served, "long-names", labels, vectors)
    answer = search(module_served, gallery.name, f"colour:{long}3")
    assert hit_ids(answer)[0] == "3"


SERVICES = {
    f"tashihiki.v1.{name}": file.DESCRIPTOR.services_by_name[name]
    for file, name in (
        (search_pb2, "SearchService"),
        (catalog_pb2, "CatalogService"),
        (discovery_pb2, "DiscoveryService"),
        (maintenance_pb2, "MaintenanceService"),
    )
}
HEALTH = ["", *SERVICES]


def check_health(served: Served, service: str) -> int:
    stub: Any = health_pb2_grpc.HealthStub(served.channel)
    return int(stub.Check(health_pb2.HealthCheckRequest(service=service)).status)


@pytest.mark.parametrize("service", HEALTH)
def test_health_is_told_for_the_server_and_each_service(
    module_served: Served, service: str
) -> None:
    assert check_health(module_served, service) == health_pb2.HealthCheckResponse.SERVING


def test_health_of_an_unknown_service_is_not_found(module_served: Served) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        check_health(module_served, "tashihiki.v9.SearchService")
    assert caught.value.code() == grpc.StatusCode.NOT_FOUND


def test_reflection_describes_the_services(module_served: Served) -> None:
    database = ProtoReflectionDescriptorDatabase(module_served.channel)
    assert {*SERVICES, "grpc.health.v1.Health"} <= set(database.get_services())
    for name, expected in SERVICES.items():
        services = database.FindFileContainingSymbol(name).service
        (service,) = (found for found in services if found.name == expected.name)
        assert [m.name for m in service.method] == [m.name for m in expected.methods]
