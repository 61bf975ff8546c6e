"""What holds for every composition."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from grpc import RpcError
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from calls import Floats, array, compose, hit_ids, search, term
from gallery import Gallery
from serving import Served
from tashihiki.v1 import composition_pb2

ITEMS = tuple(f"good_{number:02}" for number in range(18))
VALUES = (
    ("kind", "mug"),
    ("kind", "chair"),
    ("colour", "red"),
    ("colour", "blue"),
    ("colour", "navy blue"),
    ("background", "wood"),
    ("background", "grass"),
)


@dataclass(frozen=True)
class Attribute:
    facet: str
    value: str


@dataclass(frozen=True)
class Item:
    id: str


@dataclass(frozen=True)
class Group:
    terms: tuple[tuple[float, Operand], ...]


Operand = Attribute | Item | Group
Terms = Sequence[tuple[float, Operand]]

weights = st.floats(-8, 8, allow_nan=False).map(lambda weight: round(weight, 3)).filter(bool)
leaves = st.one_of(
    st.sampled_from(VALUES).map(lambda pair: Attribute(*pair)), st.sampled_from(ITEMS).map(Item)
)
operands: st.SearchStrategy[Operand] = st.recursive(
    leaves,
    lambda inner: st.lists(st.tuples(weights, inner), min_size=1, max_size=3).map(
        lambda terms: Group(tuple(terms))
    ),
    max_leaves=5,
)
compositions = st.lists(st.tuples(weights, operands), min_size=1, max_size=5)


def as_text(terms: Terms) -> str:
    parts = []
    for weight, operand in terms:
        sign = "-" if weight < 0 else "+"
        if isinstance(operand, Attribute):
            written = f'{operand.facet}:"{operand.value}"'
        elif isinstance(operand, Item):
            written = f"item({operand.id})"
        else:
            written = f"({as_text(operand.terms)})"
        parts.append(f"{sign} {abs(weight)!r} * {written}")
    return " ".join(parts)


def as_terms(terms: Terms) -> list[composition_pb2.Term]:
    def one(weight: float, operand: Operand) -> composition_pb2.Term:
        if isinstance(operand, Attribute):
            return term(weight, attribute=(operand.facet, operand.value))
        if isinstance(operand, Item):
            return term(weight, item_id=operand.id)
        return term(weight, group=as_terms(operand.terms))

    return [one(weight, operand) for weight, operand in terms]


def total(gallery: Gallery, terms: Terms) -> Floats:
    result = np.zeros(48)
    for weight, operand in terms:
        if isinstance(operand, Attribute):
            part = gallery.prototype(operand.facet, operand.value)
        elif isinstance(operand, Item):
            part = gallery.vectors[operand.id]
        else:
            part = total(gallery, operand.terms)
        result += weight * part
    return result


def scaled(terms: Terms, factor: float) -> Terms:
    return [(weight * factor, operand) for weight, operand in terms]


def magnitude(terms: Terms) -> float:
    return sum(
        abs(weight) * (magnitude(operand.terms) if isinstance(operand, Group) else 1.0)
        for weight, operand in terms
    )


def sound(gallery: Gallery, terms: Terms, *, keep_negative: bool) -> bool:
    """Far enough from cancelling out for rounding not to show."""
    vector = total(gallery, terms)
    vector = vector if keep_negative else np.maximum(vector, 0)
    return float(np.linalg.norm(vector)) > 0.05 * magnitude(terms) and magnitude(terms) < 1000


@given(terms=compositions, keep_negative=st.booleans())
def test_text_and_terms_compose_to_what_numpy_says(
    module_served: Served,
    shop: Gallery,
    signed_shop: Gallery,
    terms: Terms,
    keep_negative: bool,
) -> None:
    gallery = signed_shop if keep_negative else shop
    assume(sound(gallery, terms, keep_negative=keep_negative))
    expected = total(gallery, terms)
    expected = expected if keep_negative else np.maximum(expected, 0)
    for form in (as_text(terms), as_terms(terms)):
        answer = compose(module_served, gallery.name, form)
        norm = float(np.linalg.norm(expected))
        assert answer.norm == pytest.approx(norm, rel=1e-3)
        assert_allclose(array(answer.vector), expected / norm, atol=2e-5)


@given(terms=compositions, exponent=st.integers(-300, 2), keep_negative=st.booleans())
def test_scaling_all_weights_changes_nothing(
    module_served: Served,
    shop: Gallery,
    signed_shop: Gallery,
    terms: Terms,
    exponent: int,
    keep_negative: bool,
) -> None:
    gallery = signed_shop if keep_negative else shop
    factor = 10.0**exponent
    assume(sound(gallery, terms, keep_negative=keep_negative))
    assume(magnitude(terms) * factor < 1000)
    before = search(module_served, gallery.name, as_terms(terms), limit=18)
    after = search(module_served, gallery.name, as_terms(scaled(terms, factor)), limit=18)
    assert hit_ids(after) == hit_ids(before)
    for one, other in zip(after.hits, before.hits, strict=True):
        assert one.similarity == pytest.approx(other.similarity, abs=1e-6)


@given(data=st.data(), terms=compositions)
def test_reordering_terms_changes_nothing(
    module_served: Served, shop: Gallery, data: st.DataObject, terms: Terms
) -> None:
    assume(sound(shop, terms, keep_negative=False))
    other = data.draw(st.permutations(terms))
    before = search(module_served, shop.name, as_text(terms), include_vector=True, limit=18)
    after = search(module_served, shop.name, as_text(other), include_vector=True, limit=18)
    assert_allclose(array(after.vector), array(before.vector), atol=1e-6)
    assert hit_ids(after) == hit_ids(before)


@given(terms=compositions, keep_negative=st.booleans())
def test_every_hit_is_explained_term_by_term(
    module_served: Served,
    shop: Gallery,
    signed_shop: Gallery,
    terms: Terms,
    keep_negative: bool,
) -> None:
    gallery = signed_shop if keep_negative else shop
    assume(sound(gallery, terms, keep_negative=keep_negative))
    answer = search(module_served, gallery.name, as_terms(terms), limit=18)
    assert answer.hits
    for hit in answer.hits:
        assert len(hit.contributions) == len(answer.terms)
        assert sum(hit.contributions) == pytest.approx(hit.similarity, abs=5e-5)


@given(text=st.text(max_size=40))
def test_any_text_is_answered_or_refused_with_a_reason(
    module_served: Served, shop: Gallery, text: str
) -> None:
    _answered_or_refused(module_served, shop, text)


pieces = st.sampled_from(
    ["red", "colour", ":", "+", "-", "−", "*", "2", "(", ")", '"', "'", "item(", "this item", " "]
)


@given(text=st.lists(pieces, max_size=12).map("".join))
def test_any_jumble_of_the_language_is_answered_or_refused_with_a_reason(
    module_served: Served, shop: Gallery, text: str
) -> None:
    _answered_or_refused(module_served, shop, text)


def _answered_or_refused(served: Served, gallery: Gallery, text: str) -> None:
    try:
        answer = compose(served, gallery.name, text, {"this_item": "good_00"})
    except RpcError as error:
        assert error.code().name in {"INVALID_ARGUMENT", "NOT_FOUND"}, error  # noqa: PT017
    else:
        assert answer.terms
