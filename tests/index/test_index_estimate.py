"""How long a look-up in cells is expected to take."""

from __future__ import annotations

import numpy as np
import pytest

from tashihiki_server.index.base import OutOfPatienceError
from tashihiki_server.index.calibration import COUNTS, Effort
from tashihiki_server.index.cells import Cells
from tashihiki_server.index.cells_index import CellsIndex
from tashihiki_server.index.principal import Principal, fit_axes, on_axes

COUNT, DIMENSION = 1000, 4
# So that the seconds are those of so many rows.
ROW_SECONDS = 1.0


@pytest.mark.parametrize("effort", [1, 600])
def test_whole_cells_and_comparing_all_rows_are_counted(effort: int) -> None:
    vectors = np.zeros((COUNT, DIMENSION), dtype=np.float32)
    # A facet of two values, with one coordinate to tell them apart.
    vectors[:, 0] = np.where(np.arange(COUNT) < 400, 0.5, -0.5)
    efforts = (Effort(-1.0, dict.fromkeys(COUNTS, effort)),)
    whole = Cells(
        (0, DIMENSION),
        np.eye(DIMENSION, dtype=np.float32)[:1],
        np.array([0, COUNT]),
        None,
        efforts,
    )
    centroids = np.array([[1], [-1]], dtype=np.float32)
    two = Cells((0, 1), centroids, np.array([0, 400, COUNT]), np.arange(COUNT), efforts)
    index = CellsIndex(vectors, [whole, two], ROW_SECONDS)
    query = np.array([1, 0, 0, 0], dtype=np.float32)
    found = index.look_up(query).candidates(COUNTS[-1], None)
    expected = index.look_up(query).seconds(COUNTS[-1])
    if effort == 1:
        assert found is not None
        assert len(found) == 400
        assert expected >= 400 * ROW_SECONDS / DIMENSION
    else:
        assert found is None
        assert expected == COUNT * ROW_SECONDS


def test_who_cannot_wait_is_told_of_many_candidates_before_they_are_compared() -> None:
    random = np.random.default_rng(0)
    vectors = np.repeat(random.normal(size=(1, 600)).astype(np.float32), COUNT, axis=0)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    axes = fit_axes(vectors, random)
    principal = Principal(axes, on_axes(vectors, axes), dict.fromkeys(COUNTS, 0.1))
    centroids = principal.rows[:1] / np.linalg.norm(principal.rows[0])
    efforts = (Effort(-1.0, dict.fromkeys(COUNTS, 10)),)
    whole = Cells((0, 600), centroids, np.array([0, COUNT]), None, efforts, principal)
    look_up = CellsIndex(vectors, [whole], ROW_SECONDS).look_up(vectors[0])
    with pytest.raises(OutOfPatienceError):
        look_up.candidates(10, None, COUNT - 1)
    # Who can wait has them compared, all at once.
    assert look_up.candidates(10, None) is None
