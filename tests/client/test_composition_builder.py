from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tashihiki import InvalidArgumentError, attribute, facet, image, item, vector
from tashihiki._requests import query_message
from tashihiki.composition import Attribute, Composable, Facet, Image, ItemReference, Operand
from tashihiki_server.query.ast import (
    FacetValue,
    ImageOperand,
    ItemOperand,
    VectorOperand,
    Word,
)
from tashihiki_server.query.expression import parse_expression

names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
weights = st.floats(-1000, 1000)
operands = st.one_of(
    st.builds(attribute, names),
    st.builds(attribute, names, names),
    st.builds(facet, names),
    st.builds(item, names),
    st.builds(lambda data, name: image(data, name=name), st.binary(max_size=4), names),
    st.builds(
        lambda values, name: vector(values, name=name),
        st.lists(st.floats(-9, 9), min_size=1, max_size=3),
        names,
    ),
)
compositions = st.lists(st.tuples(weights, operands), min_size=1, max_size=5).map(
    lambda pairs: sum(weight * operand for weight, operand in pairs)
)


def multiset(composition: Composable) -> list[tuple[float, str]]:
    return sorted((term.weight, repr(term.operand)) for term in composition.terms)


@given(compositions, compositions, weights)
def test_a_factor_distributes_over_a_sum(a: Any, b: Any, w: float) -> None:
    assert w * (a + b) == w * a + w * b


@given(compositions, compositions, compositions)
def test_sums_can_be_regrouped_and_reordered(a: Any, b: Any, c: Any) -> None:
    assert (a + b) + c == a + (b + c)
    assert multiset(a + b) == multiset(b + a)


@given(compositions, compositions)
def test_subtraction_adds_the_opposite(a: Any, b: Any) -> None:
    assert a - b == a + -b
    opposite = -a
    assert -opposite == a
    assert +a is a


def meaning(operand: Operand) -> Any:
    if isinstance(operand, Attribute) and operand.facet:
        return FacetValue(operand.facet, operand.value)
    if isinstance(operand, Attribute):
        return Word(operand.value)
    if isinstance(operand, Facet):
        return Word(operand.name)
    if isinstance(operand, ItemReference):
        return ItemOperand(operand.id)
    if isinstance(operand, Image):
        return ImageOperand(name=operand.name)
    return VectorOperand(name=operand.name)


@given(compositions)
def test_the_repr_is_an_expression_that_means_the_same(composition: Composable) -> None:
    read = [(term.weight, term.operand) for term in parse_expression(repr(composition))]
    assert read == [(term.weight, meaning(term.operand)) for term in composition.terms]


def test_the_repr_is_readable() -> None:
    query = image(b"", name="mug.jpg") - facet("background") + 0.5 * attribute("colour", "red")
    assert repr(query) == 'image("mug.jpg") - background + 0.5 * colour:red'
    assert repr(-attribute("navy blue") / 4) == '-0.25 * "navy blue"'
    assert repr(item("mug_7") + vector([1.0], name="v")) == "item(mug_7) + vector(v)"


def test_parentheses_are_multiplied_out() -> None:
    a, b = attribute("a"), attribute("b")
    assert repr(a - 2 * (b - 0.5 * a)) == "a - 2 * b + a"


def test_sum_starts_from_nothing() -> None:
    a, b = attribute("a"), attribute("b")
    total: Composable | int = sum([a, b])
    assert total == a + b
    assert sum([a]) is a


@pytest.mark.parametrize(
    "weight", [2, 0.5, Fraction(1, 2), np.float32(0.5), np.float64(2), np.int64(3)]
)
def test_any_real_number_is_a_weight_on_either_side(weight: Any) -> None:
    assert weight * attribute("a") == attribute("a") * weight
    assert (attribute("a") * weight).terms[0].weight == float(weight)


@pytest.mark.parametrize("weight", [True, np.bool_(True), 1j, "2", None, Decimal(1), np.ones(2)])
def test_anything_else_is_not(weight: Any) -> None:
    with pytest.raises(TypeError):
        weight * attribute("a")
    with pytest.raises(TypeError):
        attribute("a") / weight


@pytest.mark.parametrize("weight", [math.nan, math.inf, -math.inf, 10**400])
def test_a_weight_is_finite(weight: float) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        weight * attribute("a")
    assert caught.value.reason == "WEIGHT_INVALID"


def test_a_product_or_quotient_that_overflows_is_refused() -> None:
    with pytest.raises(InvalidArgumentError):
        1e200 * (1e200 * attribute("a"))
    with pytest.raises(InvalidArgumentError):
        attribute("a") / 0


@pytest.mark.parametrize("other", [1, 0.0, "red", None])
def test_only_compositions_are_added(other: Any) -> None:
    with pytest.raises(TypeError):
        attribute("a") + other
    with pytest.raises(TypeError):
        other + attribute("a")
    with pytest.raises(TypeError):
        attribute("a") - other


def test_compositions_are_immutable_values() -> None:
    query = attribute("a") + attribute("b")
    assert hash(query) == hash(attribute("a") + attribute("b"))
    with pytest.raises(AttributeError):
        query._terms = ()  # type: ignore[misc]


@pytest.mark.parametrize(
    "values", [[], [[1.0]], 3.0, ["x"], [math.nan], [1e39], [1j], [[1], [1, 2]], [True]]
)
def test_a_vector_is_one_dimensional_and_finite(values: Any) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        vector(values)
    assert caught.value.reason == "VECTOR_INVALID"


def test_a_strided_vector_keeps_its_order() -> None:
    reversed_ = np.arange(6, dtype=np.float64)[::-2]
    assert vector(reversed_).values.tolist() == [5, 3, 1]


def test_every_operand_has_its_place_in_the_message() -> None:
    query = (
        attribute("person", "KR")
        + attribute("HAPPY")
        - facet("background")
        + 2 * item("mug_7")
        + image(b"jpeg")
        + vector([1, 2])
    )
    terms = query_message(query, None, None, None, None).composition.terms
    assert [term.weight for term in terms] == [1, 1, -1, 2, 1, 1]
    assert (terms[0].attribute.facet, terms[0].attribute.value) == ("person", "KR")
    assert (terms[1].attribute.facet, terms[1].attribute.value) == ("", "HAPPY")
    assert (terms[2].facet, terms[3].item_id, terms[4].image) == ("background", "mug_7", b"jpeg")
    assert list(terms[5].vector.values) == [1, 2]


@pytest.mark.parametrize("build", [attribute, facet, item])
def test_names_are_text(build: Any) -> None:
    with pytest.raises(TypeError):
        build(7)
