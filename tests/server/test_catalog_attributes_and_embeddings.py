"""ListAttributes and Embed."""

from __future__ import annotations

import pytest
from numpy.testing import assert_allclose

from calls import (
    array,
    create,
    delete,
    failure,
    fresh_name,
    get,
    random_picture,
    search,
    term,
    upsert,
    vector_item,
)
from gallery import random_vectors
from serving import Served
from tashihiki.v1 import catalog_pb2
from tiny_encoder import DIMENSION, tiny_embedding

ROW = random_vectors(1, 1)[0]


def attributes(served: Served, collection: str, facet: str = "") -> list[catalog_pb2.FacetSummary]:
    request = catalog_pb2.ListAttributesRequest(collection=collection, facet=facet)
    response: catalog_pb2.ListAttributesResponse = served.catalog.ListAttributes(request)
    return list(response.facets)


def embed(served: Served, collection: str, *images: bytes) -> catalog_pb2.EmbedResponse:
    request = catalog_pb2.EmbedRequest(collection=collection, images=images)
    response: catalog_pb2.EmbedResponse = served.catalog.Embed(request)
    return response


def counts(summary: catalog_pb2.FacetSummary) -> list[tuple[str, int]]:
    return [(value.value, value.member_count) for value in summary.values]


@pytest.fixture
def collection(module_served: Served) -> str:
    name = create(
        module_served,
        fresh_name(),
        aliases=[
            ("Colour", "crimson", "red"),
            ("colour", "scarlet", "red"),
            ("kind", "cup", "mug"),
        ],
    )
    upsert(
        module_served,
        name,
        [
            vector_item("a", ROW, colour="red", kind="mug"),
            vector_item("b", ROW, colour="RED", kind="cup"),
            vector_item("c", ROW, Colour="crimson"),
            vector_item("d", ROW, colour="blue", kind="lamp"),
            vector_item("e", ROW, colour="azure"),
            vector_item("f", ROW),
        ],
    )
    return name


def test_values_are_counted_most_members_first(module_served: Served, collection: str) -> None:
    colour, kind = attributes(module_served, collection)
    assert colour.facet.casefold() == "colour"
    assert counts(colour) == [("red", 3), ("azure", 1), ("blue", 1)]
    assert colour.unlabelled_count == 1
    assert counts(kind) == [("mug", 2), ("lamp", 1)]
    assert kind.unlabelled_count == 3


def test_values_tell_their_aliases(module_served: Served, collection: str) -> None:
    colour, kind = attributes(module_served, collection)
    assert list(colour.values[0].aliases) == ["crimson", "scarlet"]
    assert list(kind.values[0].aliases) == ["cup"]
    assert not kind.values[1].aliases


def test_one_facet_can_be_asked_for(module_served: Served, collection: str) -> None:
    (kind,) = attributes(module_served, collection, "KIND")
    assert kind.facet == "kind"
    found = failure(lambda: attributes(module_served, collection, "knid"))
    assert (found.reason, found.field, found.candidates) == ("UNKNOWN_FACET", "facet", ["kind"])


def test_counts_follow_deletes_and_relabelling(module_served: Served, collection: str) -> None:
    delete(module_served, collection, "d")
    relabelled = catalog_pb2.ItemInput(id="a", attributes={"colour": "azure"})
    upsert(module_served, collection, [relabelled])
    colour, kind = attributes(module_served, collection)
    assert counts(colour) == [("azure", 2), ("red", 2)]
    assert counts(kind) == [("mug", 1)]
    assert (colour.unlabelled_count, kind.unlabelled_count) == (1, 4)


def test_an_empty_collection_has_no_facets(module_served: Served) -> None:
    assert attributes(module_served, create(module_served, fresh_name())) == []


def test_embeddings_are_those_that_numpy_computes(module_served: Served, collection: str) -> None:
    pictures = [random_picture(seed) for seed in range(5)]
    answer = embed(module_served, collection, *(data for _, data in pictures))
    assert len(answer.vectors) == 5
    for (pixels, _), message in zip(pictures, answer.vectors, strict=True):
        # The encoder may run in bf16.
        assert_allclose(array(message), tiny_embedding(pixels), atol=2e-3)
        assert float(array(message) @ array(message)) == pytest.approx(1.0, abs=1e-5)
        assert min(message.values) >= 0


def test_embed_store_and_query_agree(module_served: Served, collection: str) -> None:
    _, picture = random_picture(7)
    (message,) = embed(module_served, collection, picture).vectors
    upsert(module_served, collection, [catalog_pb2.ItemInput(id="p", image=picture)])
    stored = get(module_served, collection, "p", include_vector=True).vector
    assert_allclose(array(stored), array(message), atol=1e-6)
    (hit,) = search(module_served, collection, [term(image=picture)], limit=1).hits
    assert hit.id == "p"
    assert hit.similarity == pytest.approx(1.0, abs=1e-6)


def test_embed_tells_the_encoder(module_served: Served, collection: str) -> None:
    request = catalog_pb2.GetCollectionRequest(name=collection)
    fingerprint = module_served.catalog.GetCollection(request).collection.encoder
    answer = embed(module_served, collection)
    assert (answer.encoder, len(answer.vectors)) == (fingerprint, 0)


def test_a_bad_picture_among_good_ones_is_named(module_served: Served, collection: str) -> None:
    good = random_picture(1)[1]
    found = failure(lambda: embed(module_served, collection, good, b"not a picture", good))
    assert (found.reason, found.field) == ("IMAGE_FORMAT_UNKNOWN", "images[1]")


def test_more_than_a_hundred_pictures_are_refused(module_served: Served, collection: str) -> None:
    good = random_picture(1)[1]
    found = failure(lambda: embed(module_served, collection, *[good] * 101))
    assert (found.reason, found.field) == ("BATCH_TOO_LARGE", "images")
    answer = embed(module_served, collection, *[good] * 100)
    assert [len(message.values) for message in answer.vectors] == [DIMENSION] * 100
