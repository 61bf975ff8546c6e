from __future__ import annotations

import pytest

from tashihiki import facet
from tashihiki._requests import filter_message
from tashihiki.filters import AllOf, AnyOf
from tashihiki_server.query.filter import parse_filter

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
