"""Recall on composed queries, free and under filters, against brute force."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from generated_rows import Built, Generated, Rows, build, factored, raw, recall, unit
from tashihiki_server.index.base import Route
from tashihiki_server.index.opening import open_index

Masks = Callable[[Rows], NDArray[np.bool_]]

# What is measured is a sample of a sample.
TARGET, SLACK = 0.99, 0.005
QUERIES = 120
KINDS: dict[str, tuple[Callable[[], Generated], Route]] = {
    "factored, cells": (lambda: factored(20_000), Route.CELLS),
    "raw, cells": (lambda: raw(20_000), Route.CELLS),
    "raw and wide, cells": (lambda: raw(20_000, dimension=640), Route.CELLS),
    "factored, graph": (lambda: factored(4_000), Route.GRAPH),
    "raw, graph": (lambda: raw(4_000), Route.GRAPH),
}


@pytest.fixture(scope="module", params=KINDS)
def case(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Built, Rows]:
    """An index that was told its route, and queries that its build did not see."""
    make, route = KINDS[request.param]
    gallery = make()
    built = build(tmp_path_factory.mktemp("index") / "built", gallery, routes=[route])
    assert built.calibration.route is route
    # As if comparing were slow: among so few rows a graph would rarely be asked.
    slow = replace(built.calibration, row_seconds=1e-5)
    index = open_index(built.folder, built.rows, slow)
    return replace(built, index=index), gallery.queries(QUERIES)


@pytest.mark.parametrize("count", [1, 10, 37, 100, 300])
def test_without_a_filter(case: tuple[Built, Rows], count: int) -> None:
    built, queries = case
    found, answered = recall(built, queries, count)
    # Of one neighbour a query finds all or nothing, so that luck counts for more.
    assert found >= TARGET - (SLACK if count > 1 else 0.02)
    if count <= 10:
        assert answered > 0.9


@pytest.mark.parametrize("share", [0.5, 0.1, 0.01, 0.001])
@pytest.mark.parametrize("count", [10, 100])
def test_under_a_filter_of_any_rows(case: tuple[Built, Rows], share: float, count: int) -> None:
    built, queries = case
    random = np.random.default_rng(3)
    found, _ = recall(built, queries, count, lambda query: random.random(len(built.rows)) < share)
    assert found >= TARGET - SLACK


@pytest.mark.parametrize("share", [0.5, 0.1, 0.01, 0.001])
@pytest.mark.parametrize("near", [True, False])
def test_under_a_filter_that_goes_with_the_query(
    case: tuple[Built, Rows], share: float, near: bool
) -> None:
    built, queries = case
    random = np.random.default_rng(4)

    def on_one_side(query: Rows) -> NDArray[np.bool_]:
        # By a direction that the query has much of, and any other in part.
        noise = random.normal(size=built.rows.shape[1]) / np.sqrt(built.rows.shape[1])
        scores = built.rows @ (query + 0.7 * noise) * (1 if near else -1)
        return np.asarray(scores >= np.quantile(scores, 1 - share))

    found, _ = recall(built, queries, 10, on_one_side)
    assert found >= TARGET - SLACK


@pytest.mark.parametrize("share", [1.0, 0.1, 0.01])
def test_after_half_of_the_rows_have_gone(case: tuple[Built, Rows], share: float) -> None:
    built, queries = case
    random = np.random.default_rng(5)
    alive = random.random(len(built.rows)) < 0.5

    def allowed(query: Rows) -> NDArray[np.bool_]:
        return alive & (random.random(len(built.rows)) < share)

    found, answered = recall(built, queries, 10, allowed)
    assert found >= TARGET - SLACK
    if share == 1.0:
        assert answered > 0.9


def test_items_alone(case: tuple[Built, Rows]) -> None:
    built, _ = case
    items = built.rows[np.random.default_rng(6).integers(len(built.rows), size=60)]
    assert recall(built, items, 10)[0] >= TARGET - SLACK


def test_after_the_nearest_rows_have_gone(case: tuple[Built, Rows]) -> None:
    built, queries = case

    def allowed(query: Rows) -> NDArray[np.bool_]:
        scores = built.rows @ query
        return np.asarray(scores < np.partition(scores, -200)[-200])

    assert recall(built, queries, 10, allowed)[0] >= TARGET - 0.02


def test_what_is_unlike_all_rows_is_found_all_the_same(case: tuple[Built, Rows]) -> None:
    built, _ = case
    if built.calibration.route is Route.GRAPH:
        pytest.skip("a graph cannot tell such a query from others")
    strange = unit(np.random.default_rng(8).normal(size=(60, built.rows.shape[1])))
    assert recall(built, strange.astype(np.float32), 10)[0] >= TARGET - SLACK


def test_a_rare_look_that_no_axis_holds_is_not_lost(tmp_path: Path) -> None:
    gallery = raw(6000, dimension=600)
    random = np.random.default_rng(9)
    # Fewer in a sample than it takes to have an axis, in a direction of their own.
    own = np.abs(random.normal(size=600)) * (random.random(600) < 0.05)
    rare = np.arange(0, 6000, 150)
    rows = gallery.rows.copy()
    rows[rare] = 0.5 * rows[rare] + unit(own + 0.02 * np.abs(random.normal(size=(40, 600))))
    odd = replace(gallery, rows=unit(rows))
    built = build(tmp_path / "built", odd, routes=[Route.CELLS])
    assert recall(built, odd.rows[rare], 10)[0] >= TARGET - SLACK


def test_one_facet_alone_has_cells_of_its_own(case: tuple[Built, Rows]) -> None:
    built, _ = case
    if len(built.calibration.cells) < 2:
        return
    random = np.random.default_rng(6)
    for start, stop in ((0, 16), (16, 21)):
        lone = np.zeros((60, built.rows.shape[1]), dtype=np.float32)
        lone[:, start:stop] = built.rows[random.integers(len(built.rows), size=60), start:stop]
        found, answered = recall(built, unit(lone), 10)
        # An item's block is a harder query than the prototypes that the build tries; one that lies
        # farther off than any of them is compared with all.
        assert found >= TARGET - 0.02
        assert answered > 0.5


def test_the_values_of_a_facet_are_found_however_few(case: tuple[Built, Rows]) -> None:
    built, _ = case
    gallery = KINDS["factored, cells"][0]()
    if built.calibration.route is Route.GRAPH or built.rows.shape != gallery.rows.shape:
        pytest.skip("this gallery has no blocks, or a graph")
    values = []
    for facet, block in enumerate(gallery.blocks[:2]):
        for value in np.unique(gallery.labels[:, facet]):
            vector = np.zeros(gallery.rows.shape[1], dtype=np.float32)
            members = gallery.rows[gallery.labels[:, facet] == value]
            part = slice(block.start, block.stop)
            vector[part] = np.median(members[:, part], axis=0)
            values.append(vector)
    assert recall(built, unit(np.array(values)), 10)[0] >= TARGET - SLACK


def test_the_candidates_are_few(case: tuple[Built, Rows]) -> None:
    built, queries = case
    assert built.index is not None
    for count in (1, 10, 100):
        sizes = [
            len(found)
            for query in queries
            if (found := built.index.look_up(query).candidates(count, None)) is not None
        ]
        assert max(sizes) <= 1.2 * max(count, 10) + 10


def test_no_row_allowed_and_none_wanted(case: tuple[Built, Rows]) -> None:
    built, queries = case
    assert built.index is not None
    nothing = np.zeros(len(built.rows), dtype=bool)
    for found in (
        built.index.look_up(queries[0]).candidates(10, nothing),
        built.index.look_up(queries[0]).candidates(0, None),
    ):
        assert found is None or len(found) == 0


def test_what_is_no_query_is_refused(case: tuple[Built, Rows]) -> None:
    built, queries = case
    query = queries[0]
    assert built.index is not None
    for hostile in (query[:-1], query[None], query * 0, query * np.nan, np.append(query, 0)):
        with pytest.raises(ValueError, match=r"."):
            built.index.look_up(np.asarray(hostile, dtype=np.float32)).candidates(10, None)
    with pytest.raises(ValueError, match="mask"):
        built.index.look_up(query).candidates(10, np.ones(3, dtype=bool))
