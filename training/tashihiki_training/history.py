"""What happened in every epoch, as JSON and as plots."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

Entry = dict[str, Any]

# The figures of composed queries in an entry; the first that is there decides on the best epoch.
COMPOSED = ("unseen", "factored", "sum")


def write_history(entries: list[Entry], folder: Path) -> None:
    """Writes history.json, loss.png and recall.png into a folder."""
    text = json.dumps(entries, indent=1, ensure_ascii=False) + "\n"
    unfinished = folder / "history.part"
    unfinished.write_text(text, encoding="utf-8")
    unfinished.replace(folder / "history.json")
    _plot(_losses(entries), "loss", folder / "loss.png")
    _plot(_recalls(entries), "recall at 1, validation", folder / "recall.png")


def _losses(entries: list[Entry]) -> dict[str, list[tuple[int, float]]]:
    names = ("loss", "triplets", "composition", "additive")
    return {
        name: [(entry["epoch"], entry[name]) for entry in entries if name in entry]
        for name in names
    }


def _recalls(entries: list[Entry]) -> dict[str, list[tuple[int, float]]]:
    if not entries:
        return {}
    curves = {
        name: [(e["epoch"], e["validation"][name]) for e in entries]
        for name in COMPOSED
        if name in entries[0]["validation"]
    }
    for facet in entries[0]["validation"]["facets"]:
        curves[facet] = [(e["epoch"], e["validation"]["facets"][facet]) for e in entries]
    return curves


def _plot(curves: dict[str, list[tuple[int, float]]], title: str, path: Path) -> None:
    figure = Figure(figsize=(7, 4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for name, points in curves.items():
        if points:
            wide = 2.0 if name in ("loss", "unseen") else 1.0
            axes.plot(*zip(*points, strict=True), label=name, linewidth=wide, marker=".")
    axes.set_xlabel("epoch")
    axes.set_ylabel(title)
    axes.grid(alpha=0.3)
    if axes.lines:
        axes.legend()
    figure.savefig(path, dpi=110)
