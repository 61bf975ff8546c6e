"""The fake server of `tashihiki.testing` answers as the real one."""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import numpy as np
import pytest
from google.protobuf import json_format
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from hypothesis import example, given, settings
from hypothesis import strategies as st

from calls import (
    compose,
    create,
    facet_in,
    fresh_name,
    items,
    metadata,
    query,
    random_picture,
    search,
    stored_vectors,
    term,
    text_filter,
    upsert,
    vector,
)
from client.congruence import DIFFERENT, NOT_IN_FAKE, Both, Side, beside, calling, told
from docs.markdown import DOCS
from serving import Served
from tashihiki.v1 import (
    catalog_pb2,
    composition_pb2,
    discovery_pb2,
    maintenance_pb2,
    search_pb2,
)
from tashihiki.v1.catalog_pb2 import ItemInput
from tiny_encoder import DIMENSION

FACETS = {
    "kind": ("mug", "chair", "lamp"),
    "colour": ("red", "blue", "navy blue"),
    "background": ("wood", "plain", "grass"),
}
SPACES = {"goods": catalog_pb2.SPACE_KIND_SUM, "fitted": catalog_pb2.SPACE_KIND_FACTORED}
ALIASES = [("colour", "crimson", "red")]
PATIENCE = 60.0
PICTURES = [random_picture(seed)[1] for seed in range(3)]
SKIP = composition_pb2.MISSING_ITEMS_SKIP
ADD = composition_pb2.ATTRIBUTE_MODE_ADD


def goods() -> list[ItemInput]:
    """Every combination, shown by coordinates of its own for each value, and hardly any noise."""
    random = np.random.default_rng(3)
    values = [(facet, value) for facet, names in FACETS.items() for value in names]
    made = []
    for number, combination in enumerate(itertools.product(*FACETS.values())):
        labels = dict(zip(FACETS, combination, strict=True))
        shown = random.uniform(0.0, 0.05, DIMENSION)
        for pair in labels.items():
            shown[values.index(pair)] += 1.0
        made.append(
            ItemInput(
                id="-".join(name.split()[0] for name in combination),
                vector=vector(shown),
                attributes={**labels, "season": "summer"},
                metadata=metadata(
                    {"price": number, "sold": number % 2 == 0, "size": {"width": number / 4}}
                    if number % 5
                    else {"brand": "A & B", "price": "many", "tags": ["x"], "size": None}
                ),
            )
        )
    return made


@pytest.fixture(scope="module")
def both(module_served: Served) -> Iterator[Both]:
    """Two servers with the same items, in a sum and in a factored space."""
    with beside(module_served) as both:
        for side in (both.real, both.fake):
            for name, space in SPACES.items():
                create(side.served, name, space=space, aliases=ALIASES)
                upsert(side.served, name, goods())
                _wait_for(side.served, name, space)
            pictures = [
                ItemInput(id=f"picture-{number}", image=picture, attributes={"kind": "mug"})
                for number, picture in enumerate(PICTURES)
            ]
            create(side.served, "pictures")
            upsert(side.served, "pictures", pictures)
        yield both


def _wait_for(served: Served, name: str, space: int) -> None:
    end = time.monotonic() + PATIENCE
    while _collection(name)(served).collection.space_in_force != space:
        assert time.monotonic() < end
        time.sleep(0.05)


def _collection(name: str) -> Callable[[Served], catalog_pb2.GetCollectionResponse]:
    request = catalog_pb2.GetCollectionRequest(name=name)
    return lambda served: served.catalog.GetCollection(request)


# Searches

# With how many first hits both servers must agree on.
QUERIES: list[tuple[str, int, dict[str, Any]]] = [
    ("red", 9, {}),
    ("crimson", 9, {}),
    ("kind mug + red", 3, {}),
    ("kind:mug + colour:red + background:wood", 1, {}),
    ('0.5 * ("navy blue" + (lamp))', 3, {}),
    ("item(mug-red-wood)", 1, {"include_operands": True}),
    ("this item − background", 2, {"this_item": "mug-red-wood"}),
    ("this item + blue", 1, {"this_item": "mug-red-wood"}),
    ("item(mug-red-wood) + blue", 1, {"attribute_mode": ADD}),
    ("item(mug-red-wood) − colour − background", 8, {}),
    ("item(gone) + mug", 9, {"missing_items": SKIP}),
    ("mug", 8, {"filter": text_filter("colour in (red, crimson) or metadata.price < 9")}),
    ("mug", 9, {"filter": facet_in("background", "wood")}),
    ("mug", 9, {"filter": text_filter("metadata.price > 1000")}),
]
ASKED = [(space, *query) for space in SPACES for query in QUERIES]
# The sum sets what is negative to 0, and with it what would tell the others apart.
ASKED += [("fitted", "mug − red", 6, {})]


@pytest.mark.parametrize(
    ("collection", "text", "count", "options"), ASKED, ids=[f"{a[0]}: {a[1]}" for a in ASKED]
)
def test_searches_find_the_same(
    both: Both, collection: str, text: str, count: int, options: dict[str, Any]
) -> None:
    bound = {key: value for key, value in options.items() if key == "this_item"}
    options = {key: value for key, value in options.items() if key not in bound}
    both.agree(lambda served: search(served, collection, text, bound, limit=count, **options))
    filled = []
    for side in (both.real, both.fake):
        answer = search(side.served, collection, text, bound, limit=count, **options)
        filled.append({block.facet: list(block.terms) for block in answer.blocks})
        for hit in answer.hits:
            assert sum(hit.contributions) == pytest.approx(hit.similarity, abs=1e-4)
            parts = [block.contribution for block in hit.blocks]
            assert sum(parts) == pytest.approx(hit.similarity, abs=1e-4)
    assert filled[0].keys() == filled[1].keys()
    if collection == "fitted":
        assert filled[0] == filled[1]


@pytest.mark.parametrize("number", range(len(PICTURES)))
def test_a_picture_and_its_embedding_find_the_item_that_has_it(both: Both, number: int) -> None:
    for side in (both.real, both.fake):
        request = catalog_pb2.EmbedRequest(collection="pictures", images=[PICTURES[number]])
        embedding = side.served.catalog.Embed(request).vectors[0]
        assert len(embedding.values) == DIMENSION
        for term_ in (term(image=PICTURES[number]), term(vector=embedding)):
            found = search(side.served, "pictures", [term_], limit=1)
            assert [hit.id for hit in found.hits] == [f"picture-{number}"]
            assert found.hits[0].similarity == pytest.approx(1.0, abs=1e-5)
            assert not found.hits[0].thumbnail
        shown = search(side.served, "pictures", "mug", limit=1, include_thumbnails=True)
        assert shown.hits[0].thumbnail.startswith(b"\xff\xd8\xff")


def test_sums_of_vectors_without_labels_are_equal(both: Both) -> None:
    random = np.random.default_rng(11)
    name = fresh_name()
    plain = [ItemInput(id=f"{n:02}", vector=vector(random.random(DIMENSION))) for n in range(20)]
    found = []
    for side in (both.real, both.fake):
        create(side.served, name)
        upsert(side.served, name, plain)
        answer = search(side.served, name, "item(03) - 0.5 * item(07)", include_vector=True)
        found.append(answer)
        assert stored_vectors(side.served, name).keys() == {item.id for item in plain}
    real, fake = found
    assert [hit.id for hit in fake.hits] == [hit.id for hit in real.hits]
    similarities = [[hit.similarity for hit in each.hits] for each in found]
    assert similarities[1] == pytest.approx(similarities[0], abs=1e-5)
    assert fake.norm == pytest.approx(real.norm, abs=1e-5)
    assert fake.vector.values == pytest.approx(real.vector.values, abs=1e-5)


@pytest.mark.parametrize("collection", SPACES)
def test_pages_hold_every_item_once(both: Both, collection: str) -> None:
    sizes = []
    for side in (both.real, both.fake):
        pages, token = [], ""
        while True:
            page = search(side.served, collection, "red", limit=4, page_token=token)
            pages.append([hit.id for hit in page.hits])
            token = page.next_page_token
            if not token:
                break
        ids = [identifier for page in pages for identifier in page]
        assert sorted(ids) == sorted(item.id for item in goods())
        assert all("-red-" in identifier for identifier in ids[:9])
        sizes.append([len(page) for page in pages])
    assert sizes[0] == sizes[1]


@pytest.mark.parametrize("most", [1, 2])
def test_groups_have_as_many_hits(both: Both, most: int) -> None:
    grouping = search_pb2.Grouping(facet="KIND", max_per_value=most)
    for side in (both.real, both.fake):
        found = search(side.served, "goods", "red", grouping=grouping, limit=3 * most)
        kinds = sorted(hit.attributes["kind"] for hit in found.hits)
        assert kinds == sorted(FACETS["kind"] * most)
        assert not found.next_page_token
        assert all("-red-" in hit.id for hit in found.hits)


# Errors, in every word

WRONG = [
    "",
    "person KR +",
    "mug ++ red",
    "(mug + red",
    "mug)",
    '"mug',
    "two * red",
    "1e9 * red",
    "mgu",
    "colour:rde",
    "colr:red",
    "navy blue",
    "+ background",
    "item(gone)",
    "this item",
    "this image + red",
    "image(shot)",
    "vector(v)",
    "red − red",
    "− background",
    "(" * 40 + "red" + ")" * 40,
    "red + " * 3000 + "red",
]


@pytest.mark.parametrize("text", WRONG, ids=[text[:20] for text in WRONG])
def test_wrong_expressions_are_refused_alike(both: Both, text: str) -> None:
    both.agree(lambda served: search(served, "goods", text))
    assert "failure" in both.agree(lambda served: compose(served, "goods", text))


WRONG_FILTERS = ["colour:purple", "shape:round", "colour in (", "metadata.price > x", "price > 3"]


@pytest.mark.parametrize("text", WRONG_FILTERS)
def test_wrong_filters_are_refused_alike(both: Both, text: str) -> None:
    condition = text_filter(text)
    assert "failure" in both.agree(lambda served: search(served, "goods", "red", filter=condition))
    assert "failure" in both.agree(lambda served: _listing(served, "goods", filter=condition))


def _listing(served: Served, name: str, **options: Any) -> catalog_pb2.ListItemsResponse:
    request = catalog_pb2.ListItemsRequest(collection=name, **options)
    response: catalog_pb2.ListItemsResponse = served.catalog.ListItems(request)
    return response


def _created(**settings: Any) -> Callable[[Served], Message]:
    collection = catalog_pb2.Collection(**settings)
    request = catalog_pb2.CreateCollectionRequest(collection=collection)
    return lambda served: served.catalog.CreateCollection(request)


REFUSED: dict[str, Callable[[Served], Message]] = {
    "no collection": lambda served: search(served, "godos", "red"),
    "a collection like none": lambda served: search(served, "zzz", "red"),
    "an item like another": lambda served: search(served, "goods", "item(Mug-red-wod)"),
    "an item like none": lambda served: search(served, "goods", "item(zzz)"),
    "a name with a sign": lambda served: search(served, "goods", "navy-blu"),
    "a facet that is metadata": lambda served: search(
        served, "goods", "red", filter=text_filter("price:3")
    ),
    "no item": lambda served: served.catalog.GetItem(
        catalog_pb2.GetItemRequest(collection="goods", id="gone")
    ),
    "no facet": lambda served: served.catalog.ListAttributes(
        catalog_pb2.ListAttributesRequest(collection="goods", facet="colr")
    ),
    "no query": lambda served: served.search.Search(search_pb2.SearchRequest(collection="goods")),
    "no terms": lambda served: search(served, "goods", []),
    "no operand": lambda served: search(served, "goods", [term()]),
    "a facet added": lambda served: search(served, "goods", [term(facet="colour")]),
    "a short vector": lambda served: search(served, "goods", [term(vector=vector([1.0]))]),
    "a zero vector": lambda served: search(
        served, "goods", [term(vector=vector(np.zeros(DIMENSION)))]
    ),
    "no picture": lambda served: search(served, "goods", [term(image=b"")]),
    "not a picture": lambda served: search(served, "goods", [term(image=b"words")]),
    "a limit": lambda served: search(served, "goods", "red", limit=1001),
    "a limit and no collection": lambda served: search(served, "godos", "red", limit=1001),
    "a limit and no expression": lambda served: search(served, "goods", "red +", limit=-1),
    "a filter and no expression": lambda served: search(
        served, "goods", "red +", filter=text_filter("colour in (")
    ),
    "a similarity": lambda served: search(served, "goods", "red", min_similarity=2.0),
    "a mode": lambda served: search(served, "goods", "red", attribute_mode=9),
    "a grouping": lambda served: search(
        served, "goods", "red", grouping=search_pb2.Grouping(facet="shape")
    ),
    "a page of groups": lambda served: search(
        served, "goods", "red", page_token="x", grouping=search_pb2.Grouping(facet="kind")
    ),
    "a page size": lambda served: _listing(served, "goods", page_size=-1),
    "a token of a list": lambda served: _listing(served, "goods", page_token="nonsense"),
    "a facet of one value": lambda served: search(served, "fitted", "summer"),
    "a name that is taken": _created(name="goods"),
    "a name": _created(name="No Such Name"),
    "an alias": _created(
        name="alias", aliases=[catalog_pb2.Alias(facet="colour", alias="", value="red")]
    ),
    "a space": _created(name="space", space=json_format.Parse('{"kind": 7}', catalog_pb2.Space())),
    "negative blocks": _created(
        name="space",
        space=catalog_pb2.Space(kind=catalog_pb2.SPACE_KIND_FACTORED, keep_negative=True),
    ),
    "a recall": _created(name="recall", target_recall=0.2),
    "a deletion": lambda served: served.catalog.DeleteCollection(
        catalog_pb2.DeleteCollectionRequest(name="gone")
    ),
    "a batch": lambda served: served.catalog.DeleteItems(
        catalog_pb2.DeleteItemsRequest(collection="goods", ids=map(str, range(1001)))
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_requests_are_refused_alike(both: Both, what: str) -> None:
    assert "failure" in both.agree(REFUSED[what])


def test_page_tokens_of_other_requests_are_refused_alike(both: Both) -> None:
    reasons = []
    for side in (both.real, both.fake):
        token = search(side.served, "goods", "red", limit=2).next_page_token
        for text, wrong in (("mug", token), ("red", "nonsense")):
            request = search_pb2.SearchRequest(
                collection="goods", query=query(text), limit=2, page_token=wrong
            )
            failure = side.outcome(calling("Search", request))["failure"]
            reasons.append((failure["reason"], failure["field"]))
    assert reasons == [("PAGE_TOKEN_INVALID", "page_token")] * 4


def test_batches_answer_each_search_for_itself(both: Both) -> None:
    requests = [
        search_pb2.SearchRequest(collection="goods", query=query(text), limit=3)
        for text in ("mug + red", "mgu", "lamp + blue")
    ]
    found = [
        side.served.search.BatchSearch(search_pb2.BatchSearchRequest(requests=requests)).results
        for side in (both.real, both.fake)
    ]
    for real, fake in zip(*found, strict=True):
        assert fake.error == real.error
        assert {hit.id for hit in fake.response.hits} == {hit.id for hit in real.response.hits}


def test_what_gets_large_is_cut_alike(both: Both) -> None:
    name = fresh_name("large")
    plain = metadata({"text": "x" * 60_000})
    large = [
        ItemInput(id=f"{number:03}", vector=vector(shown), metadata=plain)
        for number, shown in enumerate(np.random.default_rng(7).random((170, DIMENSION)))
    ]
    request = search_pb2.SearchRequest(collection=name, query=query("item(000)"), limit=50)
    batch = search_pb2.BatchSearchRequest(requests=[request] * 8)
    refused, pages = [], []
    for side in (both.real, both.fake):
        create(side.served, name)
        for start in range(0, len(large), 50):
            upsert(side.served, name, large[start : start + 50])
        results = side.served.search.BatchSearch(batch).results
        refused.append([result.error.code for result in results])
        page = _listing(side.served, name, page_size=1000)
        rest = _listing(side.served, name, page_size=1000, page_token=page.next_page_token)
        pages.append([[item.id for item in part.items] for part in (page, rest)])
    assert refused[0] == refused[1]
    assert 0 < sum(map(bool, refused[0])) < len(refused[0])
    assert pages[0] == pages[1]
    first, second = pages[0]
    assert second
    assert [*first, *second] == [item.id for item in large]


# What is not the same

REFUSED_BY_THE_FAKE = [
    {"rerank": search_pb2.RERANK_ON},
    {"diversity": search_pb2.Diversity(balance=0.5)},
]


def _methods() -> Iterator[tuple[Any, Any]]:
    for contract in (discovery_pb2, maintenance_pb2, search_pb2, catalog_pb2):
        for service in contract.DESCRIPTOR.services_by_name.values():
            yield from ((service, method) for method in service.methods)


def test_the_fake_answers_every_call_or_says_that_it_does_not(both: Both) -> None:
    refused = set()
    for service, method in _methods():
        channel = both.fake.served.channel
        make = channel.unary_stream if method.server_streaming else channel.unary_unary
        call = make(
            f"/{service.full_name}/{method.name}",
            request_serializer=GetMessageClass(method.input_type).SerializeToString,
            response_deserializer=GetMessageClass(method.output_type).FromString,
        )
        try:
            answer = call(GetMessageClass(method.input_type)())
            if isinstance(answer, Iterator):
                next(answer)
        except grpc.RpcError as error:
            if told(error)["reason"] == "NOT_IN_FAKE":
                refused.add((method.name, told(error)["code"]))
    unimplemented = grpc.StatusCode.UNIMPLEMENTED
    assert refused == {(name, unimplemented) for name in NOT_IN_FAKE["rpc"]}


@pytest.mark.parametrize("options", REFUSED_BY_THE_FAKE, ids=str)
def test_the_fake_refuses_what_it_cannot_do(both: Both, options: dict[str, Any]) -> None:
    failure = both.fake.outcome(lambda served: search(served, "goods", "red", **options))["failure"]
    (field,) = options
    assert field in NOT_IN_FAKE["option"]
    assert (failure["reason"], failure["field"]) == ("NOT_IN_FAKE", field)


def test_the_document_tells_of_every_difference() -> None:
    text = (DOCS / "testing.md").read_text(encoding="utf-8")
    for message, fields in DIFFERENT.items():
        (line,) = [line for line in text.splitlines() if line.startswith(f"| `{message}` |")]
        assert fields <= set(re.findall(r"`(\w+)`", line))
    named = set(re.findall(r"`(\w+)`", text))
    assert NOT_IN_FAKE["rpc"] | NOT_IN_FAKE["option"] <= named


# The catalogue

FILTERS = [
    "colour in (RED, 'navy blue') and not background:wood",
    "metadata.price >= 3 and metadata.price < 11",
    "metadata.price:many or metadata.brand:'A & B'",
    "metadata.sold:true",
    "metadata.size.width <= 1.5",
    "exists(metadata.size) and not exists(metadata.tags)",
    "exists(colour)",
    "metadata.nothing:1",
]


@pytest.mark.parametrize("text", FILTERS)
def test_filters_admit_the_same_items(both: Both, text: str) -> None:
    listed = both.agree(lambda served: _listing(served, "goods", filter=text_filter(text)))
    admitted = {item["id"] for item in listed.get("items", [])}
    assert len(admitted) < len(goods()) or text == "exists(colour)"


def test_collections_are_told_alike(both: Both) -> None:
    both.agree(_collection("goods"))
    both.agree(
        lambda served: served.catalog.ListAttributes(
            catalog_pb2.ListAttributesRequest(collection="goods")
        )
    )
    for size in (1, 2, 100):
        request = catalog_pb2.ListCollectionsRequest(page_size=size)
        both.agree(calling("ListCollections", request))


# Most of it sound, and the same again and again, so that writes meet what is there.
_ids = st.sampled_from([*("a" * 6), "b", "b", "ｃ", ""])
_labels = st.dictionaries(
    st.sampled_from(["colour", "colour", "Colour", "kind"]),
    st.sampled_from(["red", "red", "RED", "crimson", "blue", "blue", " "]),
    max_size=2,
)
_metadata = st.sampled_from([{}, {}, {"n": 1}, {"n": 1.5, "deep": {"x": [None, "y"]}}])
_contents = st.sampled_from(
    [
        {"vector": vector(np.eye(DIMENSION)[0])},
        {},
        {"vector": vector(np.eye(DIMENSION)[1])},
        {"image": PICTURES[0]},
        {"image": PICTURES[0]},
        {"image": PICTURES[1]},
        {"vector": vector([1.0, 2.0])},
        {"image": b"no picture"},
    ]
)
_etags = st.sampled_from([*([""] * 6), "newest", "first", "unheard of"])
_request_ids = st.sampled_from([*([""] * 9), "once", "twice", "x" * 129])
_items = st.tuples(_ids, _labels, _metadata, _contents, _etags)


@st.composite
def _operations(draw: st.DrawFn) -> list[Any]:
    pool = st.sampled_from(draw(st.lists(_items, min_size=3, max_size=5)))
    operations = []
    for _ in range(draw(st.integers(4, 10))):
        kind = draw(st.sampled_from(["upsert", "upsert", "upsert", "delete"]))
        content = draw(st.lists(_ids if kind == "delete" else pool, min_size=1, max_size=2))
        operations.append((kind, content, draw(st.booleans()), draw(_request_ids)))
    return operations


def _request(side: Side, name: str, operation: Any) -> tuple[str, Message]:
    kind, content, flag, request_id = operation
    if kind == "delete":
        return "DeleteItems", catalog_pb2.DeleteItemsRequest(
            collection=name,
            ids=content,
            missing_items=SKIP if flag else composition_pb2.MISSING_ITEMS_FAIL,
            request_id=request_id,
        )
    told = {"newest": side.etags[-1:], "first": side.etags[:1]}
    return "UpsertItems", catalog_pb2.UpsertItemsRequest(
        collection=name,
        items=[
            ItemInput(
                id=identifier,
                attributes=labels,
                metadata=metadata(extra),
                etag="".join(told.get(etag, [etag])),
                **shown,
            )
            for identifier, labels, extra, shown, etag in content
        ],
        allow_partial=flag,
        request_id=request_id,
    )


REPLACED = [
    ("upsert", [("a", {"colour": "red"}, {}, {"image": PICTURES[0]}, "")], False, "once"),
    ("upsert", [("a", {"colour": "red"}, {}, {"image": PICTURES[0]}, "")], False, "once"),
    ("upsert", [("a", {"Colour": "crimson"}, {"n": 1}, {"image": PICTURES[0]}, "first")], True, ""),
    ("upsert", [("a", {"colour": "blue"}, {}, {}, "first")], False, ""),
    ("upsert", [("a", {"colour": "blue"}, {}, {"image": PICTURES[1]}, "newest")], False, ""),
    ("delete", ["a", "b"], True, ""),
]


@settings(max_examples=60)
@example(operations=REPLACED)
@given(operations=_operations())
def test_any_writes_leave_the_same_catalogue(both: Both, operations: list[Any]) -> None:
    name = fresh_name("written")
    for side in (both.real, both.fake):
        side.etags.clear()
        create(side.served, name, aliases=ALIASES)
    for operation in operations:
        found = []
        for side in (both.real, both.fake):
            method, request = _request(side, name, operation)
            found.append(side.outcome(calling(method, request)))
        assert found[1] == found[0]
        both.agree(lambda served: _listing(served, name, page_size=1000))
    both.agree(_collection(name))
    both.agree(
        lambda served: served.catalog.ListAttributes(
            catalog_pb2.ListAttributesRequest(collection=name)
        )
    )
    pages = [
        [item.id for item in items(side.served, name, page_size=2)]
        for side in (both.real, both.fake)
    ]
    assert pages[0] == pages[1]
    for side in (both.real, both.fake):
        side.served.catalog.DeleteCollection(catalog_pb2.DeleteCollectionRequest(name=name))
