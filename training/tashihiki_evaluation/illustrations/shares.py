"""What embeddings are made of: the mean that they share, and what each facet adds to it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from tashihiki_evaluation.illustrations.gallery import Gallery

_DPI = 100
_MEAN, _REST = "#8c959f", "#d0d7de"
_FACETS = ("#2a6f97", "#c05746", "#3c8d5a")
# Narrower parts take smaller words, or words that stand upright.
_WIDE, _NARROW = 0.1, 0.055


def draw_shares(galleries: Mapping[str, Gallery], path: Path) -> None:
    """Draws two bars for each gallery into a PNG file: the squared length, and the variance.

    Args:
        galleries: by name.
        path: PNG file.
    """
    figure = Figure(figsize=(10.5, 2.1 * len(galleries)), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(len(galleries), 1, squeeze=False)[:, 0]
    for panel, (name, gallery) in zip(panels, galleries.items(), strict=True):
        _bars(panel, gallery)
        panel.set_title(f"{name}, {len(gallery.items)} items", loc="left", fontsize=12)
    figure.savefig(path, dpi=_DPI)


def _bars(panel: Axes, gallery: Gallery) -> None:
    found = gallery.fit.diagnostics
    mean = float((gallery.fit.mean.astype(float) ** 2).sum())
    _bar(panel, 1, [("shared mean", mean, _MEAN), ("differences", 1 - mean, _REST)])
    facets = sorted(found.facets, key=lambda facet: -facet.variance_share)
    parts = [
        (facet.facet, facet.variance_share, colour)
        for facet, colour in zip(facets, _FACETS, strict=False)
    ]
    parts.append(("interaction", found.interaction_share, _MEAN))
    parts.append(("residual", found.residual_share, _REST))
    _bar(panel, 0, parts)
    # The lower bar is the end of the upper one, enlarged.
    for end, below in ((mean, 0.0), (1.0, 1.0)):
        panel.plot([end, below], [0.65, 0.35], color=_MEAN, linewidth=1)
    panel.set_yticks([1, 0], ["squared length", "differences"], fontsize=11)
    panel.tick_params(left=False)
    panel.set_xlim(0, 1)
    panel.set_xticks([])
    panel.spines[:].set_visible(False)


def _bar(panel: Axes, place: int, parts: list[tuple[str, float, str]]) -> None:
    start = 0.0
    for name, share, colour in parts:
        panel.barh(place, share, left=start, color=colour, height=0.7, edgecolor="white")
        panel.text(
            start + share / 2,
            place,
            f"{name}\n{100 * share:.0f} %",
            ha="center",
            va="center",
            color="black" if colour in (_MEAN, _REST) else "white",
            fontsize=10 if share > _WIDE else 8,
            rotation=0 if share > _NARROW else 90,
        )
        start += share
