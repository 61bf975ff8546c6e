"""The building process: what it reads, writes and leaves."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from generated_rows import Built, Generated, build, factored, raw, recall, unit
from tashihiki_server.index.base import Route
from tashihiki_server.index.calibration import COUNTS, Calibration, Point
from tashihiki_server.index.opening import open_index
from tashihiki_server.index.request import Request

LARGE, SMALL = 20_000, 2_000


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    folder = tmp_path_factory.mktemp("index") / "built"
    return build(folder, factored(LARGE), routes=[Route.EXACT, Route.CELLS])


@pytest.fixture(scope="module")
def by_cells(tmp_path_factory: pytest.TempPathFactory) -> Built:
    folder = tmp_path_factory.mktemp("cells") / "built"
    return build(folder, _first(LARGE), routes=[Route.CELLS])


def _first(count: int) -> Generated:
    """Some rows of a gallery that has a tenth more."""
    gallery = factored(LARGE + LARGE // 10)
    return replace(gallery, rows=gallery.rows[:count], labels=gallery.labels[:count])


def test_the_rows_are_the_same_in_another_order(built: Built) -> None:
    before = factored(LARGE).rows
    assert sorted(built.order.tolist()) == list(range(LARGE))
    assert built.rows.dtype == np.float32
    assert np.array_equal(built.rows, before[built.order])


def test_nothing_is_left_that_the_index_does_not_need(built: Built, tmp_path: Path) -> None:
    left = {path.name for path in built.folder.iterdir()}
    cells = {"cells-0.npz", "cells-1.npz", "cells-2.npz", "cells-3.npz"}
    always = {"order.npy", "vectors.npy", "calibration.json"}
    assert left == always | (cells if built.calibration.route is Route.CELLS else set())
    graph = build(tmp_path / "graph", raw(SMALL), routes=[Route.GRAPH])
    assert {path.name for path in graph.folder.iterdir()} == {*always, "ngt"}


def test_the_curve_shows_what_was_measured(built: Built) -> None:
    points = built.calibration.points
    assert {point.route for point in points} == {Route.EXACT, Route.CELLS}
    chosen = [point for point in points if point.chosen]
    assert [point.count for point in chosen] == list(COUNTS)
    assert {point.route for point in chosen} == {built.calibration.route}
    assert all(point.recall >= 0.99 for point in chosen)
    assert all(0 < point.seconds < 1 for point in points)
    for count in COUNTS:
        curve = [p for p in points if p.route is Route.CELLS and p.count == count]
        assert [p.recall for p in curve] == sorted(p.recall for p in curve)
        assert [p.setting for p in curve] == sorted(p.setting for p in curve)


def test_a_calibration_is_read_as_it_was_written(built: Built) -> None:
    assert Calibration.from_json(built.calibration.to_json()) == built.calibration
    for text in ("", "{}", "[]", "null", '{"route": "teleport"}'):
        with pytest.raises(ValueError, match=r"."):
            Calibration.from_json(text)


def test_a_target_of_one_compares_everything(tmp_path: Path) -> None:
    exact = build(tmp_path / "built", factored(SMALL), target_recall=1.0)
    assert exact.calibration.route is Route.EXACT
    assert exact.calibration.recall() == 1.0
    assert exact.index is None
    assert np.array_equal(exact.rows, factored(SMALL).rows)


@pytest.mark.parametrize("count", [0, 1, 2, 300, 999, 1000, 1001])
def test_few_rows(tmp_path: Path, count: int) -> None:
    gallery = factored(2000)
    few = replace(gallery, rows=gallery.rows[:count], labels=gallery.labels[:count])
    found = build(tmp_path / "built", few, routes=[Route.EXACT, Route.CELLS])
    assert len(found.rows) == count
    assert found.calibration.rows == count


@pytest.mark.parametrize("gallery", [factored(1500), raw(1500, dimension=520)])
def test_rows_that_are_all_the_same(gallery: Generated, tmp_path: Path) -> None:
    same = replace(gallery, rows=np.repeat(gallery.rows[:1], 1500, axis=0))
    found = build(tmp_path / "built", same, routes=[Route.EXACT, Route.CELLS])
    if found.index is not None:
        candidates = found.index.look_up(gallery.rows[0]).candidates(10, None)
        assert candidates is None or len(candidates) == 1500


def test_rows_without_labels(tmp_path: Path) -> None:
    gallery = raw(3000)
    bare = replace(gallery, labels=np.empty((3000, 0), dtype=np.int64), facets=())
    half = replace(gallery, labels=np.full((3000, 2), -1))
    for number, unlabelled in enumerate((bare, half)):
        found = build(tmp_path / str(number), unlabelled, routes=[Route.CELLS])
        assert found.calibration.queries > 0
        assert all(p.recall >= 0.99 for p in found.calibration.points if p.chosen)


def test_what_was_built_twice_is_the_same(built: Built, tmp_path: Path) -> None:
    again = build(tmp_path / "again", factored(LARGE), routes=[Route.EXACT, Route.CELLS])
    assert np.array_equal(again.order, built.order)
    assert again.calibration.cells == built.calibration.cells or not (
        again.calibration.cells and built.calibration.cells
    )


def test_a_graph_that_lost_is_not_built_again_before_there_are_twice_as_many(
    tmp_path: Path,
) -> None:
    # A slow exact route makes a graph due; here every route is fast, so the request says it.
    lost = Calibration(Route.CELLS, 0.99, SMALL, graph_tried_at=SMALL)
    again = build(tmp_path / "again", raw(SMALL), routes=[Route.CELLS, Route.GRAPH], previous=lost)
    assert again.calibration.graph_tried_at == SMALL
    assert Route.GRAPH not in {point.route for point in again.calibration.points}
    won = replace(lost, route=Route.GRAPH)
    once_more = build(tmp_path / "won", raw(SMALL), routes=[Route.GRAPH], previous=won)
    assert Route.GRAPH in {point.route for point in once_more.calibration.points}


def test_centroids_are_taken_over_while_they_do(by_cells: Built, tmp_path: Path) -> None:
    routes, before = [Route.CELLS], by_cells.calibration
    assert before.fitted is not None
    assert before.fitted.rows == LARGE
    grown = _first(LARGE + LARGE // 10)
    again = build(
        tmp_path / "again", grown, routes=routes, previous=before, previous_folder=by_cells.folder
    )
    assert again.calibration.fitted == before.fitted
    assert np.array_equal(again.rows, grown.rows[again.order])
    assert all(p.recall >= 0.99 for p in again.calibration.points if p.chosen)
    found, _ = recall(again, grown.queries(100), 10)
    assert found >= 0.985
    few = build(
        tmp_path / "few",
        _first(LARGE // 4),
        routes=routes,
        previous=before,
        previous_folder=by_cells.folder,
    )
    assert few.calibration.fitted is not None
    assert few.calibration.fitted.rows == LARGE // 4


def test_the_axes_of_wide_rows_are_taken_over_with_the_centroids(tmp_path: Path) -> None:
    wide = raw(6600, dimension=520)
    first = replace(wide, rows=wide.rows[:6000], labels=wide.labels[:6000])
    before = build(tmp_path / "before", first, routes=[Route.CELLS])
    again = build(
        tmp_path / "again",
        wide,
        routes=[Route.CELLS],
        previous=before.calibration,
        previous_folder=before.folder,
    )
    assert again.calibration.fitted == before.calibration.fitted
    with (
        np.load(before.folder / "cells-0.npz") as old,
        np.load(again.folder / "cells-0.npz") as new,
    ):
        assert np.array_equal(old["axes"], new["axes"])
        np.testing.assert_allclose(old["axes"].T @ old["axes"], np.eye(128), atol=1e-5)
        np.testing.assert_allclose(new["on_axes"], again.rows @ new["axes"], atol=1e-5)
    found, answered = recall(again, wide.queries(100), 10)
    assert found >= 0.985
    assert answered > 0.9


def test_an_index_of_before_there_were_axes_is_opened(by_cells: Built, tmp_path: Path) -> None:
    folder = tmp_path / "before"
    shutil.copytree(by_cells.folder, folder)
    for path in folder.glob("cells-*.npz"):
        with np.load(path) as file:
            kept = {name: file[name] for name in ("columns", "centroids", "starts", "rows")}
        np.savez(path, **kept)
    content = json.loads(by_cells.calibration.to_json())
    del content["margins"]
    calibration = Calibration.from_json(json.dumps(content))
    opened = replace(by_cells, index=open_index(folder, by_cells.rows, calibration))
    queries = _first(LARGE).queries(60)
    assert recall(opened, queries, 10) == recall(by_cells, queries, 10)


def test_centroids_that_no_longer_do_are_fitted_again(by_cells: Built, tmp_path: Path) -> None:
    shifted = _first(LARGE)
    # As if everything had been replaced by items of quite another look.
    other = replace(shifted, rows=unit(np.roll(shifted.rows, 3, axis=1) ** 3))
    again = build(
        tmp_path / "again",
        other,
        routes=[Route.CELLS],
        previous=by_cells.calibration,
        previous_folder=by_cells.folder,
    )
    assert again.calibration.fitted is not None
    assert again.calibration.fitted != by_cells.calibration.fitted
    assert np.array_equal(again.rows, other.rows[again.order])
    cells = {f"cells-{number}.npz" for number in range(len(again.calibration.cells))}
    assert {path.name for path in again.folder.glob("cells-*")} == cells


def test_a_last_index_that_cannot_be_read_is_no_obstacle(by_cells: Built, tmp_path: Path) -> None:
    again = build(
        tmp_path / "again",
        _first(LARGE),
        routes=[Route.CELLS],
        previous=by_cells.calibration,
        previous_folder=tmp_path / "gone",
    )
    assert np.array_equal(again.order, by_cells.order)


def test_a_request_is_read_as_it_was_written() -> None:
    calibration = Calibration(
        Route.GRAPH, 0.95, 7, points=(Point(Route.EXACT, 0.0, 10, 1.0, 0.1, chosen=True),)
    )
    gallery = factored(10)
    request = Request(
        gallery.blocks,
        ["colour", "size"],
        True,
        0.95,
        0.5,
        calibration,
        Path("/before"),
        [Route.EXACT],
    )
    assert Request.from_json(request.to_json()) == request
    bare = {"blocks": [["", 0, 3]], "facets": [], "clip": False, "target_recall": 0.9}
    assert Request.from_json(json.dumps({**bare, "previous": None})).previous is None


@pytest.mark.parametrize("damage", ["fewer rows", "other cells", "cut short", "gone"])
def test_files_of_other_rows_are_not_opened(tmp_path: Path, damage: str) -> None:
    good = build(tmp_path / "good", factored(3000), routes=[Route.CELLS])
    rows = good.rows
    file = good.folder / "cells-0.npz"
    if damage == "fewer rows":
        rows = rows[:-1]
    elif damage == "other cells":
        other = build(tmp_path / "other", factored(2900), routes=[Route.CELLS])
        file.write_bytes((other.folder / file.name).read_bytes())
    elif damage == "cut short":
        file.write_bytes(file.read_bytes()[:1000])
    else:
        file.unlink()
    with pytest.raises((ValueError, OSError)):
        open_index(good.folder, rows, good.calibration)


def test_rows_of_another_type_end_the_process(tmp_path: Path) -> None:
    gallery = factored(1200)
    double = replace(gallery, rows=gallery.rows.astype(np.float64))
    with pytest.raises(subprocess.CalledProcessError):
        build(tmp_path / "built", double)
