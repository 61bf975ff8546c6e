"""The time that a training says is left."""

from __future__ import annotations

import pytest
from rich.console import Console

from tashihiki_training.bars import TimeLeft, bar


@pytest.mark.parametrize(
    ("max_seconds", "left"),
    # 10 steps of 1 s to an epoch, 100 in all, 25 done after 25 s.
    [(None, 75.0), (1000.0, 75.0), (34.0, 15.0), (41.0, 25.0), (10.0, 5.0)],
)
def test_the_epoch_in_which_the_limit_passes_is_the_last(
    max_seconds: float | None, left: float
) -> None:
    now = 0.0
    column = TimeLeft(10, max_seconds)
    progress = bar(Console(quiet=True), column)
    progress.get_time = lambda: now
    task = progress.add_task("training", total=100)
    assert column.seconds(progress.tasks[0]) is None
    for _ in range(25):
        now += 1.0
        progress.advance(task)
    assert column.seconds(progress.tasks[0]) == pytest.approx(left)
