"""`− background`: a facet that is to play no part, against least squares."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from calls import (
    Floats,
    array,
    compose,
    create,
    fresh_name,
    hit_ids,
    search,
    term,
    upsert,
    vector_item,
)
from gallery import Gallery, clipped, goods, random_vectors, unit
from serving import Served
from tiny_encoder import DIMENSION

TOLERANCE = 5e-6


@pytest.fixture(scope="module")
def signed(module_served: Served) -> Gallery:
    return goods(module_served, "signed-goods", keep_negative=True, signed=True)


@pytest.fixture(scope="module")
def plain(module_served: Served) -> Gallery:
    return goods(module_served, "plain-goods")


def differences(gallery: Gallery, facet: str) -> tuple[Floats, Floats]:
    """The mean of a facet's prototypes (d,) and how each differs from it (d, values)."""
    prototypes = np.stack([gallery.prototype(facet, value) for value in gallery.values(facet)])
    mean = prototypes.mean(axis=0)
    return mean, (prototypes - mean).T


def component(vector: Floats, directions: Floats) -> Floats:
    """The part of a vector that least squares explains by the directions."""
    coefficients = np.linalg.lstsq(directions, vector, rcond=None)[0]
    result: Floats = directions @ coefficients
    return result


def without(gallery: Gallery, total: Floats, weight: float, *facets: str) -> Floats:
    """A sum whose weights add up to `weight`, with the facets at their means."""
    found = [differences(gallery, facet) for facet in facets]
    mean = np.mean([mean for mean, _ in found], axis=0)
    directions = np.hstack([directions for _, directions in found])
    return total - component(total - weight * mean, directions)


def test_an_ignored_facet_leaves_no_trace_in_a_difference(
    module_served: Served, signed: Gallery
) -> None:
    text = "item(good_00) - item(good_05) - background"
    composed = array(compose(module_served, signed.name, text).vector)
    _, directions = differences(signed, "background")
    assert_allclose(component(composed, directions), np.zeros(DIMENSION), atol=TOLERANCE)
    kept = array(compose(module_served, signed.name, "item(good_00) - item(good_05)").vector)
    assert np.linalg.norm(component(kept, directions)) > 0.05


@pytest.mark.parametrize(
    ("text", "weight"),
    [
        ("item(good_00) - background", 1.0),
        ("item(good_00) + red - background", 2.0),
        ("2 * item(good_00) - 0.5 * mug - background", 1.5),
        ("- background + item(good_00)", 1.0),
        ("item(good_00) - 7 * background", 1.0),
        ("item(good_00) - background - background", 1.0),
    ],
)
def test_an_ignored_facet_is_left_at_its_mean(
    module_served: Served, signed: Gallery, text: str, weight: float
) -> None:
    answer = compose(module_served, signed.name, text)
    mean, directions = differences(signed, "background")
    left = answer.norm * array(answer.vector) - weight * mean
    assert_allclose(component(left, directions), np.zeros(DIMENSION), atol=2e-5)


def test_the_rest_of_the_sum_stays_as_it_was(module_served: Served, signed: Gallery) -> None:
    answer = compose(module_served, signed.name, "item(good_00) + red - background")
    total = signed.vectors["good_00"] + signed.prototype("colour", "red")
    expected = without(signed, total, 2.0, "background")
    assert_allclose(array(answer.vector), unit(expected), atol=TOLERANCE)
    assert answer.norm == pytest.approx(float(np.linalg.norm(expected)), rel=1e-5)


def test_negative_coordinates_are_clipped_after_the_facet_is_taken_out(
    module_served: Served, plain: Gallery
) -> None:
    answer = compose(module_served, plain.name, "item(good_00) + red - background")
    total = plain.vectors["good_00"] + plain.prototype("colour", "red")
    expected = without(plain, total, 2.0, "background")
    assert_allclose(array(answer.vector), clipped(expected), atol=TOLERANCE)


def test_two_facets_can_be_ignored(module_served: Served, signed: Gallery) -> None:
    answer = compose(module_served, signed.name, "item(good_00) - background - colour")
    expected = without(signed, signed.vectors["good_00"], 1.0, "background", "colour")
    assert_allclose(array(answer.vector), unit(expected), atol=TOLERANCE)
    assert [t.ignored_facet for t in answer.terms] == ["", "background", "colour"]


def test_a_value_asked_for_by_name_stays_although_its_facet_is_ignored(
    module_served: Served, signed: Gallery
) -> None:
    """`this − colour + red`: the item's own colour goes, red comes."""
    answer = compose(module_served, signed.name, "item(good_04) - colour + red")
    item = without(signed, signed.vectors["good_04"], 1.0, "colour")
    expected = item + signed.prototype("colour", "red")
    assert_allclose(array(answer.vector), unit(expected), atol=TOLERANCE)


def test_structured_and_written_forms_ignore_alike(module_served: Served, signed: Gallery) -> None:
    written = compose(module_served, signed.name, "item(good_00) − Background")
    for operand in ({"facet": "background"}, {"facet": "BACKGROUND"}, {"word": "background"}):
        terms = [term(item_id="good_00"), term(-1.0, **operand)]
        assert compose(module_served, signed.name, terms).vector == written.vector


def test_a_facet_of_one_value_has_nothing_to_ignore(module_served: Served) -> None:
    name = create(module_served, fresh_name())
    rows = random_vectors(2, 71)
    upsert(
        module_served,
        name,
        [vector_item(f"i{number}", row, only="one") for number, row in enumerate(rows)],
    )
    answer = compose(module_served, name, "item(i0) - only")
    assert_allclose(array(answer.vector), unit(rows[0]), atol=TOLERANCE)


def test_items_that_differ_in_the_ignored_facet_only_become_equal(module_served: Served) -> None:
    """Additive data: the composed vector of an item no longer tells its background."""
    random = np.random.default_rng(72)
    kinds = {kind: random.normal(size=DIMENSION) for kind in ("mug", "lamp", "chair")}
    grounds = {ground: random.normal(size=DIMENSION) for ground in ("wood", "grass", "tile")}
    name = create(module_served, fresh_name(), keep_negative=True)
    upsert(
        module_served,
        name,
        [
            vector_item(f"{kind}-{ground}", one + 0.3 * other, kind=kind, background=ground)
            for kind, one in kinds.items()
            for ground, other in grounds.items()
        ],
    )
    for kind in kinds:
        for ground in grounds:
            answer = search(
                module_served,
                name,
                "this item - background",
                {"this_item": f"{kind}-{ground}"},
                limit=2,
            )
            assert {hit.attributes["kind"] for hit in answer.hits} == {kind}


def test_ignoring_does_not_take_operands_into_the_hits(
    module_served: Served, signed: Gallery
) -> None:
    answer = search(module_served, signed.name, "item(good_00) - background", limit=1000)
    assert len(hit_ids(answer)) == len(signed.vectors) - 1
