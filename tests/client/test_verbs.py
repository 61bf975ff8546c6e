from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from google.protobuf import json_format

from client.scripted_server import ScriptedServer
from tashihiki import (
    AsyncClient,
    BlockSimilarity,
    Client,
    ComposedBlock,
    Contribution,
    EncoderChange,
    FacetAngle,
    FacetDiagnostics,
    FacetSummary,
    IndexStatus,
    InvalidArgumentError,
    RecallPoint,
    ResolvedTerm,
    Search,
    SearchRoute,
    Space,
    SpaceDiagnostics,
    UnresolvedTerm,
    ValueSummary,
    attribute,
    facet,
)
from tashihiki.status import to_status
from tashihiki.v1 import catalog_pb2, composition_pb2, search_pb2

ANSWER_TERMS = [
    {"label": "this item", "weight": 1, "item_id": "mug_7"},
    {
        "label": "red",
        "weight": 0.5,
        "attribute": {"facet": "colour", "value": "red"},
        "member_count": 9,
    },
    {"label": "background", "weight": -1, "ignored_facet": "background"},
]
ANSWER = json_format.ParseDict(
    {
        "hits": [
            {
                "id": "mug_1",
                "similarity": 0.75,
                "attributes": {"colour": "red"},
                "metadata": {"price": 12, "tags": ["a", None]},
                "contributions": [0.5, 0.25, 0],
                "thumbnail": "anBlZw==",
            },
            {"id": "mug_2", "similarity": 0.5, "contributions": [0.5, 0, 0]},
        ],
        "norm": 1.5,
        "terms": ANSWER_TERMS,
        "unresolved_terms": [{"label": "item(x)", "weight": 1, "reason": "UNKNOWN_ITEM"}],
        "generation": 4,
        "route": "SEARCH_ROUTE_EXACT",
        "vector": {"values": [0.6, 0.8]},
    },
    search_pb2.SearchResponse(),
)


def test_a_result_is_a_sequence_of_hits_with_its_explanation(
    server: ScriptedServer, client: Client
) -> None:
    server.answer("Search", ANSWER)
    result = client.search("items", "this item - background + 0.5 red", this_item="mug_7")
    assert len(result) == 2
    assert [hit.id for hit in result] == ["mug_1", "mug_2"]
    assert result[-1].metadata == {}
    assert result[1:][0].thumbnail is None
    first = result[0]
    assert first.metadata == {"price": 12, "tags": ["a", None]}
    assert str(first.metadata["price"]) == "12"
    assert (first.attributes, first.thumbnail) == ({"colour": "red"}, b"jpeg")
    assert first.contributions[1] == Contribution("red", 0.5, 0.25)
    assert (result.norm, result.generation, result.route) == (1.5, 4, SearchRoute.EXACT)
    assert result.terms == (
        ResolvedTerm("this item", 1, "item", name="mug_7"),
        ResolvedTerm("red", 0.5, "attribute", "colour", "red", member_count=9),
        ResolvedTerm("background", -1, "facet", facet="background"),
    )
    assert result.unresolved_terms == (UnresolvedTerm("item(x)", 1, "UNKNOWN_ITEM"),)
    assert result.vector is not None
    np.testing.assert_array_equal(result.vector, np.array([0.6, 0.8], np.float32))


def test_every_argument_of_a_search_is_sent(
    server: ScriptedServer, client: Client, tmp_path: Path
) -> None:
    picture = tmp_path / "mug.jpg"
    picture.write_bytes(b"jpeg")
    client.search(
        "items",
        "this item − background + image(mug)",
        limit=3,
        where=facet("colour").isin("red"),
        this_item="mug_7",
        this_image=b"png",
        images={"mug": picture},
        vectors={"v": np.ones(2)},
        include_operands=True,
        missing_items="skip",
        include_vector=True,
        include_thumbnails=True,
        mode="add",
        rerank=False,
    )
    assert json_format.MessageToDict(server.received("Search")[0]) == {
        "collection": "items",
        "query": {
            "expression": "this item − background + image(mug)",
            "bindings": {
                "thisItem": "mug_7",
                "thisImage": "cG5n",
                "images": {"mug": "anBlZw=="},
                "vectors": {"v": {"values": [1, 1]}},
            },
        },
        "limit": 3,
        "filter": {"facetIn": {"facet": "colour", "values": ["red"]}},
        "includeOperands": True,
        "missingItems": "MISSING_ITEMS_SKIP",
        "includeVector": True,
        "includeThumbnails": True,
        "attributeMode": "ATTRIBUTE_MODE_ADD",
        "rerank": "RERANK_OFF",
    }


FACTORED_ANSWER = json_format.ParseDict(
    {
        "hits": [
            {
                "id": "mug_1",
                "similarity": 0.7,
                "attributes": {"colour": "red", "product": "mug"},
                "contributions": [0.25, 0.45, 0],
                "blocks": [
                    {"similarity": 0.8, "contribution": 0.2},
                    {"similarity": 0.9, "contribution": 0.45},
                    {"similarity": 0, "contribution": 0},
                    {"similarity": 0.2, "contribution": 0.05},
                ],
                "posterior": 0.5,
            }
        ],
        "norm": 1.5,
        "terms": ANSWER_TERMS,
        "blocks": [
            {"facet": "product", "weight": 0.25, "terms": [0]},
            {"facet": "colour", "weight": 0.5, "terms": [1]},
            {"facet": "background"},
            {"weight": 0.25, "terms": [0]},
        ],
        "route": "SEARCH_ROUTE_EXACT",
    },
    search_pb2.SearchResponse(),
)


def test_a_hit_says_how_it_compares_block_by_block(server: ScriptedServer, client: Client) -> None:
    server.answer("Search", FACTORED_ANSWER)
    result = client.search("items", "this item - background + red", this_item="mug_7")
    assert result.blocks == (
        ComposedBlock("product", 0.25, (0,)),
        ComposedBlock("colour", 0.5, (1,)),
        ComposedBlock("background", 0.0, ()),
        ComposedBlock("", 0.25, (0,)),
    )
    (hit,) = result
    assert hit.blocks == (
        BlockSimilarity("product", 0.8, 0.2),
        BlockSimilarity("colour", 0.9, 0.45),
        BlockSimilarity("background", 0.0, 0.0),
        BlockSimilarity("", 0.2, 0.05),
    )
    assert hit.posterior == 0.5


@pytest.mark.parametrize(("rerank", "sent"), [(None, 0), (False, 1), (True, 2)])
def test_reranking_may_be_left_to_the_server(
    rerank: bool | None, sent: int, server: ScriptedServer, client: Client
) -> None:
    client.search("items", "red", rerank=rerank)
    assert server.received("Search")[0].rerank == sent


def test_a_batch_has_an_answer_or_an_error_for_each(server: ScriptedServer, client: Client) -> None:
    error = InvalidArgumentError("No.", reason="NO")
    results = [
        search_pb2.BatchSearchResult(response=ANSWER),
        search_pb2.BatchSearchResult(error=to_status(error)),
    ]
    server.answer("BatchSearch", search_pb2.BatchSearchResponse(results=results))
    good, bad = client.batch_search([Search("items", "red"), Search("items", attribute("blue"))])
    assert not isinstance(good, Exception)
    assert len(good) == 2
    assert isinstance(bad, InvalidArgumentError)
    sent = server.received("BatchSearch")[0].requests
    assert [request.query.WhichOneof("form") for request in sent] == ["expression", "composition"]


def test_compose_returns_the_vector_and_the_terms(server: ScriptedServer, client: Client) -> None:
    answer = search_pb2.ComposeResponse(
        vector=ANSWER.vector, norm=2, terms=ANSWER.terms, blocks=FACTORED_ANSWER.blocks
    )
    server.answer("Compose", answer)
    result = client.compose("items", attribute("red"), mode="add")
    assert server.received("Compose")[0].attribute_mode == composition_pb2.ATTRIBUTE_MODE_ADD
    assert [block.facet for block in result.blocks] == ["product", "colour", "background", ""]
    assert result.vector.shape == (2,)
    assert result.vector.dtype == np.float32
    assert (result.norm, len(result.terms)) == (2, 3)


def test_collections_are_made_and_described(server: ScriptedServer, client: Client) -> None:
    made = catalog_pb2.Collection(
        name="faces",
        encoder="f00d",
        space=catalog_pb2.Space(kind=catalog_pb2.SPACE_KIND_SUM, keep_negative=True),
        aliases=[catalog_pb2.Alias(facet="expression", alias="HA", value="HAPPY")],
        dimension=1280,
        item_count=213,
    )
    made.create_time.FromJsonString("2024-05-06T07:08:09Z")
    server.answer("CreateCollection", catalog_pb2.CreateCollectionResponse(collection=made))
    aliases = {"expression": {"HA": "HAPPY"}}
    collection = client.create_collection("faces", space=Space(keep_negative=True), aliases=aliases)
    assert collection.aliases == aliases
    assert collection.space == Space("sum", keep_negative=True)
    assert collection.create_time == datetime(2024, 5, 6, 7, 8, 9, tzinfo=timezone.utc)
    sent = server.received("CreateCollection")[0].collection
    assert (sent.name, list(sent.aliases)) == ("faces", list(made.aliases))
    assert sent.space == catalog_pb2.Space(keep_negative=True)


@pytest.mark.parametrize("space", ["auto", "sum", "factored"])
def test_a_space_is_asked_for_by_its_name(
    space: Literal["auto", "sum", "factored"], server: ScriptedServer, client: Client
) -> None:
    server.answer(
        "CreateCollection",
        lambda request, context: catalog_pb2.CreateCollectionResponse(
            collection=request.collection
        ),
    )
    assert client.create_collection("faces", space=space).space == Space(space)
    assert client.create_collection("faces", space=Space(space)).space == Space(space)


DESCRIBED = json_format.ParseDict(
    {
        "name": "faces",
        "encoder": "f00d",
        "dimension": 1280,
        "item_count": 213,
        "space_in_force": "SPACE_KIND_FACTORED",
        "space_pending": True,
        "space_diagnostics": {
            "facets": [
                {"facet": "person", "variance_share": 0.6, "dimension": 9},
                {"facet": "expression", "variance_share": 0.1, "dimension": 6},
            ],
            "interaction_share": 0.1,
            "residual_share": 0.2,
            "additive_r2": 0.875,
            "angles": [{"facet": "person", "other": "expression", "degrees": 71.5}],
            "shrinkage": 0.3,
            "fitted_item_count": 213,
            "fitted_combination_count": 70,
            "rest_dimension": 64,
            "held_out_accuracy": 0.75,
        },
        "target_recall": 0.95,
        "index": {
            "route": "SEARCH_ROUTE_CELLS",
            "indexed_count": 200,
            "newer_count": 13,
            "removed_count": 4,
            "pending": True,
            "curve": [
                {
                    "route": "SEARCH_ROUTE_CELLS",
                    "setting": 32,
                    "count": 10,
                    "recall": 0.9925,
                    "seconds": 0.0011,
                    "chosen": True,
                },
                {"route": "SEARCH_ROUTE_INDEX", "setting": 0.15, "count": 100, "recall": 0.5},
            ],
        },
        "encoder_change": {"encoder": "cafe", "done_count": 10, "total_count": 213},
        "previous_encoder": "beef",
    },
    catalog_pb2.Collection(),
)


def test_a_collection_says_how_well_its_space_fits(server: ScriptedServer, client: Client) -> None:
    server.answer("GetCollection", catalog_pb2.GetCollectionResponse(collection=DESCRIBED))
    found = client.get_collection("faces")
    assert (found.space, found.space_in_force, found.space_pending) == (Space(), "factored", True)
    assert found.diagnostics == SpaceDiagnostics(
        facets=(FacetDiagnostics("person", 0.6, 9), FacetDiagnostics("expression", 0.1, 6)),
        interaction_share=0.1,
        residual_share=0.2,
        additive_r2=0.875,
        angles=(FacetAngle("person", "expression", 71.5),),
        shrinkage=0.3,
        item_count=213,
        combination_count=70,
        rest_dimension=64,
        held_out_accuracy=0.75,
    )


def test_a_collection_says_how_it_is_searched(server: ScriptedServer, client: Client) -> None:
    server.answer("GetCollection", catalog_pb2.GetCollectionResponse(collection=DESCRIBED))
    found = client.get_collection("faces")
    chosen = RecallPoint(SearchRoute.CELLS, 32, 10, 0.9925, 0.0011, chosen=True)
    other = RecallPoint(SearchRoute.INDEX, 0.15, 100, 0.5, 0, chosen=False)
    assert found.index == IndexStatus(SearchRoute.CELLS, 200, 13, 4, True, (chosen, other))
    assert found.encoder_change == EncoderChange("cafe", 10, 213)
    assert (found.target_recall, found.previous_encoder) == (0.95, "beef")
    server.answer("GetCollection", catalog_pb2.GetCollectionResponse())
    bare = client.get_collection("faces")
    assert (bare.index, bare.encoder_change, bare.previous_encoder) == (None, None, "")


def test_a_target_of_recall_is_asked_for(server: ScriptedServer, client: Client) -> None:
    client.create_collection("faces", target_recall=0.9)
    client.create_collection("faces")
    sent = [request.collection.target_recall for request in server.received("CreateCollection")]
    assert sent == [0.9, 0]
    with pytest.raises(InvalidArgumentError) as caught:
        client.create_collection("faces", target_recall=0)
    assert caught.value.reason == "OUT_OF_RANGE"


async def test_a_collection_may_be_gone_already(
    server: ScriptedServer, client: Client, async_client: AsyncClient
) -> None:
    client.delete_collection("faces")
    client.delete_collection("faces", allow_missing=True)
    await async_client.delete_collection("faces", allow_missing=True)
    sent = [request.allow_missing for request in server.received("DeleteCollection")]
    assert sent == [False, True, True]


def test_a_damaged_collection_is_listed(server: ScriptedServer, client: Client) -> None:
    damaged = catalog_pb2.Collection(name="faces", fault="CATALOGUE_DAMAGED: A row is lost.")
    server.answer("ListCollections", catalog_pb2.ListCollectionsResponse(collections=[damaged]))
    (found,) = client.list_collections()
    assert found.fault == "CATALOGUE_DAMAGED: A row is lost."


def test_lists_go_through_all_pages(server: ScriptedServer, client: Client) -> None:
    pages = [
        catalog_pb2.ListCollectionsResponse(
            collections=[catalog_pb2.Collection(name=name)], next_page_token=token
        )
        for name, token in [("a", "1"), ("b", "2"), ("c", "")]
    ]
    server.answer("ListCollections", *pages)
    assert [collection.name for collection in client.list_collections()] == ["a", "b", "c"]
    tokens = [request.page_token for request in server.received("ListCollections")]
    assert tokens == ["", "1", "2"]


def test_items_are_fetched_page_by_page(server: ScriptedServer, client: Client) -> None:
    page = catalog_pb2.ListItemsResponse(items=[catalog_pb2.Item(id="a")], next_page_token="1")
    server.answer("ListItems", page)
    found = client.items("items", where="colour:red", page_size=1)
    assert next(found).id == "a"
    assert len(server.calls) == 1
    assert next(found).vector is None
    request = server.received("ListItems")[1]
    assert (request.filter.expression, request.page_size) == ("colour:red", 1)
    assert request.page_token == "1"


def test_an_item_comes_with_what_was_asked_for(server: ScriptedServer, client: Client) -> None:
    item = catalog_pb2.Item(
        id="a", vector=ANSWER.vector, thumbnail=b"jpeg", etag="7", image_sha256=bytes(32)
    )
    server.answer("GetItem", catalog_pb2.GetItemResponse(item=item))
    stored = client.get_item("items", "a", include_vector=True, include_thumbnail=True)
    assert stored.vector is not None
    assert (stored.vector.shape, stored.thumbnail) == ((2,), b"jpeg")
    assert stored.create_time is None
    assert (stored.etag, stored.image_sha256) == ("7", bytes(32))
    server.answer("GetItem", catalog_pb2.GetItemResponse())
    assert client.get_item("items", "a").image_sha256 is None


def test_attributes_have_counts(server: ScriptedServer, client: Client) -> None:
    value = catalog_pb2.ValueSummary(value="HAPPY", member_count=30, aliases=["HA"])
    summary = catalog_pb2.FacetSummary(facet="expression", values=[value], unlabelled_count=2)
    server.answer("ListAttributes", catalog_pb2.ListAttributesResponse(facets=[summary]))
    expected = FacetSummary("expression", (ValueSummary("HAPPY", 30, ("HA",)),), 2)
    assert client.attributes("faces") == (expected,)


def test_deletions_add_up_over_batches(server: ScriptedServer, client: Client) -> None:
    answer = catalog_pb2.DeleteItemsResponse(deleted_count=5, missing_ids=["x"])
    server.answer("DeleteItems", answer)
    result = client.delete_items("items", map(str, range(2001)), missing_items="skip")
    assert (result.count, result.missing_ids) == (15, ("x", "x", "x"))
    assert [len(request.ids) for request in server.received("DeleteItems")] == [1000, 1000, 1]
    with pytest.raises(TypeError):
        client.delete_items("items", "mug_7")


def test_embeddings_keep_the_order_of_the_pictures(server: ScriptedServer, client: Client) -> None:
    def embed(request: catalog_pb2.EmbedRequest, context: object) -> catalog_pb2.EmbedResponse:
        response = catalog_pb2.EmbedResponse()
        for image in request.images:
            response.vectors.add(values=[float(image), 0])
        return response

    server.answer("Embed", embed)
    vectors = client.embed("faces", (str(number).encode() for number in range(70)))
    assert vectors.shape == (70, 2)
    assert vectors.dtype == np.float32
    assert vectors[:, 0].tolist() == list(range(70))
    assert client.embed("faces", []).shape == (0, 0)


@pytest.mark.parametrize("limit", [0, -1, 1001])
def test_a_limit_is_1_to_1000(limit: int, client: Client) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        client.search("items", "red", limit=limit)
    assert caught.value.reason == "LIMIT_INVALID"


def test_a_query_is_a_composition_or_text(client: Client) -> None:
    with pytest.raises(TypeError):
        client.search("items", 7)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="missing_items"):
        client.search("items", "red", missing_items="ignore")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="mode"):
        client.search("items", "red", mode="both")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="space"):
        client.create_collection("items", space="product")  # type: ignore[arg-type]
