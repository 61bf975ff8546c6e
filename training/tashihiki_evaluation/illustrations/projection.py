"""Where a query lands: among the embeddings, and in the blocks of a factored space."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from tashihiki_evaluation.illustrations.gallery import Gallery
from tashihiki_server.names import fold
from tashihiki_server.space.base import AttributeTerm, Vectors
from tashihiki_server.space.factored import FactoredSpace

_DPI = 100
_WANTED = "#d1242f"
_QUERY = "#111111"
# Cold, so that what is asked for stands out.
_OTHERS = colormaps["viridis"]

_Floats = NDArray[np.float64]


@dataclass(frozen=True)
class _View:
    """A plane in which the values of a facet lie as far apart as they can.

    Attributes:
        rows: (items, 2).
        means: by value, (2,).
        query: (2,).
    """

    rows: _Floats
    means: dict[str, _Floats]
    query: _Floats


def draw_projection(gallery: Gallery, wanted: tuple[tuple[str, str], ...], path: Path) -> None:
    """Draws a panel of the embeddings for each facet, and one of its block, into a PNG file.

    Args:
        gallery: to fit the space to.
        wanted: facet and value, the terms of the query.
        path: PNG file.
    """
    space = gallery.with_prototypes(FactoredSpace(gallery.fit))
    terms = [AttributeTerm(1.0, gallery.key(*pair)) for pair in wanted]
    plain, ours = (each.compose(terms).vector for each in (gallery.plain, space))
    rows = space.project(gallery.embeddings)
    figure = Figure(figsize=(5.6 * len(wanted), 9.2), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(2, len(wanted), squeeze=False)
    for column, (facet, value) in enumerate(wanted):
        block = next(block for block in space.blocks if block.facet == fold(facet))
        part = slice(block.start, block.stop)
        _panel(panels[0, column], gallery, facet, value, gallery.embeddings, plain)
        panels[0, column].set_title(f"embeddings, spread by {facet}", fontsize=13)
        _panel(panels[1, column], gallery, facet, value, _units(rows[:, part]), _unit(ours[part]))
        panels[1, column].set_title(f"block of {facet}", fontsize=13)
    marks = [
        Line2D([], [], marker="*", linestyle="", markersize=17, color=_QUERY),
        Line2D([], [], marker="o", linestyle="", color=_WANTED),
    ]
    words = " + ".join(value for _, value in wanted)
    names = " and ".join(value for _, value in wanted)
    figure.legend(
        marks,
        [f"the query {words}", f"items of {names}"],
        loc="outside upper center",
        ncols=2,
        fontsize=13,
        frameon=False,
    )
    figure.savefig(path, dpi=_DPI)


def _panel(
    panel: Axes, gallery: Gallery, facet: str, value: str, rows: Vectors, query: Vectors
) -> None:
    values = gallery.values[facet]
    codes = gallery.codes[:, list(gallery.values).index(facet)]
    view = _seen(rows, codes, values, query)
    for code, name in enumerate(values):
        ours = view.rows[codes == code]
        wanted = name == value
        colour = _WANTED if wanted else _OTHERS(code / len(values))
        panel.scatter(
            ours[:, 0],
            ours[:, 1],
            s=30 if wanted else 14,
            color=colour,
            alpha=0.85 if wanted else 0.5,
        )
        panel.annotate(
            name,
            (view.means[name][0], view.means[name][1]),
            xytext=(0, -20 if wanted else 0),
            textcoords="offset points",
            fontsize=13 if wanted else 9,
            fontweight="bold" if wanted else "normal",
            ha="center",
            va="center",
            bbox={"boxstyle": "round,pad=0.15", "fc": "white", "ec": "none", "alpha": 0.8},
            zorder=4 if wanted else 3,
        )
    panel.scatter(
        view.query[0], view.query[1], s=420, marker="*", c=_QUERY, edgecolors="white", zorder=5
    )
    panel.set_xticks([])
    panel.set_yticks([])
    panel.set_aspect("equal", adjustable="datalim")


def _seen(rows: Vectors, codes: NDArray[np.int64], values: list[str], query: Vectors) -> _View:
    means = np.array([rows[codes == code].mean(axis=0) for code in range(len(values))])
    centre = means.mean(axis=0)
    _, _, directions = np.linalg.svd(means - centre, full_matrices=False)
    plane = directions[:2].T
    # Which way a singular vector points is the library's choice.
    plane *= np.sign(plane[np.abs(plane).argmax(axis=0), range(2)])
    return _View(
        (rows - centre) @ plane,
        dict(zip(values, (means - centre) @ plane, strict=True)),
        (query - centre) @ plane,
    )


def _units(rows: Vectors) -> Vectors:
    found: Vectors = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return found


def _unit(vector: Vectors) -> Vectors:
    found: Vectors = _units(vector[None])[0]
    return found
