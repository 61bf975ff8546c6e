"""Plots of the report: recall bars, and a map of the hits of every combination."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from tashihiki_evaluation.catalogue import Labels
from tashihiki_evaluation.evaluation import TaskResult
from tashihiki_evaluation.rows import PLAIN, RERANK, ROWS

_DPI = 110
_COLUMNS = 3
_COLOURS = {PLAIN: "#c05746", RERANK: "#2a6f97"}
_OTHER = "#b8c4cc"
_NEVER_ASKED = "#e6e6e6"
# Beyond these the figures in the cells would overlap, and names could not be read.
_NUMBERED, _NAMED = 16, 60


def draw_recall(tasks: dict[str, dict[str, Any]], path: Path) -> None:
    """R@1 of every row with its interval, a panel for each task."""
    height = -(-len(tasks) // _COLUMNS)
    width = min(len(tasks), _COLUMNS)
    figure = Figure(figsize=(2.2 + 3.6 * width, 0.6 + 2.5 * height), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(height, width, squeeze=False, sharex=True, sharey=True)
    for panel in panels.flat[len(tasks) :]:
        panel.set_visible(False)
    for panel, task in zip(panels.flat, tasks.values(), strict=False):
        _bars(panel, task)
    for number in range(width):
        # The lowest panel of a column, which need not be in the last line.
        lowest = panels[(len(tasks) - 1 - number) // width, number]
        lowest.tick_params(labelbottom=True)
        lowest.set_xlabel("R@1, 95 % interval")
    figure.savefig(path, dpi=_DPI)


def _bars(panel: Axes, task: dict[str, Any]) -> None:
    rows = list(ROWS)
    for place, row in enumerate(rows):
        found = task["rows"][row]
        if not found["queries"]:
            continue
        recall = found["recall_at_1"]
        panel.barh(place, recall["value"], color=_COLOURS.get(row, _OTHER))
        panel.hlines(place, recall["low"], recall["high"], color="black", linewidth=1)
        panel.text(
            max(recall["high"], recall["value"]) + 0.02,
            place,
            f"{recall['value']:.2f}",
            va="center",
            fontsize=8,
        )
    panel.set_yticks(range(len(rows)), rows, fontsize=8)
    panel.set_ylim(len(rows) - 0.4, -0.6)
    panel.set_xlim(0, 1.15)
    panel.set_xticks([0, 0.25, 0.5, 0.75, 1])
    panel.set_title(f"{task['title']} ({task['queries']})", fontsize=9)
    panel.spines[["top", "right"]].set_visible(False)


def draw_heat_map(result: TaskResult, labels: Labels, pair: tuple[int, int], path: Path) -> None:
    """R@1 of every combination of two facets, plain sum beside factored and re-ranked.

    Args:
        result: of a task whose queries ask for values of both facets.
        labels: of the pictures.
        pair: the facets, the first downwards.
        path: PNG file.
    """
    ours = (result.queries.pair == sorted(pair)).all(axis=1)
    asked = result.queries.asked[ours][:, list(pair)]
    down, across = (labels.values[facet] for facet in pair)
    large = max(len(down), len(across)) > _NAMED
    cell = 0.12 if large else 0.42
    figure = Figure(
        figsize=(2.6 + 2 * max(2.2, cell * len(across)), 1.9 + max(1.6, cell * len(down))),
        layout="constrained",
    )
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, 2, sharey=True)
    for panel, row in zip(panels, (PLAIN, RERANK), strict=True):
        right = result.outcomes[row].right[ours]
        cells = _cells(right, asked, (len(down), len(across)))
        panel.set_facecolor(_NEVER_ASKED)
        image = panel.imshow(cells, vmin=0, vmax=1, cmap="RdYlBu", aspect="auto")
        panel.set_title(f"{row}: {right.mean():.2f}", fontsize=10)
        if large:
            panel.set_xlabel(labels.names[pair[1]])
            panel.set_ylabel(labels.names[pair[0]])
        else:
            panel.set_xticks(range(len(across)), across, rotation=90, fontsize=8)
            panel.set_yticks(range(len(down)), down, fontsize=8)
        if max(len(down), len(across)) <= _NUMBERED:
            _number(panel, cells)
    figure.colorbar(image, ax=panels, label="R@1", shrink=0.8)
    figure.suptitle(f"{result.task.title}; grey: never asked", fontsize=10)
    figure.savefig(path, dpi=_DPI)


def _cells(
    right: NDArray[np.float64], asked: NDArray[np.int64], shape: tuple[int, int]
) -> NDArray[np.float64]:
    place = np.ravel_multi_index((asked[:, 0], asked[:, 1]), shape)
    count = np.bincount(place, minlength=shape[0] * shape[1])
    total = np.bincount(place, weights=right, minlength=len(count))
    mean: NDArray[np.float64] = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return mean.reshape(shape)


def _number(panel: Axes, cells: NDArray[np.float64]) -> None:
    for (row, column), value in np.ndenumerate(cells):
        if not np.isnan(value):
            # Dark ends of the scale need light figures.
            colour = "white" if abs(value - 0.5) > 0.4 else "black"
            text = f"{value:.0f}" if value in (0, 1) else f"{value:.1f}".removeprefix("0")
            panel.text(column, row, text, ha="center", va="center", fontsize=7, color=colour)
