"""The progress bars of a training."""

from __future__ import annotations

import math
from datetime import timedelta

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text


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
        last = task.total
        if self.max_seconds is not None:
            spare = max(0.0, self.max_seconds - (task.elapsed or 0.0))
            reached = task.completed + spare * task.speed
            last = min(last, math.ceil(reached / self.steps_per_epoch) * self.steps_per_epoch)
        return (last - task.completed) / task.speed


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
