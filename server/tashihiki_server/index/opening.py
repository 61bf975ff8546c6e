"""Opens what a build wrote."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from tashihiki_server.index.base import Route, VectorIndex
from tashihiki_server.index.calibration import Calibration, Efforts
from tashihiki_server.index.cells import Cells
from tashihiki_server.index.cells_index import CellsIndex
from tashihiki_server.index.graph import GraphIndex
from tashihiki_server.index.ngt import NgtIndex
from tashihiki_server.index.principal import Principal
from tashihiki_server.space.base import Vectors

GRAPH_FOLDER = "ngt"


def open_index(folder: Path, vectors: Vectors, calibration: Calibration) -> VectorIndex | None:
    """The index of a folder, over rows in memory.

    Args:
        folder: that a build wrote; its files are known to be as they were written.
        vectors: (n, d), the rows in the order of the build.
        calibration: of the build.

    Returns:
        None where comparing all rows is fastest.

    Raises:
        ValueError: where the files are not of these rows.
        OSError, RuntimeError: where they cannot be read.
    """
    if calibration.rows != len(vectors):
        raise ValueError(f"the calibration is of {calibration.rows} rows, not {len(vectors)}")
    if calibration.route is Route.CELLS:
        return CellsIndex(
            vectors,
            [
                read_cells(folder, number, efforts, calibration.margins)
                for number, efforts in enumerate(calibration.cells)
            ],
            calibration.row_seconds,
        )
    if calibration.graph is not None:
        count, dimension = vectors.shape
        graph = NgtIndex(folder / GRAPH_FOLDER, count=count, dimension=dimension)
        return GraphIndex(graph, vectors, calibration.graph, calibration.row_seconds)
    return None


def write_cells(folder: Path, number: int, cells: Cells) -> None:
    """Writes a division's files, all but its efforts and margins."""
    # Empty for None, which npz does not have.
    nothing = np.empty(0, dtype=np.float32)
    axes, on_axes = (
        (nothing, nothing)
        if cells.principal is None
        else (cells.principal.axes, cells.principal.rows)
    )
    np.savez(
        _cells_file(folder, number),
        columns=np.array(cells.columns, dtype=np.int64),
        centroids=cells.centroids,
        starts=cells.starts,
        rows=np.empty(0, dtype=np.int64) if cells.rows is None else cells.rows,
        axes=axes,
        on_axes=on_axes,
    )


def remove_cells(folder: Path) -> None:
    """Removes what `write_cells` wrote."""
    for path in folder.glob("cells-*.npz"):
        path.unlink()


def read_cells(folder: Path, number: int, efforts: Efforts, margins: Mapping[int, float]) -> Cells:
    """Reads what `write_cells` wrote.

    Args:
        folder: that has it.
        number: of the division.
        efforts: of the division.
        margins: of its candidates, where it is on axes.

    Raises:
        ValueError, OSError: where that is not there.
    """
    path = _cells_file(folder, number)
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            parts = {name: file[name] for name in ("columns", "centroids", "starts", "rows")}
            # Those of an earlier release are on no axes.
            axes, on_axes = (file.get(name) for name in ("axes", "on_axes"))
    except (zipfile.BadZipFile, EOFError, KeyError) as error:
        raise ValueError(f"{path.name} holds no cells: {error}") from error
    start, stop = parts["columns"].tolist()
    rows = parts["rows"] if len(parts["rows"]) else None
    principal = None
    if axes is not None and on_axes is not None and len(axes):
        principal = Principal(axes, on_axes, margins)
    return Cells((start, stop), parts["centroids"], parts["starts"], rows, efforts, principal)


def _cells_file(folder: Path, number: int) -> Path:
    return folder / f"cells-{number}.npz"
