"""The rules of composition, one test each, against numpy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose

from calls import (
    Floats,
    array,
    compose,
    create,
    failure,
    hit_ids,
    search,
    term,
    text_filter,
    upsert,
    vector,
    vector_item,
)
from gallery import Gallery, clipped, random_vectors, unit
from serving import Served
from tashihiki.v1 import composition_pb2, search_pb2

SKIP = composition_pb2.MISSING_ITEMS_SKIP
TOLERANCE = 2e-6


def test_terms_are_summed_and_then_normalised(module_served: Served, shop: Gallery) -> None:
    answer = compose(module_served, shop.name, "2 * mug + 0.5 * red - 0.25 * item(good_05)")
    total = (
        2 * shop.prototype("kind", "mug")
        + 0.5 * shop.prototype("colour", "red")
        - 0.25 * shop.vectors["good_05"]
    )
    total = np.maximum(total, 0)
    assert_allclose(array(answer.vector), unit(total), atol=TOLERANCE)
    assert answer.norm == pytest.approx(float(np.linalg.norm(total)), rel=1e-5)


def test_a_negative_sum_of_weights_does_not_flip_the_direction(
    module_served: Served, shop: Gallery, signed_shop: Gallery
) -> None:
    for gallery, finish in ((shop, clipped), (signed_shop, unit)):
        answer = compose(module_served, gallery.name, "mug - 0.9 * red - 0.9 * wood")
        total = (
            gallery.prototype("kind", "mug")
            - 0.9 * gallery.prototype("colour", "red")
            - 0.9 * gallery.prototype("background", "wood")
        )
        assert_allclose(array(answer.vector), finish(total), atol=TOLERANCE)


def test_weights_that_sum_to_zero_are_no_fault(module_served: Served, signed_shop: Gallery) -> None:
    answer = compose(module_served, signed_shop.name, "mug - chair")
    total = signed_shop.prototype("kind", "mug") - signed_shop.prototype("kind", "chair")
    assert_allclose(array(answer.vector), unit(total), atol=1e-5)


@pytest.mark.parametrize("weight", [math.nan, math.inf, -math.inf, 1e308, -1e308, 1000.1, -1001.0])
@pytest.mark.parametrize("grouped", [False, True])
def test_weights_out_of_range_are_refused_in_terms(
    module_served: Served, shop: Gallery, weight: float, grouped: bool
) -> None:
    bad = term(weight, word="red")
    if grouped:
        bad = term(group=[bad])
    found = failure(lambda: search(module_served, shop.name, [term(word="mug"), bad]))
    assert (found.code.name, found.reason) == ("INVALID_ARGUMENT", "WEIGHT_INVALID")
    assert found.field.startswith("query.composition.terms[1]")


@pytest.mark.parametrize(
    "weight", ["nan", "NaN", "inf", "∞", "infinity", "1e308", "1e999", "1000.1", "1001", "two"]
)
@pytest.mark.parametrize("sign", ["+", "-"])
def test_weights_out_of_range_are_refused_in_text(
    module_served: Served, shop: Gallery, weight: str, sign: str
) -> None:
    found = failure(lambda: search(module_served, shop.name, f"mug {sign} {weight} * red"))
    assert (found.code.name, found.reason) == ("INVALID_ARGUMENT", "WEIGHT_INVALID")
    assert found.field == "query.expression"


def test_groups_cannot_multiply_a_weight_out_of_range(module_served: Served, shop: Gallery) -> None:
    found = failure(lambda: search(module_served, shop.name, "100 * (mug + 100 * red)"))
    assert found.reason == "WEIGHT_INVALID"


@pytest.mark.parametrize("weight", [1000.0, -1000.0])
def test_weights_at_the_ends_of_the_range_are_taken(
    module_served: Served, shop: Gallery, weight: float
) -> None:
    terms = [term(1000.0, word="mug"), term(weight, word="red")]
    assert compose(module_served, shop.name, terms).terms[1].weight == weight


def test_repeated_terms_add_up(module_served: Served, shop: Gallery) -> None:
    thrice = compose(module_served, shop.name, "red + mug + red + red")
    assert thrice.vector == compose(module_served, shop.name, "3 * red + mug").vector
    assert len(thrice.terms) == 4
    none = compose(module_served, shop.name, "mug + red - red")
    assert_allclose(array(none.vector), shop.prototype("kind", "mug"), atol=TOLERANCE)


@pytest.mark.parametrize(
    "text",
    ["red - red", "0 * red", "- red", "0.5 * (red + mug) - 0.5 * mug - 0.5 * red", "- background"],
)
def test_terms_that_cancel_out_are_refused(module_served: Served, shop: Gallery, text: str) -> None:
    found = failure(lambda: search(module_served, shop.name, text))
    assert (found.code.name, found.reason) == ("INVALID_ARGUMENT", "ZERO_QUERY_VECTOR")
    assert found.field == "query"


def test_unknown_items_fail_by_default(module_served: Served, shop: Gallery) -> None:
    for form in ("red + item(gone)", [term(word="red"), term(item_id="gone")]):
        found = failure(lambda form=form: search(module_served, shop.name, form))  # type: ignore[misc]
        assert (found.code.name, found.reason) == ("NOT_FOUND", "UNKNOWN_ITEM")
        assert "gone" in found.message


def test_unknown_items_are_skipped_and_reported_on_request(
    module_served: Served, shop: Gallery
) -> None:
    answer = search(
        module_served,
        shop.name,
        "red - 0.5 * item(gone) + this item",
        {"this_item": "lost"},
        missing_items=SKIP,
        include_vector=True,
    )
    assert [(t.label, t.weight, t.reason) for t in answer.unresolved_terms] == [
        ("item(gone)", -0.5, "UNKNOWN_ITEM"),
        ("item(lost)", 1.0, "UNKNOWN_ITEM"),
    ]
    assert [t.label for t in answer.terms] == ["colour:red"]
    assert_allclose(array(answer.vector), shop.prototype("colour", "red"), atol=TOLERANCE)


def test_a_query_of_nothing_but_skipped_items_is_refused(
    module_served: Served, shop: Gallery
) -> None:
    found = failure(lambda: search(module_served, shop.name, "item(gone)", missing_items=SKIP))
    assert found.reason == "ZERO_QUERY_VECTOR"


def test_only_items_can_be_skipped(module_served: Served, shop: Gallery) -> None:
    found = failure(lambda: search(module_served, shop.name, "red + grene", missing_items=SKIP))
    assert found.reason == "UNKNOWN_VALUE"


def test_operands_are_left_out_and_the_limit_is_still_filled(
    module_served: Served, shop: Gallery
) -> None:
    text = "item(good_00) + this item - 0.1 * item(good_02)"
    bindings = {"this_item": "good_01"}
    full = search(module_served, shop.name, text, bindings, limit=1000, include_operands=True)
    assert set(hit_ids(full)) == set(shop.vectors)
    for limit in (1, 5, 15, 16):
        found = hit_ids(search(module_served, shop.name, text, bindings, limit=limit))
        assert len(found) == min(limit, 15)
        operands = {"good_00", "good_01", "good_02"}
        assert found == [i for i in hit_ids(full) if i not in operands][:limit]


def test_an_operand_is_its_own_nearest_when_asked_for(module_served: Served, shop: Gallery) -> None:
    answer = search(module_served, shop.name, "item(good_07)", include_operands=True)
    assert answer.hits[0].id == "good_07"
    assert answer.hits[0].similarity == pytest.approx(1.0, abs=1e-6)


def test_only_the_operand_itself_is_left_out_not_its_twin(module_served: Served) -> None:
    same = random_vectors(1, 41)[0]
    name = create(module_served, "twins")
    upsert(module_served, name, [vector_item(i, same) for i in ("a", "b", "c")])
    assert hit_ids(search(module_served, name, "item(b)")) == ["a", "c"]


def test_an_empty_result_is_no_error(module_served: Served, shop: Gallery) -> None:
    nothing = search(
        module_served, shop.name, "red", filter=text_filter("colour:red and colour:blue")
    )
    assert len(nothing.hits) == 0
    assert nothing.norm == pytest.approx(1.0, abs=1e-6)


def test_an_empty_collection_is_no_error(module_served: Served) -> None:
    name = create(module_served, "empty")
    mine = vector(random_vectors(1, 42)[0])
    assert len(search(module_served, name, [term(vector=mine)]).hits) == 0


@pytest.mark.parametrize("text", ["mug + red", "mug - red", "item(good_00) - background + blue"])
def test_similarity_is_the_cosine_with_the_composed_vector_best_first(
    module_served: Served, shop: Gallery, signed_shop: Gallery, text: str
) -> None:
    for gallery in (shop, signed_shop):
        answer = search(
            module_served,
            gallery.name,
            text,
            limit=1000,
            include_vector=True,
            include_operands=True,
        )
        composed = array(answer.vector)
        assert np.linalg.norm(composed) == pytest.approx(1.0, abs=1e-6)
        similarities = [hit.similarity for hit in answer.hits]
        assert similarities == sorted(similarities, reverse=True)
        assert all(-1.0 <= similarity <= 1.0 for similarity in similarities)
        expected = [gallery.vectors[hit.id] @ composed for hit in answer.hits]
        assert_allclose(similarities, expected, atol=TOLERANCE)
        assert len(answer.hits) == len(gallery.vectors)


def test_similarities_below_zero_are_told(module_served: Served, signed_shop: Gallery) -> None:
    text = "- item(good_00)"
    answer = search(module_served, signed_shop.name, text, include_operands=True, limit=1000)
    assert answer.hits[-1].id == "good_00"
    assert answer.hits[-1].similarity == pytest.approx(-1.0, abs=1e-6)


def test_equal_similarities_come_in_the_order_of_ids(module_served: Served) -> None:
    near, far = random_vectors(2, 43)
    name = create(module_served, "ties")
    ids = ["b", "a", "é", "Z", "10", "9", "ａ", "𝒂"]
    upsert(module_served, name, [vector_item(i, near) for i in ids] + [vector_item("0", far)])
    query = [term(vector=vector(near))]
    assert hit_ids(search(module_served, name, query)) == [*sorted(ids), "0"]
    assert hit_ids(search(module_served, name, query, limit=3)) == sorted(ids)[:3]


def _explanation(answer: search_pb2.SearchResponse) -> Floats:
    return np.array([hit.contributions for hit in answer.hits])


@pytest.mark.parametrize(
    "text",
    [
        "mug + red",
        "2 * mug - red - 0.3 * wood",
        "item(good_00) - background + blue",
        "0 * red + mug",
    ],
)
def test_contributions_sum_to_the_similarity(
    module_served: Served, shop: Gallery, signed_shop: Gallery, text: str
) -> None:
    for gallery in (shop, signed_shop):
        answer = search(module_served, gallery.name, text, limit=1000)
        explanation = _explanation(answer)
        assert explanation.shape == (len(answer.hits), len(answer.terms))
        assert_allclose(explanation.sum(axis=1), [hit.similarity for hit in answer.hits], atol=5e-6)


def test_a_contribution_is_the_part_that_its_term_plays(
    module_served: Served, signed_shop: Gallery
) -> None:
    answer = search(module_served, signed_shop.name, "2 * mug - 0.5 * red", limit=1000)
    for hit in answer.hits:
        item = signed_shop.vectors[hit.id]
        expected = [
            2 * (signed_shop.prototype("kind", "mug") @ item) / answer.norm,
            -0.5 * (signed_shop.prototype("colour", "red") @ item) / answer.norm,
        ]
        assert_allclose(hit.contributions, expected, atol=5e-6)


def test_terms_say_how_they_were_understood(module_served: Served, shop: Gallery) -> None:
    answer = compose(
        module_served,
        shop.name,
        "RED - 2 * (item(good_00) - 0.5 * vector(v)) - background",
        {"vectors": {"v": vector(random_vectors(1, 44)[0])}},
    )
    red, item, mine, ignored = answer.terms
    assert (red.attribute.facet, red.attribute.value, red.weight) == ("colour", "red", 1.0)
    assert red.member_count == len(shop.members("colour", "red"))
    assert (item.item_id, item.weight) == ("good_00", -2.0)
    assert (mine.vector, mine.weight) == ("v", 1.0)
    assert ignored.ignored_facet == "background"


def test_the_composed_vector_comes_only_when_asked_for(
    module_served: Served, shop: Gallery
) -> None:
    plain = search(module_served, shop.name, "red")
    assert not plain.HasField("vector")
    asked = search(module_served, shop.name, "red", include_vector=True)
    assert asked.vector == compose(module_served, shop.name, "red").vector
    assert asked.hits == plain.hits


def test_a_composed_vector_searches_as_its_composition_does(
    module_served: Served, shop: Gallery
) -> None:
    first = search(module_served, shop.name, "mug + red - wood", limit=1000, include_vector=True)
    again = search(module_served, shop.name, [term(vector=first.vector)], limit=1000)
    assert hit_ids(again) == hit_ids(first)


@pytest.mark.parametrize("text", ["mug + red", "2 * item(good_00) - 0.5 * wood + mug"])
def test_flipping_every_sign_reverses_the_ranking(
    module_served: Served, signed_shop: Gallery, text: str
) -> None:
    def ranked(form: str) -> search_pb2.SearchResponse:
        return search(module_served, signed_shop.name, form, limit=1000, include_operands=True)

    forward, backward = ranked(text), ranked(f"-({text})")
    assert forward.route == backward.route == search_pb2.SEARCH_ROUTE_EXACT
    assert hit_ids(backward) == hit_ids(forward)[::-1]
    assert_allclose(
        [hit.similarity for hit in backward.hits],
        [-hit.similarity for hit in reversed(forward.hits)],
        atol=1e-6,
    )


def test_a_facet_as_a_whole_cannot_be_added(module_served: Served, shop: Gallery) -> None:
    for form in (
        "mug + background",
        "mug - (red - background)",
        [term(word="mug"), term(facet="background")],
    ):
        found = failure(lambda form=form: search(module_served, shop.name, form))  # type: ignore[misc]
        assert (found.code.name, found.reason) == ("INVALID_ARGUMENT", "FACET_ADDED")
