from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tashihiki import Filter, InvalidArgumentError, exists, facet, metadata
from tashihiki._requests import filter_message
from tashihiki.filters import AllOf, AnyOf, MetadataIn, MetadataRange, Not
from tashihiki_server.query import filter as language
from tashihiki_server.query.filter import filter_from_message, parse_filter

red = facet("colour").isin("red", "blue")
wood = facet("background").isin("wood")
mug = facet("kind").isin("tea mug")


def test_operators_join_filters() -> None:
    assert red & wood & mug == AllOf((red, wood, mug))
    assert red | wood | mug == AnyOf((red, wood, mug))
    assert ~red & wood != ~(red & wood)


def test_the_repr_is_filter_text() -> None:
    condition = (red | ~wood) & mug
    text = '(colour in (red, blue) or not background in (wood)) and kind in ("tea mug")'
    assert repr(condition) == text
    assert parse_filter(repr(condition), "filter") is not None


def test_python_words_do_not_join_filters() -> None:
    with pytest.raises(TypeError, match="&"):
        bool(red)


def test_filters_become_messages() -> None:
    message = filter_message((red | wood) & ~mug)
    both = getattr(message, "and").filters
    assert [part.WhichOneof("predicate") for part in both] == ["or", "not"]
    assert list(getattr(both[0], "or").filters[0].facet_in.values) == ["red", "blue"]
    assert getattr(both[1], "not").facet_in.facet == "kind"
    assert filter_message("colour in (red)").expression == "colour in (red)"


@pytest.mark.parametrize("value", [1, ["red"], None])
def test_values_are_text(value: object) -> None:
    with pytest.raises(TypeError):
        facet("colour").isin(value)  # type: ignore[arg-type]


@pytest.mark.parametrize("condition", [1, ["colour:red"]])
def test_a_condition_is_a_filter_or_text(condition: object) -> None:
    with pytest.raises(TypeError):
        filter_message(condition)  # type: ignore[arg-type]


def test_paths_are_compared_with_numbers() -> None:
    price = metadata("price")
    assert (price >= 10) == MetadataRange("price", at_least=10.0)
    assert (price > np.int64(5)) == MetadataRange("price", more_than=5.0)
    assert (price <= 20) == MetadataRange("price", at_most=20.0)
    assert (np.float32(0.5) > price) == MetadataRange("price", less_than=0.5)
    assert price.between(10, 20) == MetadataRange("price", at_least=10.0, at_most=20.0)


def test_paths_are_equal_to_text_numbers_and_booleans() -> None:
    brand = metadata("brand")
    assert (brand == "acme") == MetadataIn("brand", ("acme",))
    assert (brand != "acme") == ~MetadataIn("brand", ("acme",))
    assert brand.isin("a", 1, True) == brand.isin(["a", 1, True])
    kinds = [
        value.WhichOneof("kind")
        for value in filter_message(brand.isin("1", 1, True)).metadata_in.values
    ]
    assert kinds == ["string_value", "number_value", "bool_value"]


def test_the_repr_of_conditions_on_metadata() -> None:
    condition = (metadata("price").between(10, 20.5) | exists("colour")) & ~(
        metadata("box.unit cm") == "A & B"
    )
    assert repr(condition) == (
        "((metadata.price >= 10 and metadata.price <= 20.5) or exists(colour))"
        ' and not metadata.box."unit cm" in ("A & B")'
    )
    assert repr(metadata("sold").isin(True, "true", 1)) == 'metadata.sold in (true, "true", 1)'
    assert repr(metadata("price").exists()) == "exists(metadata.price)"


texts = st.one_of(
    st.sampled_from(
        ("in", "not", "true", "False", "10", "-1e3", "nan", "exists", "metadata", "metadata.x")
    ),
    st.text(min_size=1, max_size=8),
    st.text(alphabet="ab.\"\\'<>=!:() ", min_size=1, max_size=6),
)
numbers = st.floats(allow_nan=False, allow_infinity=False)
paths = texts.map(metadata)
leaves: st.SearchStrategy[Filter] = st.one_of(
    st.builds(lambda name, values: facet(name).isin(*values), texts, st.lists(texts, min_size=1)),
    texts.map(exists),
    paths.map(lambda path: path.exists()),
    st.builds(
        lambda path, values: path.isin(values),
        paths,
        st.lists(st.one_of(texts, st.just(""), numbers, st.booleans()), min_size=1, max_size=3),
    ),
    st.builds(lambda path, low, high: path.between(low, high), paths, numbers, numbers),
    st.builds(lambda path, bound: path > bound, paths, numbers),
    st.builds(lambda path, bound: path < bound, paths, numbers),
)
filters: st.SearchStrategy[Filter] = st.recursive(
    leaves,
    lambda inner: st.one_of(
        inner.map(Not),
        st.builds(lambda left, right: left & right, inner, inner),
        st.builds(lambda left, right: left | right, inner, inner),
    ),
    max_leaves=5,
)


def meaning(condition: language.Filter) -> object:
    """What a filter says; a range as the text form has it, a condition for each bound."""
    if isinstance(condition, language.MetadataRange):
        bounds = [
            (name, bound) for name, bound in vars(condition.bounds).items() if bound is not None
        ]
        said = [("range", condition.path, name, bound) for name, bound in bounds]
        return ("And", said) if len(said) > 1 else said[0]
    if isinstance(condition, language.MetadataIn):
        return ("in", condition.path, [(type(value), value) for value in condition.values])
    if isinstance(condition, language.Not):
        return ("Not", meaning(condition.filter))
    if isinstance(condition, (language.And, language.Or)):
        return (type(condition).__name__, [meaning(part) for part in condition.filters])
    return condition


@given(condition=filters)
def test_the_repr_reads_back_as_the_message(condition: Filter) -> None:
    said = meaning(parse_filter(repr(condition), "filter"))
    assert said == meaning(filter_from_message(filter_message(condition), "filter"))


@pytest.mark.parametrize(
    "build",
    [
        lambda: metadata("price") >= math.nan,
        lambda: metadata("price") < math.inf,
        lambda: metadata("price") > 10**400,
        lambda: metadata("price").between(0, math.inf),
        lambda: metadata("price") == math.nan,
        lambda: metadata("price").isin(1, -math.inf),
        lambda: metadata(""),
        lambda: MetadataRange("price"),
    ],
)
def test_what_no_filter_can_say_is_refused(build: Callable[[], object]) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        build()
    assert caught.value.reason == "FILTER_INVALID"
    assert caught.value.remedy


def test_a_comparison_with_text_says_what_to_do_instead() -> None:
    with pytest.raises(TypeError) as caught:
        metadata("price") < "20"  # type: ignore[operator]  # noqa: B015
    said = str(caught.value)
    assert "metadata('price') < takes a number, not '20'" in said
    assert "==" in said


@pytest.mark.parametrize(
    "build",
    [
        lambda: metadata("price") >= "10",  # type: ignore[operator]
        lambda: metadata("price") < True,
        lambda: metadata("price").between("a", "b"),  # type: ignore[arg-type]
        lambda: metadata("price") == None,  # noqa: E711
        lambda: metadata("price").isin(b"x"),
        lambda: metadata("price").isin([["x"]]),  # type: ignore[list-item]
        lambda: metadata("price").isin(),
        lambda: metadata(1),  # type: ignore[arg-type]
        lambda: exists(metadata("price")),  # type: ignore[arg-type]
        lambda: 10 <= metadata("price") < 20,
    ],
)
def test_what_is_no_condition_on_metadata_is_a_type_error(build: Callable[[], object]) -> None:
    with pytest.raises(TypeError):
        build()
