"""Searches in a factored space, checked by what its answers must have to do with one another.

Similarities are linear in the blocks of a query, so those of a composed query follow from those of
its operands alone; how the space was fitted does not matter here.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

from calls import (
    Floats,
    array,
    compose,
    failure,
    failure_of,
    fresh_name,
    get,
    hit_ids,
    query,
    search,
    term,
    upsert,
    vector,
    vector_item,
)
from gallery import Gallery, fill, goods
from serving import Served
from tashihiki.v1 import catalog_pb2, composition_pb2, search_pb2
from tiny_encoder import DIMENSION

FACTORED = catalog_pb2.SPACE_KIND_FACTORED
ADD = composition_pb2.ATTRIBUTE_MODE_ADD
ON = search_pb2.RERANK_ON
OFF = search_pb2.RERANK_OFF
FACETS = {
    "kind": ("mug", "chair", "lamp"),
    "colour": ("red", "blue", "black"),
    "background": ("wood", "plain", "grass"),
}
COPIES = 5
PATIENCE = 60.0
# The service computes with vectors of single precision.
TOLERANCE = 1e-5
Similarities = dict[str, float]


def labels_and_vectors() -> tuple[dict[str, dict[str, str]], dict[str, Floats]]:
    """Every combination, COPIES times: a shared mean, an effect for each value, and noise."""
    random = np.random.default_rng(7)
    effects = {
        (facet, value): random.normal(scale=0.3, size=DIMENSION)
        for facet, values in FACETS.items()
        for value in values
    }
    mean = 3.0 + random.random(DIMENSION)
    labels, vectors = {}, {}
    combinations = COPIES * list(itertools.product(*FACETS.values()))
    for number, values in enumerate(combinations):
        chosen = dict(zip(FACETS, values, strict=True))
        shown = mean + np.sum([effects[pair] for pair in chosen.items()], axis=0)
        shown = np.maximum(shown + random.normal(scale=0.15, size=DIMENSION), 0.0)
        # One facet that tells nothing apart.
        labels[f"good_{number:03}"] = {**chosen, "season": "summer"}
        vectors[f"good_{number:03}"] = shown / np.linalg.norm(shown)
    return labels, vectors


def read(served: Served, name: str) -> catalog_pb2.Collection:
    request = catalog_pb2.GetCollectionRequest(name=name)
    response: catalog_pb2.GetCollectionResponse = served.catalog.GetCollection(request)
    return response.collection


def wait_until_factored(served: Served, name: str) -> catalog_pb2.Collection:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        found = read(served, name)
        if found.space_in_force == FACTORED and not found.space_pending:
            return found
        time.sleep(0.05)
    raise AssertionError(f"{name} is still {read(served, name)}")


@pytest.fixture(scope="module")
def shop(module_served: Served) -> Gallery:
    labels, vectors = labels_and_vectors()
    gallery = fill(module_served, "factored-goods", labels, vectors, space=FACTORED)
    wait_until_factored(module_served, gallery.name)
    return gallery


@pytest.fixture(scope="module")
def similarities(module_served: Served, shop: Gallery) -> Callable[[str], Similarities]:
    """The similarities of every item to a query; `this item` is good_000."""

    def of(text: str, **options: int) -> Similarities:
        return {hit.id: hit.similarity for hit in everything(module_served, shop, text, **options)}

    return of


def everything(served: Served, shop: Gallery, text: str, **options: int) -> list[search_pb2.Hit]:
    bound = {"this_item": "good_000"}
    answer = search(served, shop.name, text, bound, limit=1000, include_operands=True, **options)
    return list(answer.hits)


def in_block(served: Served, shop: Gallery, text: str, facet: str) -> Similarities:
    """The cosines of every item to a query within one block."""
    answer = search(
        served, shop.name, text, {"this_item": "good_000"}, limit=1000, include_operands=True
    )
    (place,) = [n for n, block in enumerate(answer.blocks) if block.facet == facet]
    return {hit.id: hit.blocks[place].similarity for hit in answer.hits}


def assert_close(found: Similarities, expected: Similarities) -> None:
    assert found.keys() == expected.keys()
    for identifier, similarity in expected.items():
        assert found[identifier] == pytest.approx(similarity, abs=TOLERANCE), identifier


def weights(answer: search_pb2.SearchResponse | search_pb2.ComposeResponse) -> dict[str, float]:
    return {block.facet: block.weight for block in answer.blocks}


QUERIES = [
    "red",
    "mug + red",
    "mug + 3 * red + grass",
    "- wood",
    "mug - wood",
    "red - blue",
    "this item",
    "this item + red",
    "this item - colour",
    "this item - background + red",
    "this item - black + blue",
    "this item + 0.5 * item(good_077) - 2 * (red - 0.5 * blue)",
    "this item - item(good_077)",
    "this item - kind - colour - background",
]


@pytest.mark.parametrize("mode", ["REPLACE", "ADD"])
@pytest.mark.parametrize("text", QUERIES)
def test_terms_and_blocks_both_account_for_the_similarity(
    module_served: Served, shop: Gallery, text: str, mode: str
) -> None:
    answer = search(
        module_served,
        shop.name,
        text,
        {"this_item": "good_000"},
        limit=1000,
        attribute_mode=composition_pb2.AttributeMode.Value(f"ATTRIBUTE_MODE_{mode}"),
        rerank=OFF,
    )
    assert [block.facet for block in answer.blocks].count("") == 1
    assert {block.facet for block in answer.blocks} == {"", *FACETS}
    assert sum(block.weight for block in answer.blocks) == pytest.approx(1.0)
    found = [hit.similarity for hit in answer.hits]
    assert found == sorted(found, reverse=True)
    assert min(found) >= -1.0
    assert max(found) <= 1.0
    for hit in answer.hits:
        assert sum(hit.contributions) == pytest.approx(hit.similarity, abs=TOLERANCE)
        parts = [block.contribution for block in hit.blocks]
        assert sum(parts) == pytest.approx(hit.similarity, abs=TOLERANCE)
        for block, share in zip(answer.blocks, hit.blocks, strict=True):
            assert -1.0 <= share.similarity <= 1.0
            weighted = block.weight * share.similarity
            assert share.contribution == pytest.approx(weighted, abs=TOLERANCE)


def test_what_was_asked_for_is_found(module_served: Served, shop: Gallery) -> None:
    for kind, colour, background in itertools.product(*FACETS.values()):
        text = f"{kind} + {colour} + {background}"
        first = search(module_served, shop.name, text, limit=1).hits[0]
        assert {kind, colour, background} <= set(first.attributes.values())


def test_an_item_is_what_is_most_like_it(module_served: Served, shop: Gallery) -> None:
    found = everything(module_served, shop, "this item")
    assert found[0].id == "good_000"
    assert found[0].similarity == pytest.approx(1.0, abs=TOLERANCE)


def test_an_embedding_is_as_good_as_its_item(module_served: Served, shop: Gallery) -> None:
    embedding = get(module_served, shop.name, "good_000", include_vector=True).vector
    assert len(embedding.values) == DIMENSION
    by_vector = compose(module_served, shop.name, "vector(v)", {"vectors": {"v": embedding}})
    by_item = compose(module_served, shop.name, "item(good_000)")
    assert_allclose(array(by_vector.vector), array(by_item.vector), atol=TOLERANCE)


def test_a_vector_that_is_no_embedding_is_refused(module_served: Served, shop: Gallery) -> None:
    bound = {"vectors": {"v": vector(np.ones(DIMENSION + 1))}}
    found = failure(lambda: search(module_served, shop.name, "vector(v)", bound))
    assert found.reason == "VECTOR_INVALID"
    assert "Embed" in found.remedy
    assert "Compose" not in found.remedy


def test_attributes_of_different_facets_share_by_weight(
    similarities: Callable[[str], Similarities],
) -> None:
    red, mug = similarities("red"), similarities("mug")
    assert_close(similarities("red + 2 * mug"), {i: (red[i] + 2 * mug[i]) / 3 for i in red})


def test_away_from_a_value_is_the_opposite_of_it(
    similarities: Callable[[str], Similarities],
) -> None:
    wood = similarities("wood")
    assert_close(similarities("- wood"), {i: -wood[i] for i in wood})


def test_an_attribute_takes_the_place_of_what_an_item_shows(
    module_served: Served, shop: Gallery, similarities: Callable[[str], Similarities]
) -> None:
    red = similarities("red")
    assert_close(in_block(module_served, shop, "this item + red", "colour"), red)
    wood = similarities("wood")
    away = in_block(module_served, shop, "this item - wood", "background")
    assert_close(away, {i: -wood[i] for i in wood})
    for facet in ("kind", "background", ""):
        assert_close(
            in_block(module_served, shop, "this item + red", facet),
            in_block(module_served, shop, "this item", facet),
        )


def test_attributes_of_one_facet_are_summed(
    module_served: Served, shop: Gallery, similarities: Callable[[str], Similarities]
) -> None:
    red, blue = similarities("red"), similarities("blue")
    found = in_block(module_served, shop, "this item - blue + red", "colour")
    difference = np.array([red[i] - blue[i] for i in red])
    ratios = np.array([found[i] for i in red]) / difference
    # Both prototypes have unit length: the cosine is the difference over its length.
    assert ratios.min() > 0
    assert_allclose(ratios, np.median(ratios), rtol=1e-3)


def test_add_leaves_what_the_item_shows(
    module_served: Served, shop: Gallery, similarities: Callable[[str], Similarities]
) -> None:
    red, shown = similarities("red"), in_block(module_served, shop, "this item", "colour")
    length = np.sqrt(2 + 2 * red["good_000"])
    answer = search(
        module_served,
        shop.name,
        "this item + red",
        {"this_item": "good_000"},
        limit=1000,
        include_operands=True,
        attribute_mode=ADD,
    )
    (place,) = [n for n, block in enumerate(answer.blocks) if block.facet == "colour"]
    added = {hit.id: hit.blocks[place].similarity for hit in answer.hits}
    assert_close(added, {i: (red[i] + shown[i]) / length for i in red})
    assert list(answer.blocks[place].terms) == [0, 1]
    assert answer.blocks[place].weight / weights(answer)["kind"] == pytest.approx(length, abs=1e-4)
    replaced = compose(module_served, shop.name, "item(good_000) + red")
    added_vector = compose(module_served, shop.name, "item(good_000) + red", attribute_mode=ADD)
    assert np.abs(array(replaced.vector) - array(added_vector.vector)).max() > 0.01
    explicit = compose(
        module_served,
        shop.name,
        "item(good_000) + red",
        attribute_mode=composition_pb2.ATTRIBUTE_MODE_REPLACE,
    )
    assert explicit == replaced


def test_an_ignored_facet_plays_no_part(module_served: Served, shop: Gallery) -> None:
    whole = search(module_served, shop.name, "item(good_000)", limit=1000)
    answer = search(module_served, shop.name, "item(good_000) - background", limit=1000)
    (place,) = [n for n, block in enumerate(answer.blocks) if block.facet == "background"]
    assert answer.blocks[place].weight == 0.0
    assert list(answer.blocks[place].terms) == []
    for hit in answer.hits:
        assert (hit.blocks[place].similarity, hit.blocks[place].contribution) == (0.0, 0.0)
    # What is left weighs in the same proportions as before.
    left = 1.0 - weights(whole)["background"]
    for facet, weight in weights(answer).items():
        if facet != "background":
            assert weight == pytest.approx(weights(whole)[facet] / left, abs=TOLERANCE)


def test_a_value_asked_for_by_name_stays_when_its_facet_is_ignored(
    module_served: Served, shop: Gallery, similarities: Callable[[str], Similarities]
) -> None:
    text = "this item - background + background:wood"
    assert_close(in_block(module_served, shop, text, "background"), similarities("wood"))


def test_blocks_name_the_terms_that_filled_them(module_served: Served, shop: Gallery) -> None:
    answer = search(module_served, shop.name, "item(good_000) - background + 0.5 * red")
    terms = {block.facet: list(block.terms) for block in answer.blocks}
    assert terms == {"kind": [0], "colour": [2], "background": [], "": [0]}
    mug = compose(module_served, shop.name, "mug")
    assert weights(mug) == {"kind": 1.0, "colour": 0.0, "background": 0.0, "": 0.0}


@pytest.mark.parametrize("text", QUERIES)
@pytest.mark.parametrize("factor", [0.01, 300.0])
def test_a_common_factor_of_the_weights_changes_nothing(
    module_served: Served, shop: Gallery, text: str, factor: float
) -> None:
    bound = {"this_item": "good_000"}
    plain = search(module_served, shop.name, text, bound, include_vector=True)
    scaled = search(module_served, shop.name, f"{factor} * ({text})", bound, include_vector=True)
    assert_allclose(array(scaled.vector), array(plain.vector), atol=TOLERANCE)
    for one, other in zip(plain.hits, scaled.hits, strict=True):
        assert one.similarity == pytest.approx(other.similarity, abs=TOLERANCE)
    assert weights(scaled) == pytest.approx(weights(plain), abs=TOLERANCE)


def test_groups_are_multiplied_out(module_served: Served, shop: Gallery) -> None:
    nested = [
        term(item_id="good_000"),
        term(
            2.0, group=[term(word="red"), term(-0.5, group=[term(word="blue"), term(word="mug")])]
        ),
    ]
    flat = "item(good_000) + 2 * red - blue - mug"
    found = compose(module_served, shop.name, nested)
    expected = compose(module_served, shop.name, flat)
    assert_allclose(array(found.vector), array(expected.vector), atol=TOLERANCE)
    assert [t.weight for t in found.terms] == [1.0, 2.0, -1.0, -1.0]


@pytest.mark.parametrize("text", ["red - red", "0.5 * mug - 0.5 * (mug + red) + 0.5 * red"])
def test_terms_that_cancel_out_are_refused(module_served: Served, shop: Gallery, text: str) -> None:
    found = failure(lambda: search(module_served, shop.name, text))
    assert (found.code.name, found.reason) == ("INVALID_ARGUMENT", "ZERO_QUERY_VECTOR")


# Re-ranking


def assert_descending(ranked: search_pb2.SearchResponse) -> None:
    """By posterior; those that differ by a hundredth of themselves are equal."""
    for one, other in itertools.pairwise(ranked.hits):
        assert other.posterior <= 1.02 * one.posterior


@pytest.mark.parametrize("text", ["mug + red", "item(good_000) - wood + red", "mug - red"])
def test_reranking_orders_the_nearest_by_their_posteriors(
    module_served: Served, shop: Gallery, text: str
) -> None:
    plain = search(module_served, shop.name, text, limit=100, rerank=OFF)
    ranked = search(module_served, shop.name, text, limit=100, rerank=ON)
    assert set(hit_ids(ranked)) == set(hit_ids(plain))
    by_id = {hit.id: hit for hit in plain.hits}
    posteriors = [hit.posterior for hit in ranked.hits]
    assert_descending(ranked)
    assert all(0.0 <= posterior <= 1.0 for posterior in posteriors)
    for hit in ranked.hits:
        other = by_id[hit.id]
        assert not other.HasField("posterior")
        assert hit.similarity == other.similarity
        assert_allclose(hit.contributions, other.contributions, atol=TOLERANCE)
    few = search(module_served, shop.name, text, limit=7, rerank=ON)
    assert hit_ids(few) == hit_ids(ranked)[:7]


def test_the_posterior_of_a_query_is_the_product_of_its_attributes(
    module_served: Served, shop: Gallery
) -> None:
    def posteriors(text: str) -> Similarities:
        found = search(module_served, shop.name, text, limit=1000, rerank=ON)
        return {hit.id: hit.posterior for hit in found.hits}

    mug, red, wood = posteriors("mug"), posteriors("red"), posteriors("wood")
    together = posteriors("mug + 0.5 * red - wood")
    assert_close(together, {i: mug[i] * np.sqrt(red[i]) * (1 - wood[i]) for i in mug})
    shares = [posteriors(colour) for colour in FACETS["colour"]]
    for identifier in mug:
        assert sum(share[identifier] for share in shares) == pytest.approx(1.0, abs=TOLERANCE)


@pytest.mark.parametrize("text", ["item(good_000)", "item(good_000) - background"])
def test_without_attributes_nothing_is_reranked(
    module_served: Served, shop: Gallery, text: str
) -> None:
    ranked = search(module_served, shop.name, text, limit=1000, rerank=ON)
    assert ranked == search(module_served, shop.name, text, limit=1000)


def test_attributes_that_cancel_out_do_not_rank(module_served: Served, shop: Gallery) -> None:
    ranked = search(module_served, shop.name, "mug + red - red", limit=1000, rerank=ON)
    mugs = search(module_served, shop.name, "mug", limit=1000, rerank=ON)
    expected = {hit.id: hit.posterior for hit in mugs.hits}
    assert {hit.id: hit.posterior for hit in ranked.hits} == expected


@pytest.mark.parametrize(
    ("text", "preferred"),
    [("mug + red", ON), ("- wood", ON), ("item(good_000) + red", ON), ("item(good_000)", OFF)],
)
def test_queries_that_name_attributes_are_reranked_unless_they_decline(
    module_served: Served, shop: Gallery, text: str, preferred: search_pb2.Rerank.ValueType
) -> None:
    chosen = search(module_served, shop.name, text, limit=1000, rerank=preferred)
    assert search(module_served, shop.name, text, limit=1000) == chosen
    assert all(hit.HasField("posterior") == (preferred == ON) for hit in chosen.hits)


@pytest.mark.parametrize("mode", ["REPLACE", "ADD"])
def test_reranking_keeps_what_the_item_shows(
    module_served: Served, shop: Gallery, mode: str
) -> None:
    """A mug that should be red, not red goods of any kind."""
    base = get(module_served, shop.name, "good_000").attributes["kind"]
    ranked = search(
        module_served,
        shop.name,
        "item(good_000) - wood + red",
        limit=3,
        rerank=ON,
        attribute_mode=composition_pb2.AttributeMode.Value(f"ATTRIBUTE_MODE_{mode}"),
    )
    for hit in ranked.hits:
        assert hit.attributes["kind"] == base
        assert hit.attributes["colour"] == "red"
        assert hit.attributes["background"] != "wood"


@pytest.mark.parametrize("field", ["attribute_mode", "rerank"])
def test_choices_that_are_not_there_are_refused(
    module_served: Served, shop: Gallery, field: str
) -> None:
    options: dict[str, Any] = {field: 9}
    found = failure(lambda: search(module_served, shop.name, "mug", **options))
    assert (found.code.name, found.reason) == ("INVALID_ARGUMENT", "CHOICE_UNKNOWN")
    assert found.field == field


# The state of the space


def test_a_facet_without_contrast_cannot_be_asked_for(module_served: Served, shop: Gallery) -> None:
    found = failure(lambda: search(module_served, shop.name, "mug + summer"))
    assert (found.code.name, found.reason) == ("FAILED_PRECONDITION", "FACET_WITHOUT_CONTRAST")
    assert found.remedy


def test_a_collection_says_how_well_its_space_fits(module_served: Served, shop: Gallery) -> None:
    found = read(module_served, shop.name)
    fit = found.space_diagnostics
    assert {facet.facet for facet in fit.facets} == set(FACETS)
    shares = [facet.variance_share for facet in fit.facets]
    assert sum(shares) + fit.interaction_share + fit.residual_share == pytest.approx(1.0, abs=1e-4)
    assert all(1 <= facet.dimension <= 2 for facet in fit.facets)
    assert fit.additive_r2 > 0.8
    pairs = {frozenset((angle.facet, angle.other)) for angle in fit.angles}
    assert pairs == {frozenset(pair) for pair in itertools.combinations(FACETS, 2)}
    assert all(0.0 <= angle.degrees <= 90.0 for angle in fit.angles)
    assert (fit.fitted_item_count, fit.fitted_combination_count) == (27 * COPIES, 27)
    listed = module_served.catalog.ListCollections(catalog_pb2.ListCollectionsRequest())
    (same,) = [c for c in listed.collections if c.name == shop.name]
    assert not same.HasField("space_diagnostics")
    assert same.space_in_force == FACTORED


def test_a_collection_turns_factored_by_itself(module_served: Served) -> None:
    labels, vectors = labels_and_vectors()
    name = fresh_name("auto")
    automatic = catalog_pb2.SPACE_KIND_UNSPECIFIED
    gallery = fill(module_served, name, labels, vectors, space=automatic)
    made = wait_until_factored(module_served, name)
    assert made.space.kind == automatic
    first = search(module_served, gallery.name, "lamp + black + plain", limit=1).hits[0]
    assert {"lamp", "black", "plain"} <= set(first.attributes.values())


def test_a_facet_that_is_new_is_answered_for_once_it_is_fitted(module_served: Served) -> None:
    labels, vectors = labels_and_vectors()
    name = fresh_name("new-facet")
    fill(module_served, name, labels, vectors, space=FACTORED)
    wait_until_factored(module_served, name)
    sizes = {identifier: ("big", "small")[n % 2] for n, identifier in enumerate(labels)}
    upsert(
        module_served,
        name,
        [vector_item(i, vectors[i], **labels[i], size=size) for i, size in sizes.items()],
    )

    batch = search_pb2.BatchSearchRequest(
        requests=[search_pb2.SearchRequest(collection=name, query=query("big"))]
    )
    deadline = time.monotonic() + PATIENCE
    while True:
        (result,) = module_served.search.BatchSearch(batch).results
        if result.WhichOneof("result") == "response":
            break
        assert failure_of(result.error).reason == "FACET_PENDING"
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert "size" in {block.facet for block in result.response.blocks}


# The sum


@pytest.mark.parametrize("text", ["mug + red", "item(good_00) - background + red"])
def test_the_sum_is_one_block(module_served: Served, text: str) -> None:
    shop = goods(module_served, fresh_name("sum"))
    answer = search(module_served, shop.name, text, limit=18)
    (block,) = answer.blocks
    assert (block.facet, block.weight) == ("", 1.0)
    for hit in answer.hits:
        (share,) = hit.blocks
        assert share.similarity == pytest.approx(hit.similarity, abs=TOLERANCE)
        assert share.contribution == pytest.approx(hit.similarity, abs=TOLERANCE)
    assert search(module_served, shop.name, text, limit=18, attribute_mode=ADD) == answer
    ranked = search(module_served, shop.name, text, limit=18, rerank=ON)
    assert set(hit_ids(ranked)) == set(hit_ids(search(module_served, shop.name, text, limit=18)))
    assert_descending(ranked)
