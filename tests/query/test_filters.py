"""Filters in both forms, against a reading of them in Python."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calls import facet_in, failure, hit_ids, listed_ids, search, text_filter
from gallery import Gallery, fill, random_vectors
from serving import Served
from tashihiki.v1 import filter_pb2

Labels = Mapping[str, str]
VALUES = {"colour": ("red", "blue", "navy blue"), "size": ("s", "m", "l"), "trim": ("red", "gold")}


@pytest.fixture(scope="module")
def patchy(module_served: Served) -> Gallery:
    """Sixty items, some of them without some labels."""
    random = np.random.default_rng(3)
    labels: dict[str, Labels] = {}
    for number in range(60):
        labels[f"i{number:02}"] = {
            facet: str(random.choice(values))
            for facet, values in VALUES.items()
            if random.random() < 0.7
        }
    vectors = dict(zip(labels, random_vectors(60, 4), strict=True))
    return fill(module_served, "patchy", labels, vectors)


@dataclass(frozen=True)
class Is:
    facet: str
    values: tuple[str, ...]

    def admits(self, labels: Labels) -> bool:
        return labels.get(self.facet) in self.values

    def message(self) -> filter_pb2.Filter:
        return facet_in(self.facet, *self.values)

    def text(self) -> str:
        if len(self.values) == 1:
            return f'{self.facet}:"{self.values[0]}"'
        listed = ", ".join(f'"{value}"' for value in self.values)
        return f"{self.facet} in ({listed})"


@dataclass(frozen=True)
class Not:
    inner: Condition

    def admits(self, labels: Labels) -> bool:
        return not self.inner.admits(labels)

    def message(self) -> filter_pb2.Filter:
        return filter_pb2.Filter(**{"not": self.inner.message()})  # type: ignore[arg-type]

    def text(self) -> str:
        return f"not ({self.inner.text()})"


@dataclass(frozen=True)
class All:
    parts: tuple[Condition, ...]

    def admits(self, labels: Labels) -> bool:
        return all(part.admits(labels) for part in self.parts)

    def message(self) -> filter_pb2.Filter:
        inner = filter_pb2.Filters(filters=[part.message() for part in self.parts])
        return filter_pb2.Filter(**{"and": inner})  # type: ignore[arg-type]

    def text(self) -> str:
        return " and ".join(f"({part.text()})" for part in self.parts)


@dataclass(frozen=True)
class Any:
    parts: tuple[Condition, ...]

    def admits(self, labels: Labels) -> bool:
        return any(part.admits(labels) for part in self.parts)

    def message(self) -> filter_pb2.Filter:
        inner = filter_pb2.Filters(filters=[part.message() for part in self.parts])
        return filter_pb2.Filter(**{"or": inner})  # type: ignore[arg-type]

    def text(self) -> str:
        return " or ".join(f"({part.text()})" for part in self.parts)


Condition = Is | Not | All | Any


def _leaf(facet: str) -> st.SearchStrategy[Condition]:
    values = st.lists(st.sampled_from(VALUES[facet]), min_size=1, max_size=3, unique=True)
    return values.map(lambda chosen: Is(facet, tuple(chosen)))


leaves: st.SearchStrategy[Condition] = st.sampled_from(sorted(VALUES)).flatmap(_leaf)
conditions: st.SearchStrategy[Condition] = st.recursive(
    leaves,
    lambda inner: st.one_of(
        inner.map(Not),
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: All(tuple(parts))),
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: Any(tuple(parts))),
    ),
    max_leaves=6,
)


@given(condition=conditions)
def test_both_forms_admit_the_items_that_python_admits(
    module_served: Served, patchy: Gallery, condition: Condition
) -> None:
    expected = [i for i, labels in patchy.attributes.items() if condition.admits(labels)]
    for form in (condition.message(), text_filter(condition.text())):
        assert listed_ids(module_served, patchy.name, filter=form) == expected
        answer = search(module_served, patchy.name, "gold", filter=form, limit=1000)
        assert hit_ids(answer) == patchy.ranking(patchy.prototype("trim", "gold"), expected)


SPELLINGS = [
    "colour in (red)",
    "colour IN ('red')",
    "colour:red",
    "colour = red",
    "COLOUR:ＲＥＤ",
    "not colour not in (red)",
    "NOT (NOT colour:red)",
    "colour:red or colour:red and colour:blue",
]


@pytest.mark.parametrize("text", SPELLINGS)
def test_the_spellings_of_a_text_filter(module_served: Served, patchy: Gallery, text: str) -> None:
    expected = [i for i, labels in patchy.attributes.items() if labels.get("colour") == "red"]
    assert listed_ids(module_served, patchy.name, filter=text_filter(text)) == expected


def test_and_binds_tighter_than_or_and_not_tightest(module_served: Served, patchy: Gallery) -> None:
    text = "size:s or not trim:gold and colour:red"
    expected = [
        identifier
        for identifier, labels in patchy.attributes.items()
        if labels.get("size") == "s"
        or (labels.get("trim") != "gold" and labels.get("colour") == "red")
    ]
    assert listed_ids(module_served, patchy.name, filter=text_filter(text)) == expected


def test_no_parts_admit_everything_in_and_nothing_in_or(
    module_served: Served, patchy: Gallery
) -> None:
    empty = filter_pb2.Filters()
    everything = filter_pb2.Filter(**{"and": empty})  # type: ignore[arg-type]
    nothing = filter_pb2.Filter(**{"or": empty})  # type: ignore[arg-type]
    assert listed_ids(module_served, patchy.name, filter=everything) == list(patchy.vectors)
    assert listed_ids(module_served, patchy.name, filter=nothing) == []


def test_no_values_admit_nothing(module_served: Served, patchy: Gallery) -> None:
    assert listed_ids(module_served, patchy.name, filter=facet_in("colour")) == []


def test_a_text_filter_may_stand_inside_a_structured_one(
    module_served: Served, patchy: Gallery
) -> None:
    inner = filter_pb2.Filters(filters=[text_filter("colour:red"), facet_in("size", "m")])
    both = filter_pb2.Filter(**{"and": inner})  # type: ignore[arg-type]
    expected = [
        identifier
        for identifier, labels in patchy.attributes.items()
        if labels.get("colour") == "red" and labels.get("size") == "m"
    ]
    assert listed_ids(module_served, patchy.name, filter=both) == expected


@pytest.mark.parametrize("spelling", ["HA", "happy", "ＨＡ"])
def test_filters_know_aliases(module_served: Served, people: Gallery, spelling: str) -> None:
    found = listed_ids(module_served, people.name, filter=facet_in("Expression", spelling))
    assert found == people.members("expression", "HAPPY")


def _nested(depth: int) -> filter_pb2.Filter:
    form = facet_in("colour", "red")
    for _ in range(depth):
        form = filter_pb2.Filter(**{"not": form})  # type: ignore[arg-type]
    return form


FAULTS = [
    (filter_pb2.Filter(), "FILTER_INVALID", "filter"),
    (facet_in(""), "FILTER_INVALID", "filter"),
    (facet_in("", "red"), "FILTER_INVALID", "filter"),
    (_nested(33), "FILTER_INVALID", "filter"),
    (text_filter(""), "FILTER_INVALID", "filter.expression"),
    (text_filter("colour"), "FILTER_INVALID", "filter.expression"),
    (text_filter("colour in ()"), "FILTER_INVALID", "filter.expression"),
    (text_filter("colour in (red"), "FILTER_INVALID", "filter.expression"),
    (text_filter("colour:red and"), "FILTER_INVALID", "filter.expression"),
    (text_filter("colour:red colour:blue"), "FILTER_INVALID", "filter.expression"),
    (text_filter("(" * 200 + "colour:red" + ")" * 200), "FILTER_INVALID", "filter.expression"),
    (text_filter("not " * 2400 + "colour:red"), "FILTER_INVALID", "filter.expression"),
    (text_filter("colour:red or " * 800 + "trim:red"), "FILTER_INVALID", "filter.expression"),
    (text_filter("color:red"), "UNKNOWN_FACET", "filter"),
    (text_filter("colour:rd"), "UNKNOWN_VALUE", "filter"),
    (facet_in("color", "red"), "UNKNOWN_FACET", "filter"),
    (facet_in("colour", "red", "gold"), "UNKNOWN_VALUE", "filter"),
]


@pytest.mark.parametrize(
    ("form", "reason", "field"),
    FAULTS,
    ids=[f"{n}-{reason}" for n, (_, reason, _) in enumerate(FAULTS)],
)
def test_a_bad_filter_is_refused(
    module_served: Served, patchy: Gallery, form: filter_pb2.Filter, reason: str, field: str
) -> None:
    for call in (
        lambda: search(module_served, patchy.name, "gold", filter=form),
        lambda: listed_ids(module_served, patchy.name, filter=form),
    ):
        found = failure(call)
        assert (found.code.name, found.reason, found.field) == ("INVALID_ARGUMENT", reason, field)
        assert found.remedy


def test_the_fault_of_a_text_filter_has_its_place(module_served: Served, patchy: Gallery) -> None:
    found = failure(
        lambda: listed_ids(module_served, patchy.name, filter=text_filter("colour:red & size:s"))
    )
    assert found.details["position"] == "11"


def test_a_filter_nested_to_the_limit_is_read(module_served: Served, patchy: Gallery) -> None:
    expected = [i for i, labels in patchy.attributes.items() if labels.get("colour") == "red"]
    assert listed_ids(module_served, patchy.name, filter=_nested(32)) == expected


@given(text=st.text(max_size=30))
def test_any_text_filter_is_read_or_refused(
    module_served: Served, patchy: Gallery, text: str
) -> None:
    found = failure(lambda: listed_ids(module_served, patchy.name, filter=text_filter(text)))
    assert found.code.name == "INVALID_ARGUMENT"
