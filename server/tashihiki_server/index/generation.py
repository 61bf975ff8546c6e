"""An index on disk: what it covers, with checksums, published by one rename."""

from __future__ import annotations

import json
import logging
import shutil
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tashihiki_server.child_process import Started, run, threads
from tashihiki_server.durable import json_checksum, read_json, sync
from tashihiki_server.encoder.manifest import sha256
from tashihiki_server.index.base import VectorIndex
from tashihiki_server.index.build import (
    CALIBRATION_FILE,
    LABELS_FILE,
    ORDER_FILE,
    REQUEST_FILE,
    VECTORS_FILE,
)
from tashihiki_server.index.calibration import Calibration
from tashihiki_server.index.opening import open_index
from tashihiki_server.index.request import Request
from tashihiki_server.space.base import Vectors

logger = logging.getLogger(__name__)

FORMAT = 2
MANIFEST_FILE = "manifest.json"
VERSIONS_FILE = "versions.npy"
IDS_FILE = "ids.json"
_BUILDING = "building"
# An index is no hurry: newer rows are compared one by one.
_NICENESS = 15


class DamagedIndexError(Exception):
    """An index folder that is not what was written; the catalogue can replace it."""


@dataclass(frozen=True)
class IndexGeneration:
    """A published index.

    Attributes:
        number: the collection's generation at which it was published.
        count: of its rows.
        index: over the rows; None where comparing them all is as good.
        calibration: what the build measured.
    """

    number: int
    count: int
    index: VectorIndex | None
    calibration: Calibration


@dataclass(frozen=True)
class OpenedGeneration:
    """An index with what its rows are.

    Attributes:
        generation: the index.
        folder: that it is in.
        ids: of the items, by row.
        versions: of their embeddings, by row; a row counts only while its item has this version.
        vectors: (n, d), by row.
    """

    generation: IndexGeneration
    folder: Path
    ids: list[str]
    versions: NDArray[np.int64]
    vectors: Vectors


@dataclass(frozen=True)
class FrozenRows:
    """The rows that an index is to be built over.

    Attributes:
        ids: of the items, (n,).
        versions: of the items, (n,).
        labels: (n, facets), the numbers of the values, -1 where there is none.
        vectors: of unit length, in pieces, (n, dimension) in all.
    """

    ids: NDArray[np.object_]
    versions: NDArray[np.int64]
    labels: NDArray[np.int64]
    vectors: Iterable[Vectors]


def build_generation(
    root: Path,
    rows: FrozenRows,
    request: Request,
    *,
    identity: str,
    publish: Callable[[], int],
    started: Started = lambda process: None,
    attach: Callable[[Path], None] = lambda folder: None,
) -> tuple[OpenedGeneration, NDArray[np.int64]]:
    """Builds an index in another process and publishes it under `root`.

    Args:
        root: folder of the collection's generations.
        rows: to build it over.
        request: how.
        identity: of what made the vectors; an index of another identity is never opened.
        publish: called when the index is ready; returns the generation's number.
        started: told the process, so that it can be ended.
        attach: writes more files into the folder that it is given.

    Returns:
        The index, and which of the given rows each of its rows is.

    Raises:
        ProcessFailedError: with what the building process said.
        OSError: when the disk takes no more.
    """
    root.mkdir(parents=True, exist_ok=True)
    # Of its own name: a process that outlived a killed server may still write into the last one.
    work = Path(tempfile.mkdtemp(prefix=f"{_BUILDING}-", dir=root))
    try:
        _write_inputs(work, rows, request)
        run("tashihiki_server.index.build", [str(work), str(threads())], _NICENESS, started)
        order = np.load(work / ORDER_FILE, allow_pickle=False)
        (work / ORDER_FILE).unlink()
        ids = rows.ids[order].tolist()
        (work / IDS_FILE).write_text(json.dumps(ids), encoding="utf-8")
        np.save(work / VERSIONS_FILE, rows.versions[order], allow_pickle=False)
        attach(work)
        number = publish()
        _write_manifest(work, number, len(ids), identity)
        final = root / f"{number:012d}"
        # One of this number is of a catalogue that an older copy has taken the place of.
        shutil.rmtree(final, ignore_errors=True)
        work.replace(final)
        sync(root)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    _drop_others(root, final)
    return _open(final, identity, checked=True), order


def _write_inputs(work: Path, rows: FrozenRows, request: Request) -> None:
    shape = (len(rows.ids), request.blocks[-1].stop)
    with (work / VECTORS_FILE).open("wb") as file:
        header = {"descr": "<f4", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        for piece in rows.vectors:
            file.write(np.ascontiguousarray(piece, dtype="<f4").data)
    np.save(work / LABELS_FILE, rows.labels, allow_pickle=False)
    (work / REQUEST_FILE).write_text(request.to_json(), encoding="utf-8")


def _write_manifest(work: Path, number: int, count: int, identity: str) -> None:
    files = sorted(path for path in work.rglob("*") if path.is_file())
    content: dict[str, Any] = {
        "format": FORMAT,
        "number": number,
        "count": count,
        "identity": identity,
        "files": {
            str(path.relative_to(work)): {"size": path.stat().st_size, "sha256": sha256(path)}
            for path in files
        },
    }
    content["checksum"] = json_checksum(content)
    for path in files:
        sync(path)
    (work / MANIFEST_FILE).write_text(json.dumps(content, indent=1), encoding="utf-8")
    sync(work / MANIFEST_FILE)
    sync(work)


def _drop_others(root: Path, keep: Path) -> None:
    for path in root.iterdir():
        if path != keep:
            shutil.rmtree(path, ignore_errors=True)


def drop_generations(root: Path) -> None:
    """Removes every index; those that are open stay usable."""
    for folder in root.glob("[0-9]*"):
        shutil.rmtree(folder, ignore_errors=True)


def open_latest(root: Path, identity: str, greatest: int | None = None) -> OpenedGeneration | None:
    """Opens the newest index; None, with a line in the log, when it is damaged or foreign.

    Args:
        root: folder of the collection's generations.
        identity: of what made the vectors.
        greatest: number that an index may have; any for None.
    """
    for cut_short in root.glob(f"{_BUILDING}*"):
        shutil.rmtree(cut_short, ignore_errors=True)
    for folder in sorted(root.glob("[0-9]*"), reverse=True):
        try:
            opened = open_generation(folder, identity)
            if greatest is not None and opened.generation.number > greatest:
                raise DamagedIndexError("it is newer than the catalogue")
            return opened
        except DamagedIndexError as error:
            logger.warning(
                "the index in %s is not usable (%s): it will be rebuilt from the catalogue",
                folder,
                error,
            )
    return None


def open_generation(folder: Path, identity: str) -> OpenedGeneration:
    """Opens an index after checking every file of it.

    Raises:
        DamagedIndexError: with what is wrong.
    """
    return _open(folder, identity, checked=False)


def check_generation(folder: Path) -> None:
    """Checks every file of an index, whatever it is of.

    Raises:
        DamagedIndexError: with what is wrong.
    """
    try:
        _checked_manifest(folder)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DamagedIndexError(str(error) or type(error).__name__) from error


def _manifest(folder: Path) -> dict[str, Any]:
    manifest: dict[str, Any] = read_json(folder / MANIFEST_FILE)
    return manifest


def _checked_manifest(folder: Path) -> dict[str, Any]:
    manifest = _manifest(folder)
    if manifest["format"] != FORMAT:
        raise DamagedIndexError("it was made by another version")
    if manifest["checksum"] != json_checksum(manifest):
        raise DamagedIndexError(f"{MANIFEST_FILE} has changed since it was written")
    for name, facts in manifest["files"].items():
        if (folder / name).stat().st_size != facts["size"]:
            raise DamagedIndexError(f"{name} has another size than when it was written")
        if sha256(folder / name) != facts["sha256"]:
            raise DamagedIndexError(f"{name} has changed since it was written")
    return manifest


def _open(folder: Path, identity: str, *, checked: bool) -> OpenedGeneration:
    try:
        manifest = _manifest(folder) if checked else _checked_manifest(folder)
        if manifest["identity"] != identity:
            raise DamagedIndexError(
                "it was made by another encoder or space, or of another history"
            )
        ids = json.loads((folder / IDS_FILE).read_text(encoding="utf-8"))
        versions = np.load(folder / VERSIONS_FILE, allow_pickle=False)
        vectors = np.load(folder / VECTORS_FILE, allow_pickle=False)
        text = (folder / CALIBRATION_FILE).read_text(encoding="utf-8")
        calibration = Calibration.from_json(text)
        index = open_index(folder, vectors, calibration)
        generation = IndexGeneration(manifest["number"], len(ids), index, calibration)
        return OpenedGeneration(generation, folder, ids, versions, vectors)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise DamagedIndexError(str(error) or type(error).__name__) from error
