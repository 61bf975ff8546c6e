"""Fits a space in a process of its own, which takes its memory with it when it ends.

`python -m tashihiki_server.collection.fit_process FOLDER` reads what `write_inputs` wrote there,
writes the fit and the gallery vectors of all embeddings, and removes what it read. Where there is
nothing that could be fitted, it says why in UNFITTED_FILE.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tashihiki.errors import InvalidArgumentError
from tashihiki_server.child_process import end_with_parent
from tashihiki_server.space.base import Vectors
from tashihiki_server.space.factored import FactoredSpace, fit_factored, write_fit

MODULE = "tashihiki_server.collection.fit_process"
EMBEDDINGS_FILE = "embeddings.f32"
LABELS_FILE = "labels.npy"
FACETS_FILE = "facets.json"
GALLERY_FILE = "gallery.npy"
UNFITTED_FILE = "unfitted.txt"


def write_inputs(folder: Path, labels: NDArray[np.int64], facets: Sequence[str]) -> None:
    """Writes all but EMBEDDINGS_FILE: the rows (n, d) in float32, one after the other.

    Args:
        folder: of the process.
        labels: (n, facets), the numbers of the values.
        facets: folded names.
    """
    np.save(folder / LABELS_FILE, labels, allow_pickle=False)
    (folder / FACETS_FILE).write_text(json.dumps(list(facets)), encoding="utf-8")


def why_unfitted(folder: Path) -> str | None:
    """Why the process found nothing that could be fitted; None where it did."""
    path = folder / UNFITTED_FILE
    return path.read_text(encoding="utf-8") if path.exists() else None


def take_gallery(folder: Path) -> Vectors:
    """The gallery vectors (n, dimension) that the process left; they are there no more then."""
    path = folder / GALLERY_FILE
    vectors: Vectors = np.load(path, allow_pickle=False)
    path.unlink()
    return vectors


def main(folder: Path) -> None:
    """Fits and projects; see the module's text."""
    end_with_parent()
    labels = np.load(folder / LABELS_FILE, allow_pickle=False)
    facets = json.loads((folder / FACETS_FILE).read_text(encoding="utf-8"))
    embeddings = np.fromfile(folder / EMBEDDINGS_FILE, dtype=np.float32).reshape(len(labels), -1)
    try:
        fit = fit_factored(embeddings, labels, facets)
    except InvalidArgumentError as error:
        if error.reason != "SPACE_UNFITTED":
            raise
        (folder / UNFITTED_FILE).write_text(error.message, encoding="utf-8")
        return
    write_fit(fit, folder)
    vectors = FactoredSpace(fit).project(embeddings)
    np.save(folder / GALLERY_FILE, vectors, allow_pickle=False)
    for name in (EMBEDDINGS_FILE, LABELS_FILE, FACETS_FILE):
        (folder / name).unlink()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
