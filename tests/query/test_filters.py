"""Filters in both forms, against a reading of them in Python."""

from __future__ import annotations

import json
import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any as Anything

import numpy as np
import pytest
from google.protobuf import struct_pb2
from hypothesis import given
from hypothesis import strategies as st

from calls import (
    facet_in,
    failure,
    hit_ids,
    listed_ids,
    metadata,
    search,
    text_filter,
    upsert,
    vector_item,
)
from gallery import Gallery, fill, random_vectors
from serving import Served
from tashihiki.v1 import filter_pb2

Labels = Mapping[str, str]
Scalar = str | float | bool
VALUES = {"colour": ("red", "blue", "navy blue"), "size": ("s", "m", "l"), "trim": ("red", "gold")}
# Numbers, text and booleans that Python or a careless reader takes for each other.
METADATA: Mapping[str, tuple[Anything, ...]] = {
    "price": (10.0, 12.5, 20.0, -3.0, 0.0, "10", "cheap", None),
    "brand": ("acme", "Acme", "A & B", "", "true", "in"),
    "sold": (True, False, 1.0, 0.0, "true", "1"),
    "box": ({"width": 10.0}, {"width": 20.0, "unit cm": "x"}, {}, [10.0], {"width": None}),
}
PATHS = ("price", "brand", "sold", "box", "box.width", "box.unit cm", "nowhere")


@dataclass(frozen=True)
class Stored:
    """What filters see of an item."""

    labels: Labels
    metadata: Mapping[str, Anything]

    def at(self, path: str) -> Anything:
        """What the metadata has there; None for nothing."""
        found: Anything = self.metadata
        for key in path.split("."):
            found = found.get(key) if isinstance(found, Mapping) else None
        return found


@dataclass(frozen=True)
class Patchy(Gallery):
    """A gallery with metadata."""

    stored: Mapping[str, Stored]

    def admitted(self, condition: Callable[[Stored], bool]) -> list[str]:
        return [identifier for identifier, item in self.stored.items() if condition(item)]


@pytest.fixture(scope="module")
def patchy(module_served: Served) -> Patchy:
    """Sixty items, some of them without some labels and some metadata."""
    random = np.random.default_rng(3)
    labels: dict[str, Labels] = {}
    contents: dict[str, Mapping[str, Anything]] = {}
    for number in range(60):
        labels[f"i{number:02}"] = {
            facet: str(random.choice(values))
            for facet, values in VALUES.items()
            if random.random() < 0.7
        }
        contents[f"i{number:02}"] = {
            key: choices[random.integers(len(choices))]
            for key, choices in METADATA.items()
            if random.random() < 0.8
        }
    vectors = dict(zip(labels, random_vectors(60, 4), strict=True))
    gallery = fill(module_served, "patchy", labels, vectors)
    inputs = [vector_item(i, vectors[i], **attributes) for i, attributes in labels.items()]
    for item in inputs:
        item.metadata.CopyFrom(metadata(contents[item.id]))
    upsert(module_served, "patchy", inputs)
    stored = {i: Stored(labels[i], contents[i]) for i in labels}
    return Patchy(gallery.name, gallery.vectors, labels, stored)


def _path(path: str) -> str:
    keys = (key if key.isalnum() else f'"{key}"' for key in path.split("."))
    return ".".join(["metadata", *keys])


def _same(found: Anything, value: Scalar) -> bool:
    kinds = [(isinstance(x, str), isinstance(x, bool)) for x in (found, value)]
    return kinds[0] == kinds[1] and found == value


@dataclass(frozen=True)
class Is:
    facet: str
    values: tuple[str, ...]

    def admits(self, item: Stored) -> bool:
        return item.labels.get(self.facet) in self.values

    def message(self) -> filter_pb2.Filter:
        return facet_in(self.facet, *self.values)

    def text(self) -> str:
        if len(self.values) == 1:
            return f'{self.facet}:"{self.values[0]}"'
        listed = ", ".join(f'"{value}"' for value in self.values)
        return f"{self.facet} in ({listed})"


@dataclass(frozen=True)
class Labelled:
    facet: str

    def admits(self, item: Stored) -> bool:
        return self.facet in item.labels

    def message(self) -> filter_pb2.Filter:
        return filter_pb2.Filter(exists=filter_pb2.Exists(facet=self.facet))

    def text(self) -> str:
        return f"exists({self.facet})"


@dataclass(frozen=True)
class There:
    path: str

    def admits(self, item: Stored) -> bool:
        return item.at(self.path) is not None

    def message(self) -> filter_pb2.Filter:
        return filter_pb2.Filter(exists=filter_pb2.Exists(metadata=self.path))

    def text(self) -> str:
        return f"exists({_path(self.path)})"


@dataclass(frozen=True)
class OneOf:
    path: str
    values: tuple[Scalar, ...]

    def admits(self, item: Stored) -> bool:
        return any(_same(item.at(self.path), value) for value in self.values)

    def message(self) -> filter_pb2.Filter:
        values = struct_pb2.ListValue()
        values.extend(self.values)
        return filter_pb2.Filter(
            metadata_in=filter_pb2.MetadataIn(path=self.path, values=values.values)
        )

    def text(self) -> str:
        # JSON writes scalars as the filter language does.
        values = [json.dumps(value) for value in self.values]
        if len(values) == 1:
            return f"{_path(self.path)} = {values[0]}"
        return f"{_path(self.path)} in ({', '.join(values)})"


SIGNS: Mapping[str, tuple[str, Callable[[float, float], bool]]] = {
    "at_least": (">=", operator.ge),
    "more_than": (">", operator.gt),
    "at_most": ("<=", operator.le),
    "less_than": ("<", operator.lt),
}


@dataclass(frozen=True)
class Within:
    path: str
    bounds: tuple[tuple[str, float], ...]

    def admits(self, item: Stored) -> bool:
        found = item.at(self.path)
        if isinstance(found, bool) or not isinstance(found, float):
            return False
        return all(SIGNS[name][1](found, bound) for name, bound in self.bounds)

    def message(self) -> filter_pb2.Filter:
        within = filter_pb2.MetadataRange(path=self.path)
        for name, bound in self.bounds:
            setattr(within, name, bound)
        return filter_pb2.Filter(metadata_range=within)

    def text(self) -> str:
        path = _path(self.path)
        return " and ".join(f"{path}{SIGNS[name][0]}{bound}" for name, bound in self.bounds)


@dataclass(frozen=True)
class Not:
    inner: Condition

    def admits(self, item: Stored) -> bool:
        return not self.inner.admits(item)

    def message(self) -> filter_pb2.Filter:
        return filter_pb2.Filter(**{"not": self.inner.message()})  # type: ignore[arg-type]

    def text(self) -> str:
        return f"not ({self.inner.text()})"


@dataclass(frozen=True)
class All:
    parts: tuple[Condition, ...]

    def admits(self, item: Stored) -> bool:
        return all(part.admits(item) for part in self.parts)

    def message(self) -> filter_pb2.Filter:
        inner = filter_pb2.Filters(filters=[part.message() for part in self.parts])
        return filter_pb2.Filter(**{"and": inner})  # type: ignore[arg-type]

    def text(self) -> str:
        return " and ".join(f"({part.text()})" for part in self.parts)


@dataclass(frozen=True)
class Any:
    parts: tuple[Condition, ...]

    def admits(self, item: Stored) -> bool:
        return any(part.admits(item) for part in self.parts)

    def message(self) -> filter_pb2.Filter:
        inner = filter_pb2.Filters(filters=[part.message() for part in self.parts])
        return filter_pb2.Filter(**{"or": inner})  # type: ignore[arg-type]

    def text(self) -> str:
        return " or ".join(f"({part.text()})" for part in self.parts)


Leaf = Is | Labelled | There | OneOf | Within
Condition = Leaf | Not | All | Any


def _is(facet: str) -> st.SearchStrategy[Condition]:
    values = st.lists(st.sampled_from(VALUES[facet]), min_size=1, max_size=3, unique=True)
    return values.map(lambda chosen: Is(facet, tuple(chosen)))


scalars = st.sampled_from(
    ("10", "cheap", "acme", "A & B", "", "true", "in", 10.0, 12.5, 0.0, 1.0, True, False)
)
paths = st.sampled_from(PATHS)
facets = st.sampled_from(sorted(VALUES))
limits = st.dictionaries(
    st.sampled_from(sorted(SIGNS)), st.sampled_from((-3.0, 0.0, 10.0, 15.0, 20.0)), min_size=1
)
leaves: st.SearchStrategy[Condition] = st.one_of(
    facets.flatmap(_is),
    facets.map(Labelled),
    paths.map(There),
    st.builds(OneOf, paths, st.lists(scalars, min_size=1, max_size=3).map(tuple)),
    st.builds(Within, paths, limits.map(lambda chosen: tuple(chosen.items()))),
)
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
    module_served: Served, patchy: Patchy, condition: Condition
) -> None:
    expected = patchy.admitted(condition.admits)
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
def test_the_spellings_of_a_text_filter(module_served: Served, patchy: Patchy, text: str) -> None:
    expected = [i for i, labels in patchy.attributes.items() if labels.get("colour") == "red"]
    assert listed_ids(module_served, patchy.name, filter=text_filter(text)) == expected


METADATA_SPELLINGS: list[tuple[str, Leaf | Not]] = [
    ("metadata.price >= 10", Within("price", (("at_least", 10.0),))),
    ("METADATA.price>=1e1", Within("price", (("at_least", 10.0),))),
    ("(metadata.price > −3.0)", Within("price", (("more_than", -3.0),))),
    ('metadata."price"<+20.', Within("price", (("less_than", 20.0),))),
    ("metadata.'box'.width <= 10", Within("box.width", (("at_most", 10.0),))),
    ('metadata."box.width" <= 10', Within("box.width", (("at_most", 10.0),))),
    ("metadata.price:10", OneOf("price", (10.0,))),
    ("metadata.price = 10.0", OneOf("price", (10.0,))),
    ("metadata.price:'10'", OneOf("price", ("10",))),
    ("metadata.sold:TRUE", OneOf("sold", (True,))),
    ('metadata.sold:"true"', OneOf("sold", ("true",))),
    ("metadata.sold in (1, 0)", OneOf("sold", (1.0, 0.0))),
    ("metadata.brand in (acme, 'A & B')", OneOf("brand", ("acme", "A & B"))),
    ("metadata.brand not in (acme)", Not(OneOf("brand", ("acme",)))),
    ("not metadata.brand:in", Not(OneOf("brand", ("in",)))),
    ("EXISTS ( metadata.price )", There("price")),
    ("not exists(colour)", Not(Labelled("colour"))),
    ("exists(ＣＯＬＯＵＲ)", Labelled("colour")),
]


@pytest.mark.parametrize(("text", "meaning"), METADATA_SPELLINGS, ids=lambda value: str(value)[:40])
def test_the_spellings_of_conditions_on_metadata(
    module_served: Served, patchy: Patchy, text: str, meaning: Leaf | Not
) -> None:
    expected = patchy.admitted(meaning.admits)
    assert 0 < len(expected) < 60
    assert listed_ids(module_served, patchy.name, filter=text_filter(text)) == expected


def test_facets_may_look_like_metadata_and_like_the_words_of_the_language(
    module_served: Served,
) -> None:
    labels = {
        "i0": {"metadata": "x", "exists": "yes", "metadata.price": "low", "a<b": "<5"},
        "i1": {"metadata": "y", "exists": "no", "metadata.price": "high", "a<b": ">=5"},
    }
    name = fill(
        module_served, "odd", labels, dict(zip(labels, random_vectors(2, 5), strict=True))
    ).name
    for text in (
        "metadata:x",
        '"metadata":x',
        '"metadata.price":low',
        "exists:yes",
        "exists in (yes)",
        '"a<b":<5',
        "exists(metadata) and exists(exists) and exists:yes",
    ):
        assert listed_ids(module_served, name, filter=text_filter(text)) == ["i0"]
    assert listed_ids(module_served, name, filter=text_filter("metadata.price:low")) == []


def test_and_binds_tighter_than_or_and_not_tightest(module_served: Served, patchy: Patchy) -> None:
    text = "size:s or not trim:gold and colour:red"
    expected = [
        identifier
        for identifier, labels in patchy.attributes.items()
        if labels.get("size") == "s"
        or (labels.get("trim") != "gold" and labels.get("colour") == "red")
    ]
    assert listed_ids(module_served, patchy.name, filter=text_filter(text)) == expected


def test_no_parts_admit_everything_in_and_nothing_in_or(
    module_served: Served, patchy: Patchy
) -> None:
    empty = filter_pb2.Filters()
    everything = filter_pb2.Filter(**{"and": empty})  # type: ignore[arg-type]
    nothing = filter_pb2.Filter(**{"or": empty})  # type: ignore[arg-type]
    assert listed_ids(module_served, patchy.name, filter=everything) == list(patchy.vectors)
    assert listed_ids(module_served, patchy.name, filter=nothing) == []


def test_no_values_admit_nothing(module_served: Served, patchy: Patchy) -> None:
    assert listed_ids(module_served, patchy.name, filter=facet_in("colour")) == []
    assert listed_ids(module_served, patchy.name, filter=_in("price")) == []


def test_a_text_filter_may_stand_inside_a_structured_one(
    module_served: Served, patchy: Patchy
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


def _in(path: str, *values: struct_pb2.Value) -> filter_pb2.Filter:
    return filter_pb2.Filter(metadata_in=filter_pb2.MetadataIn(path=path, values=values))


def _range(path: str, **bounds: float) -> filter_pb2.Filter:
    return filter_pb2.Filter(metadata_range=filter_pb2.MetadataRange(path=path, **bounds))


TEXT = struct_pb2.Value(string_value="x")


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
    (_range("price"), "FILTER_INVALID", "filter"),
    (_range("", at_least=1.0), "FILTER_INVALID", "filter"),
    (_range("price", at_least=math.nan), "FILTER_INVALID", "filter"),
    (_range("price", at_least=1.0, less_than=math.inf), "FILTER_INVALID", "filter"),
    (_in("", TEXT), "FILTER_INVALID", "filter"),
    (_in("price", TEXT, struct_pb2.Value()), "FILTER_INVALID", "filter"),
    (_in("price", struct_pb2.Value(null_value=struct_pb2.NULL_VALUE)), "FILTER_INVALID", "filter"),
    (_in("price", struct_pb2.Value(number_value=-math.inf)), "FILTER_INVALID", "filter"),
    (_in("price", struct_pb2.Value(list_value=struct_pb2.ListValue())), "FILTER_INVALID", "filter"),
    (filter_pb2.Filter(exists=filter_pb2.Exists()), "FILTER_INVALID", "filter"),
    (filter_pb2.Filter(exists=filter_pb2.Exists(facet="")), "FILTER_INVALID", "filter"),
    (filter_pb2.Filter(exists=filter_pb2.Exists(metadata="")), "FILTER_INVALID", "filter"),
    (filter_pb2.Filter(exists=filter_pb2.Exists(facet="color")), "UNKNOWN_FACET", "filter"),
    (text_filter("exists(color)"), "UNKNOWN_FACET", "filter.expression"),
    (text_filter("exists()"), "FILTER_INVALID", "filter.expression"),
    (text_filter("exists(colour, size)"), "FILTER_INVALID", "filter.expression"),
    (text_filter('metadata."" > 3'), "FILTER_INVALID", "filter.expression"),
    (text_filter("metadata.price"), "FILTER_INVALID", "filter.expression"),
    (text_filter("metadata.price != 3"), "FILTER_INVALID", "filter.expression"),
    (text_filter("metadata.price >= cheap"), "FILTER_INVALID", "filter.expression"),
    (text_filter('metadata.price >= "10"'), "FILTER_INVALID", "filter.expression"),
    (text_filter("metadata.price < true"), "FILTER_INVALID", "filter.expression"),
    (text_filter("metadata.price < nan"), "FILTER_INVALID", "filter.expression"),
    (text_filter("metadata.price < 1e999"), "FILTER_INVALID", "filter.expression"),
    (text_filter("metadata.price in (1, 1e999)"), "FILTER_INVALID", "filter.expression"),
    (text_filter("metadata.price in ()"), "FILTER_INVALID", "filter.expression"),
    (text_filter(""), "FILTER_INVALID", "filter.expression"),
    (text_filter("colour"), "FILTER_INVALID", "filter.expression"),
    (text_filter("colour in ()"), "FILTER_INVALID", "filter.expression"),
    (text_filter("colour in (red"), "FILTER_INVALID", "filter.expression"),
    (text_filter("colour:red and"), "FILTER_INVALID", "filter.expression"),
    (text_filter("colour:red colour:blue"), "FILTER_INVALID", "filter.expression"),
    (text_filter("(" * 200 + "colour:red" + ")" * 200), "FILTER_INVALID", "filter.expression"),
    (text_filter("not " * 2400 + "colour:red"), "FILTER_INVALID", "filter.expression"),
    (text_filter("colour:red or " * 800 + "trim:red"), "FILTER_INVALID", "filter.expression"),
    (text_filter("color:red"), "UNKNOWN_FACET", "filter.expression"),
    (text_filter("colour:rd"), "UNKNOWN_VALUE", "filter.expression"),
    (facet_in("color", "red"), "UNKNOWN_FACET", "filter"),
    (facet_in("colour", "red", "gold"), "UNKNOWN_VALUE", "filter"),
]


@pytest.mark.parametrize(
    ("form", "reason", "field"),
    FAULTS,
    ids=[f"{n}-{reason}" for n, (_, reason, _) in enumerate(FAULTS)],
)
def test_a_bad_filter_is_refused(
    module_served: Served, patchy: Patchy, form: filter_pb2.Filter, reason: str, field: str
) -> None:
    for call in (
        lambda: search(module_served, patchy.name, "gold", filter=form),
        lambda: listed_ids(module_served, patchy.name, filter=form),
    ):
        found = failure(call)
        assert (found.code.name, found.reason, found.field) == ("INVALID_ARGUMENT", reason, field)
        assert found.remedy


def test_the_fault_of_a_text_filter_has_its_place(module_served: Served, patchy: Patchy) -> None:
    found = failure(
        lambda: listed_ids(module_served, patchy.name, filter=text_filter("colour:red & size:s"))
    )
    assert found.details["position"] == "11"


@pytest.mark.parametrize(
    ("text", "remedy", "position"),
    [
        ("price >= 10", "`metadata.price >= 10`", 6),
        ("colour:red and price<10", "`metadata.price < 10`", 20),
        ('"unit price" > 5', '`metadata."unit price" > 5`', 13),
        ('"metadata.price" > 3', "without the quotes: `metadata.price > 3`", 0),
        ('"metadata.unit price" > 3', '`metadata."unit price" > 3`', 0),
        ("10 <= metadata.price", "`metadata.price <= 20`", 3),
        ("size >= m", "`size in (20, …)`", 5),
    ],
)
def test_a_comparison_without_the_prefix_is_told_of_it(
    module_served: Served, patchy: Patchy, text: str, remedy: str, position: int
) -> None:
    found = failure(lambda: listed_ids(module_served, patchy.name, filter=text_filter(text)))
    assert found.reason == "FILTER_INVALID"
    assert remedy in found.remedy
    assert found.details["position"] == str(position)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("colour:red and color:blue", "color"),
        ("size:s or not colour in (red, 赤い, rd)", "赤い"),
        ('exists(colour) and colour not in (red, "r d")', '"r d"'),
        ("exists(color)", "color"),
    ],
)
def test_a_name_that_is_not_there_has_its_place(
    module_served: Served, patchy: Patchy, text: str, fault: str
) -> None:
    found = failure(lambda: listed_ids(module_served, patchy.name, filter=text_filter(text)))
    start, length = int(found.details["position"]), int(found.details["length"])
    assert text[start : start + length] == fault


def test_a_filter_nested_to_the_limit_is_read(module_served: Served, patchy: Patchy) -> None:
    expected = [i for i, labels in patchy.attributes.items() if labels.get("colour") == "red"]
    assert listed_ids(module_served, patchy.name, filter=_nested(32)) == expected


@given(text=st.text(max_size=30))
def test_any_text_filter_is_read_or_refused(
    module_served: Served, patchy: Patchy, text: str
) -> None:
    found = failure(lambda: listed_ids(module_served, patchy.name, filter=text_filter(text)))
    assert found.code.name == "INVALID_ARGUMENT"
