"""What commands say of their progress where there is no terminal."""

from __future__ import annotations

import io

from rich.console import Console

from tashihiki_server.cli.progress import ProgressLines


def test_a_stage_is_one_line_and_one_more_every_ten_seconds() -> None:
    now = 100.0
    written = io.StringIO()
    lines = ProgressLines("embedding [clothes]", Console(file=written), lambda: now)
    for done in range(1, 2501):
        now += 0.01
        lines.update(done, 2500)
    assert written.getvalue().splitlines() == [
        "embedding [clothes]",
        "embedding [clothes]: 1,000 of 2,500 after 10 s, about 0:00:15 left",
        "embedding [clothes]: 2,000 of 2,500 after 20 s, about 0:00:05 left",
    ]


def test_a_stage_that_begins_anew_speaks_once_it_takes_long() -> None:
    now = 0.0
    written = io.StringIO()
    lines = ProgressLines("measuring", Console(file=written), lambda: now)
    for seconds, done in ((4.0, 32), (12.0, 64), (65.0, 32), (73.0, 48), (77.0, 64)):
        now = seconds
        lines.update(done, 64)
    assert written.getvalue().splitlines() == [
        "measuring",
        "measuring: 64 of 64 after 12 s",
        "measuring: 64 of 64 after 12 s",
    ]
