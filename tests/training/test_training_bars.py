"""The bars of a training, and the time that it says is left."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from tashihiki_training.bars import MEASURING, TRAINING, TimeLeft, bar, stages


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
    task = progress.add_task(TRAINING, total=100)
    assert column.seconds(progress.tasks[0]) is None
    for _ in range(25):
        now += 1.0
        progress.advance(task)
    assert column.seconds(progress.tasks[0]) == pytest.approx(left)


def test_lines_name_step_and_epoch_and_heed_the_limit(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    limited = TimeLeft(10, 25.0)
    monkeypatch.setattr("tashihiki_server.cli.progress.SECONDS_BETWEEN_LINES", 0.0)
    with stages(Console(file=io.StringIO()), limited) as progress:
        progress(TRAINING, 11, 80)
        progress(MEASURING, 11, 80)
    told = ["training", "training: step 11 of 80, epoch 2 of 8, after 0 s"]
    assert capsys.readouterr().err.splitlines() == [
        *told,
        "measuring",
        "measuring: 11 of 80 after 0 s",
    ]
    # The limit passes in the third epoch.
    assert limited.of_training(done=11, total=80, elapsed=11.0, speed=1.0) == 19.0


def test_a_terminal_has_a_bar_for_each_stage(capsys: pytest.CaptureFixture[str]) -> None:
    drawn = io.StringIO()
    with stages(Console(file=drawn, force_terminal=True, width=100)) as progress:
        progress(MEASURING, 64, 316)
        progress(TRAINING, 1, 15)
        progress(MEASURING, 316, 316)
    shown = drawn.getvalue()
    assert "316/316" in shown
    assert "1/15" in shown
    assert capsys.readouterr().err == ""
