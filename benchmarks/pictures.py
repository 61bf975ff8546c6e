"""Plots for docs/images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent.parent / "docs" / "images"


def figure(count: int) -> tuple[Any, Any]:
    """A figure with so many plots in a row, and these; nothing is shown on a screen."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    made, axes = plt.subplots(1, count, figsize=(5.5 * count, 4.0), squeeze=False)
    return made, axes[0]


def save(made: Any, path: Path) -> None:
    """Writes a figure and lets go of it."""
    import matplotlib.pyplot as plt

    made.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    made.savefig(path, dpi=110)
    plt.close(made)
