"""The progress bars of a training."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from tashihiki_server.cli.progress import ProgressLines

Stages = Callable[[str, int, int], None]
READING, MEASURING, TRAINING = "reading", "measuring", "training"


class TimeLeft(ProgressColumn):
    """The time to the last step, or to the end of the epoch in which a limit passes."""

    def __init__(self, steps_per_epoch: int, max_seconds: float | None) -> None:
        super().__init__()
        self.steps_per_epoch = steps_per_epoch
        self.max_seconds = max_seconds

    def render(self, task: Task) -> Text:
        """The time, once there is a speed to go by."""
        seconds = self.seconds(task)
        text = "-:--:--" if seconds is None else str(timedelta(seconds=math.ceil(seconds)))
        return Text(text, style="progress.remaining")

    def seconds(self, task: Task) -> float | None:
        """The seconds left, None without a speed."""
        if not task.speed or task.total is None:
            return None
        if task.description != TRAINING:
            return (task.total - task.completed) / task.speed
        return self.of_training(task.completed, task.total, task.elapsed or 0.0, task.speed)

    def of_training(self, done: float, total: float, elapsed: float, speed: float) -> float:
        """The seconds left of a training.

        Args:
            done, total: steps.
            elapsed: seconds.
            speed: steps per second.
        """
        last = total
        if self.max_seconds is not None:
            reached = done + max(0.0, self.max_seconds - elapsed) * speed
            last = min(last, math.ceil(reached / self.steps_per_epoch) * self.steps_per_epoch)
        return (last - done) / speed

    def step(self, done: int, total: int) -> str:
        """Which step of a training is done, in words."""
        epoch = math.ceil(done / self.steps_per_epoch)
        return f"step {done:,} of {total:,}, epoch {epoch} of {total // self.steps_per_epoch},"


def bar(console: Console, left: ProgressColumn | None = None) -> Progress:
    """A bar that goes when it is done; `left` shows the time left."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        left or TimeRemainingColumn(),
        console=console,
        transient=True,
    )


@contextmanager
def stages(console: Console, left: TimeLeft | None = None) -> Iterator[Stages]:
    """A bar for each stage, or lines on standard error where the console is no terminal.

    Yields what to call with (stage, done, total).
    """
    if not console.is_terminal:
        lines: dict[str, ProgressLines] = {}

        def say(stage: str, done: int, total: int) -> None:
            if stage not in lines:
                lines[stage] = _lines(stage, left)
            lines[stage].update(done, total)

        yield say
        return
    with bar(console, left) as progress:
        tasks: dict[str, TaskID] = {}

        def draw(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = progress.add_task(stage, total=total)
            progress.update(tasks[stage], completed=done, total=total)

        yield draw


def _lines(stage: str, left: TimeLeft | None) -> ProgressLines:
    console = Console(stderr=True)
    if stage != TRAINING or left is None:
        return ProgressLines(stage, console)
    return ProgressLines(stage, console, place=left.step, left=left.of_training)
