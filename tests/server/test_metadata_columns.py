"""Columns of metadata against a reading of the metadata itself."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tashihiki.errors import FailedPreconditionError
from tashihiki_server.collection.columns import (
    MAX_LEFT_OUT,
    MAX_PATHS,
    MetadataColumns,
    MetadataView,
)
from tashihiki_server.query.filter import Bounds, Scalar

Metadata = Mapping[str, Any]
KEYS = ("a", "b", "c")
PATHS = ("a", "b", "a.a", "a.b", "b.c", "a.b.c", "nowhere")
SCALARS: tuple[Scalar, ...] = (0.0, 1.0, -2.5, 1e300, "", "0", "1", "true", "a", True, False)
MISSING = object()

scalars = st.sampled_from(SCALARS)
contents: st.SearchStrategy[Any] = st.recursive(
    st.one_of(scalars, st.none(), st.integers(-3, 3), st.lists(scalars, max_size=2)),
    lambda inner: st.dictionaries(st.sampled_from(KEYS), inner, max_size=3),
    max_leaves=6,
)
metadata = st.dictionaries(st.sampled_from(KEYS), contents, max_size=3)
limits = st.dictionaries(
    st.sampled_from(("at_least", "more_than", "at_most", "less_than")),
    st.sampled_from((-2.5, 0.0, 1.0, 2.0, 1e300)),
    min_size=1,
)
COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    "at_least": operator.ge,
    "more_than": operator.gt,
    "at_most": operator.le,
    "less_than": operator.lt,
}


def at(content: Metadata, path: str) -> object:
    found: object = content
    for key in path.split("."):
        found = found.get(key, MISSING) if isinstance(found, dict) else MISSING
    return MISSING if found is None else found


def same(found: object, value: Scalar) -> bool:
    kinds = [str if isinstance(x, str) else type(x) is bool for x in (found, value)]
    return kinds[0] == kinds[1] and found == value


def within(found: object, bounds: Mapping[str, float]) -> bool:
    if isinstance(found, bool) or not isinstance(found, (int, float)):
        return False
    return all(COMPARISONS[name](found, bound) for name, bound in bounds.items())


def check(
    view: MetadataView,
    rows: list[Metadata],
    bounds: Mapping[str, float],
    values: tuple[Scalar, ...],
) -> None:
    for path in PATHS:
        cells = [at(content, path) for content in rows]
        present = view.present(path, len(rows))
        assert present.tolist() == [cell is not MISSING for cell in cells]
        equal = view.equal(path, values, len(rows))
        assert equal.tolist() == [any(same(cell, value) for value in values) for cell in cells]
        between = view.between(path, Bounds(**bounds), len(rows))
        assert between.tolist() == [within(cell, bounds) for cell in cells]


@given(
    rows=st.lists(metadata, max_size=12),
    newer=st.lists(metadata, max_size=12),
    bounds=limits,
    values=st.lists(scalars, max_size=3).map(tuple),
    chosen=st.randoms(use_true_random=False),
)
def test_columns_tell_what_the_metadata_says(
    rows: list[Metadata],
    newer: list[Metadata],
    bounds: Mapping[str, float],
    values: tuple[Scalar, ...],
    chosen: Any,
) -> None:
    columns = MetadataColumns(len(rows))
    for number in chosen.sample(range(len(rows)), len(rows)):
        columns.put(number, rows[number])
    before = columns.view()
    check(before, rows, bounds, values)

    every = rows + newer
    columns.grow(len(every) + 3)
    middle = columns.view()
    for number, content in enumerate(newer, start=len(rows)):
        columns.put(number, content)
    check(columns.view(), every, bounds, values)
    check(before, rows, bounds, values)
    check(middle, rows, bounds, values)

    order = np.array(chosen.sample(range(len(every)), len(every) // 2), dtype=np.int64)
    taken = columns.taken(order, len(order) + 1)
    kept = [every[number] for number in order]
    check(taken.view(), kept, bounds, values)
    taken.put(len(order), {"a": {"b": 1.0}})
    check(taken.view(), [*kept, {"a": {"b": 1.0}}], bounds, values)
    check(columns.view(), every, bounds, values)


@pytest.mark.parametrize(
    "content", [{"a": {"b": 1.0}, "a.b": 2.0}, {"a.b": 2.0, "a": {"b": 1.0}}, {"a.b": 2.0}]
)
def test_a_key_with_a_dot_counts_before_a_nested_one(content: Metadata) -> None:
    columns = MetadataColumns(1)
    columns.put(0, content)
    assert columns.view().equal("a.b", (2.0,), 1).tolist() == [True]
    assert columns.view().equal("a.b", (1.0,), 1).tolist() == [False]


def check_refused(view: MetadataView, path: str, count: int) -> None:
    asks: list[Callable[[], object]] = [
        lambda: view.present(path, count),
        lambda: view.equal(path, ("x",), count),
        lambda: view.between(path, Bounds(at_least=0.0), count),
    ]
    for ask in asks:
        with pytest.raises(FailedPreconditionError, match=str(MAX_PATHS)) as caught:
            ask()
        assert caught.value.reason == "FILTER_PATH_LIMIT"


def test_paths_beyond_the_limit_are_refused_and_others_answered() -> None:
    columns = MetadataColumns(4)
    columns.put(0, {f"k{number}": float(number) for number in range(MAX_PATHS - 2)})
    columns.put(1, {"brand": "x", "z": 1.0})
    columns.put(2, {"brand": "y", "late": "x", "k0": 0.0})
    view = columns.view()
    assert view.equal("brand", ("x",), 3).tolist() == [False, True, False]
    assert view.equal("k0", (0.0,), 3).tolist() == [True, False, True]
    check_refused(view, "late", 3)
    assert not view.present("never", 3).any()


def test_a_path_that_was_left_out_stays_so_when_there_is_room_again() -> None:
    columns = MetadataColumns(4)
    columns.put(0, {f"k{number}": "x" for number in range(MAX_PATHS)})
    columns.put(1, {"late": "x"})
    fewer = columns.taken(np.array([1]), 4)
    fewer.put(1, {"late": "x", "new": "x"})
    check_refused(fewer.view(), "late", 2)
    assert fewer.view().equal("new", ("x",), 2).tolist() == [False, True]
    assert fewer.view().present("k3", 2).tolist() == [False, False]


def test_paths_that_were_left_out_take_room_that_others_left_and_none_that_is_taken() -> None:
    rows: list[Metadata] = [
        {f"k{number:03}": "x" for number in range(MAX_PATHS)},
        {"k000": "y", "k001": "z"},
        {f"a{number:03}": "late" for number in range(MAX_PATHS)},
    ]
    columns = MetadataColumns(4)
    for number, content in enumerate(rows):
        columns.put(number, content)
    assert columns.view().readmitting(np.array([True, True, True]), 4) is None
    again = columns.view().readmitting(np.array([False, True, True]), 4)
    assert again is not None
    for number in (2, 1):
        again.put(number, rows[number])
    view = again.view()
    assert view.equal("k000", ("y",), 3).tolist() == [False, True, False]
    assert view.equal("k001", ("z",), 3).tolist() == [False, True, False]
    assert view.present("a125", 3).tolist() == [False, False, True]
    check_refused(view, "a126", 3)
    assert not view.present("k002", 3).any()
    check_refused(columns.view(), "a000", 3)


def test_with_very_many_paths_no_unknown_one_is_answered() -> None:
    columns = MetadataColumns(2)
    columns.put(0, {f"k{number:05}": "x" for number in range(MAX_PATHS + MAX_LEFT_OUT)})
    check_refused(columns.view(), "never", 1)
    assert columns.view().present("k00000", 1).tolist() == [True]
    fewer = columns.taken(np.empty(0, dtype=np.int64), 2)
    fewer.put(0, {"never": "x"})
    check_refused(fewer.view(), "never", 1)


def test_numbers_too_large_for_a_double_are_beyond_every_bound() -> None:
    columns = MetadataColumns(2)
    columns.put(0, {"n": 10**400})
    columns.put(1, {"n": -(10**400)})
    view = columns.view()
    assert view.between("n", Bounds(more_than=1e300), 2).tolist() == [True, False]
    assert view.between("n", Bounds(less_than=-1e300), 2).tolist() == [False, True]
    assert view.present("n", 2).all()
