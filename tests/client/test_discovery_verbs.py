from __future__ import annotations

import pytest
from google.protobuf import json_format

from client.scripted_server import ScriptedServer
from tashihiki import AsyncClient, Client, Duplicate, DuplicateGroup, InvalidArgumentError, facet
from tashihiki.v1 import catalog_pb2, composition_pb2, discovery_pb2

EVENTS = [
    json_format.ParseDict(event, discovery_pb2.FindDuplicatesResponse())
    for event in (
        {
            "group": {
                "items": [{"id": "a", "similarity": 1}, {"id": "b", "similarity": 1}],
                "identical": True,
            }
        },
        {"progress": {"done_count": 1, "total_count": 3}},
        {"group": {"items": [{"id": "c", "similarity": 1}, {"id": "d", "similarity": 0.99}]}},
        {"progress": {"done_count": 3, "total_count": 3}},
    )
]
GROUPS = [
    DuplicateGroup((Duplicate("a", 1.0), Duplicate("b", 1.0)), identical=True),
    DuplicateGroup((Duplicate("c", 1.0), Duplicate("d", 0.99)), identical=False),
]
VECTOR = composition_pb2.Vector(values=[1, 0])


async def test_duplicates_come_in_groups_with_progress(
    server: ScriptedServer, client: Client, async_client: AsyncClient
) -> None:
    server.answer("FindDuplicates", EVENTS)
    steps: list[tuple[int, int]] = []

    def progress(done: int, total: int) -> None:
        steps.append((done, total))

    assert list(client.find_duplicates("items", progress=progress)) == GROUPS
    assert steps == [(1, 3), (3, 3)]
    found = [group async for group in async_client.find_duplicates("items", progress=progress)]
    assert found == GROUPS
    assert steps == [(1, 3), (3, 3)] * 2
    assert [item.id for item in found[1]] == ["c", "d"]
    assert len(found[1]) == 2


def test_every_argument_of_a_search_for_duplicates_is_sent(
    server: ScriptedServer, client: Client
) -> None:
    where = facet("colour").isin("red")
    options = {"where": where, "min_similarity": 0.9, "image": b"jpeg", "exact_only": True}
    list(client.find_duplicates("items", **options))  # type: ignore[arg-type]
    list(client.find_duplicates("items"))
    full, bare = map(json_format.MessageToDict, server.received("FindDuplicates"))
    assert full == {
        "collection": "items",
        "filter": {"facetIn": {"facet": "colour", "values": ["red"]}},
        "minSimilarity": 0.9,
        "image": "anBlZw==",
        "exactOnly": True,
    }
    assert bare == {"collection": "items"}


async def test_suggestions_say_how_much_is_to_label(
    server: ScriptedServer, client: Client, async_client: AsyncClient
) -> None:
    item = catalog_pb2.Item(id="a", etag="7", thumbnail=b"jpeg")
    answer = discovery_pb2.SuggestLabelsResponse(
        suggestions=[discovery_pb2.LabelSuggestion(item=item, similarity=0.25)],
        unlabelled_count=40,
    )
    server.answer("SuggestLabels", answer)
    options = {"facet": "colour", "limit": 3, "where": "shape:round", "include_thumbnails": True}
    for found in (
        client.suggest_labels("items", **options),  # type: ignore[arg-type]
        await async_client.suggest_labels("items", **options),  # type: ignore[arg-type]
    ):
        assert (len(found), found.unlabelled_count) == (1, 40)
        (one,) = found
        assert (one.item.id, one.item.thumbnail, one.similarity) == ("a", b"jpeg", 0.25)
        request = server.received("SuggestLabels")[-1]
        assert json_format.MessageToDict(request) == {
            "collection": "items",
            "facet": "colour",
            "limit": 3,
            "filter": {"expression": "shape:round"},
            "includeThumbnails": True,
        }


async def test_a_sample_is_drawn_with_or_without_a_seed(
    server: ScriptedServer, client: Client, async_client: AsyncClient
) -> None:
    items = [catalog_pb2.Item(id="b", vector=VECTOR), catalog_pb2.Item(id="a", vector=VECTOR)]
    answer = discovery_pb2.SampleItemsResponse(items=items, admitted_count=9)
    server.answer("SampleItems", answer)
    options = {"where": "shape:round", "include_vectors": True, "include_thumbnails": True}
    for found in (
        client.sample("items", 2, seed=0, **options),  # type: ignore[arg-type]
        await async_client.sample("items", 2, seed=0, **options),  # type: ignore[arg-type]
    ):
        assert ([item.id for item in found], len(found)) == (["b", "a"], 2)
        assert found.admitted_count == 9
        assert found.items[0].vector is not None
        request = server.received("SampleItems")[-1]
        assert request.HasField("seed")
        assert json_format.MessageToDict(request) == {
            "collection": "items",
            "count": 2,
            "filter": {"expression": "shape:round"},
            "seed": "0",
            "includeVectors": True,
            "includeThumbnails": True,
        }
    client.sample("items")
    request = server.received("SampleItems")[-1]
    assert (request.count, request.HasField("seed")) == (10, False)


def test_numbers_that_the_wire_cannot_tell_are_refused(
    server: ScriptedServer, client: Client
) -> None:
    for number in (0, -1, 1001):
        with pytest.raises(InvalidArgumentError, match="count") as caught:
            client.sample("items", number)
        assert caught.value.reason == "LIMIT_INVALID"
        with pytest.raises(InvalidArgumentError, match="limit"):
            client.suggest_labels("items", limit=number)
    for seed in (2**63, -(2**63) - 1):
        with pytest.raises(InvalidArgumentError, match="seed"):
            client.sample("items", seed=seed)
    with pytest.raises(InvalidArgumentError, match="min_similarity") as caught:
        next(client.find_duplicates("items", min_similarity=0))
    assert caught.value.reason == "OUT_OF_RANGE"
    assert not server.calls
