"""Contact sheets of the worst failures: what was asked, what was found, what is right."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from tashihiki_evaluation.catalogue import MISSING, Indices, Labels
from tashihiki_evaluation.evaluation import TaskResult
from tashihiki_evaluation.metrics import SHOWN
from tashihiki_evaluation.rows import RERANK
from tashihiki_server.dataset import Photo
from tashihiki_server.images import ImageLimits, decode

FAILURES = 8
_SIDE = 160
_DPI = 100
_RIGHT, _WRONG = "#1b7837", "#b2182b"


def worst_failures(result: TaskResult) -> Indices:
    """The queries whose first right hit in the factored space comes last, worst first.

    One for each combination asked for, so that the sheet shows more than one reason.
    """
    outcome = result.outcomes[RERANK]
    wrong = np.flatnonzero(outcome.right == 0)
    wrong = wrong[np.argsort(-outcome.rank[wrong], kind="stable")]
    _, first = np.unique(result.clusters[wrong], return_index=True)
    worst: Indices = wrong[np.sort(first)][:FAILURES]
    return worst


def draw_failures(
    result: TaskResult, labels: Labels, photos: Sequence[Photo], worst: Indices, path: Path
) -> None:
    """Draws a line for each failure: operand, first right hit, first hits.

    Args:
        result: of the task.
        labels: of the photos.
        photos: all of them.
        worst: numbers of queries, at least one.
        path: PNG file.
    """
    outcome = result.outcomes[RERANK]
    figure = Figure(figsize=(1.75 * (SHOWN + 2), 2.5 * len(worst) + 0.5), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(f"{result.task.title}: the worst failures of the factored space", fontsize=13)
    # One line is one sub-figure, so that a query has a title of its own.
    lines = np.ravel(figure.subfigures(len(worst), 1, squeeze=False))
    for line, number in zip(lines, worst.tolist(), strict=True):
        missed = " and ".join(labels.names[f] for f in outcome.missed[number].nonzero()[0])
        query = result.queries.text(number, labels)
        line.suptitle(f"{query}   (the first hit misses {missed})", fontsize=10, x=0.01, ha="left")
        panels = line.subplots(1, SHOWN + 2)
        base, answer = int(result.queries.base[number]), int(outcome.answer[number])
        _show(panels[0], photos, labels, base, "this item", "black")
        _show(panels[1], photos, labels, answer, f"right, rank {outcome.rank[number]}", _RIGHT)
        for place, hit in enumerate(outcome.hits[number].tolist()):
            right = place + 1 == outcome.rank[number]
            _show(
                panels[2 + place],
                photos,
                labels,
                hit,
                f"hit {place + 1}",
                _RIGHT if right else _WRONG,
            )
    figure.savefig(path, dpi=_DPI)


def _show(
    panel: Axes, photos: Sequence[Photo], labels: Labels, photo: int, title: str, colour: str
) -> None:
    panel.set_axis_off()
    if photo == MISSING:
        return
    picture = decode(photos[photo].path.read_bytes(), _SIDE, ImageLimits())
    picture.thumbnail((_SIDE, _SIDE), Image.Resampling.BILINEAR)
    panel.imshow(np.asarray(picture))
    caption = "\n".join(_short(value) for value in labels.of(photo))
    panel.set_title(f"{title}\n{caption}", fontsize=8, color=colour)


def _short(text: str, length: int = 22) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
