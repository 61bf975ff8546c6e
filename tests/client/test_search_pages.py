from __future__ import annotations

import io
from typing import Any

import pytest
from google.protobuf import json_format

from client.scripted_server import ScriptedServer
from tashihiki import (
    AsyncClient,
    Client,
    FailedPreconditionError,
    InvalidArgumentError,
    Search,
    SearchRoute,
)
from tashihiki.v1 import search_pb2

PAGES = [
    search_pb2.SearchResponse(
        hits=[search_pb2.Hit(id=one) for one in ids], norm=1, next_page_token=token
    )
    for ids, token in [("ab", "1"), ("cd", "2"), ("e", "")]
]


async def test_pages_follow_each_other_to_the_end(
    server: ScriptedServer, client: Client, async_client: AsyncClient
) -> None:
    server.answer("Search", *PAGES)
    found = [[hit.id for hit in page] for page in client.search_pages("items", "red", page_size=2)]
    assert found == [["a", "b"], ["c", "d"], ["e"]]
    server.answer("Search", *PAGES)
    pages = async_client.search_pages("items", "red", page_size=2)
    assert [[hit.id for hit in page] async for page in pages] == found
    tokens = [request.page_token for request in server.received("Search")]
    assert tokens == ["", "1", "2"] * 2


def test_pages_are_fetched_as_they_are_asked_for(server: ScriptedServer, client: Client) -> None:
    server.answer("Search", *PAGES)
    pages = client.search_pages("items", "red")
    assert next(pages).next_page_token == "1"
    assert len(server.calls) == 1


def test_all_pages_ask_for_the_same(server: ScriptedServer, client: Client) -> None:
    server.answer("Search", *PAGES)
    options: dict[str, Any] = {
        "where": "shape:round",
        "this_item": "mug_7",
        # It can be read once only.
        "this_image": io.BytesIO(b"jpeg"),
        "images": {"mug": b"png"},
        "vectors": {"v": [1.0]},
        "include_operands": True,
        "missing_items": "skip",
        "include_thumbnails": True,
        "mode": "add",
        "rerank": True,
        "min_similarity": -0.5,
    }
    list(client.search_pages("items", "this image", page_size=7, **options))
    sent = list(map(json_format.MessageToDict, server.received("Search")))
    assert [request.pop("pageToken", "") for request in sent] == ["", "1", "2"]
    assert sent[0] == sent[1] == sent[2]
    assert sent[0] == {
        "collection": "items",
        "query": {
            "expression": "this image",
            "bindings": {
                "thisItem": "mug_7",
                "thisImage": "anBlZw==",
                "images": {"mug": "cG5n"},
                "vectors": {"v": {"values": [1]}},
            },
        },
        "limit": 7,
        "filter": {"expression": "shape:round"},
        "includeOperands": True,
        "missingItems": "MISSING_ITEMS_SKIP",
        "includeThumbnails": True,
        "attributeMode": "ATTRIBUTE_MODE_ADD",
        "rerank": "RERANK_ON",
        "minSimilarity": -0.5,
    }


def test_a_token_that_has_expired_is_an_error(server: ScriptedServer, client: Client) -> None:
    expired = FailedPreconditionError("Gone.", reason="PAGE_TOKEN_EXPIRED")
    server.answer("Search", PAGES[0], expired)
    pages = client.search_pages("items", "red")
    next(pages)
    with pytest.raises(FailedPreconditionError) as caught:
        next(pages)
    assert caught.value.reason == "PAGE_TOKEN_EXPIRED"


def test_grouping_diversity_and_tokens_are_sent(server: ScriptedServer, client: Client) -> None:
    client.search("items", "red", group_by="colour", diversity=0.7, min_similarity=0.0)
    client.batch_search([Search("items", "red", group_by=("colour", 3), page_token="t")])
    client.search("items", "red")
    first, bare = server.received("Search")
    second = server.received("BatchSearch")[0].requests[0]
    assert (first.grouping.facet, first.grouping.max_per_value) == ("colour", 1)
    assert first.diversity.balance == 0.7
    assert first.HasField("min_similarity")
    assert (second.grouping.facet, second.grouping.max_per_value) == ("colour", 3)
    assert second.page_token == "t"
    for name in ("min_similarity", "grouping", "diversity"):
        assert not bare.HasField(name)


@pytest.mark.parametrize("number", [0, -1, 2**31])
def test_a_group_has_at_least_one_hit(number: int, client: Client) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        client.search("items", "red", group_by=("colour", number))
    assert caught.value.reason == "OUT_OF_RANGE"
    assert caught.value.field == "grouping.max_per_value"


async def test_similar_searches_by_id(
    server: ScriptedServer, client: Client, async_client: AsyncClient
) -> None:
    server.answer("Search", search_pb2.SearchResponse(route=search_pb2.SEARCH_ROUTE_CELLS))
    options: dict[str, Any] = {
        "limit": 3,
        "where": "shape:round",
        "min_similarity": 0.5,
        "group_by": "colour",
        "diversity": 0.5,
        "include_thumbnails": True,
    }
    result = client.similar("items", "mug + 7", **options)
    assert result.route is SearchRoute.CELLS
    await async_client.similar("items", "mug + 7", **options)
    expected = {
        "collection": "items",
        "query": {"composition": {"terms": [{"itemId": "mug + 7", "weight": 1}]}, "bindings": {}},
        "limit": 3,
        "filter": {"expression": "shape:round"},
        "minSimilarity": 0.5,
        "grouping": {"facet": "colour", "maxPerValue": 1},
        "diversity": {"balance": 0.5},
        "includeThumbnails": True,
        "missingItems": "MISSING_ITEMS_FAIL",
        "attributeMode": "ATTRIBUTE_MODE_REPLACE",
    }
    assert [json_format.MessageToDict(sent) for sent in server.received("Search")] == [expected] * 2
