"""An index on disk: what it covers, with checksums, published by one rename."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tashihiki_server.child_process import Started, run, threads
from tashihiki_server.encoder.manifest import sha256
from tashihiki_server.index.base import VectorIndex
from tashihiki_server.index.build import (
    CALIBRATION_FILE,
    INDEX_FOLDER,
    VECTORS_FILE,
    Calibration,
)
from tashihiki_server.index.ngt import NgtIndex
from tashihiki_server.space.base import Vectors

logger = logging.getLogger(__name__)

FORMAT = 1
MANIFEST_FILE = "manifest.json"
VERSIONS_FILE = "versions.npy"
IDS_FILE = "ids.json"
_BUILDING = "building"


class DamagedIndexError(Exception):
    """An index folder that is not what was written; the catalogue can replace it."""


@dataclass(frozen=True)
class IndexGeneration:
    """An opened index and the items that its rows stand for.

    Attributes:
        number: the collection's generation at which it was published.
        ids: of the items, by row.
        versions: of their embeddings, by row; a row counts only while its item has this version.
        index: over the rows.
        calibration: its setting; an unreliable one is better not searched.
    """

    number: int
    ids: list[str]
    versions: NDArray[np.int64]
    index: VectorIndex
    calibration: Calibration


def build_generation(
    root: Path,
    *,
    vectors: Vectors,
    ids: Sequence[str],
    versions: Sequence[int],
    identity: str,
    publish: Callable[[], int],
    started: Started = lambda process: None,
) -> IndexGeneration:
    """Builds an index in another process and publishes it under `root`.

    Args:
        root: folder of the collection's generations.
        vectors: gallery vectors (n, d), unit length.
        ids, versions: of the items, by row.
        identity: of what made the vectors; an index of another identity is never opened.
        publish: called when the index is ready; returns the generation's number.
        started: told the process, so that it can be ended.

    Raises:
        ProcessFailedError: with what the building process said.
        OSError: when the disk takes no more.
    """
    root.mkdir(parents=True, exist_ok=True)
    # Of its own name: a process that outlived a killed server may still write into the last one.
    work = Path(tempfile.mkdtemp(prefix=f"{_BUILDING}-", dir=root))
    try:
        _write_inputs(work, vectors, ids, versions)
        run("tashihiki_server.index.build", [str(work), str(threads())], started)
        number = publish()
        _write_manifest(work, number, len(ids), vectors.shape[1], identity)
        final = root / f"{number:012d}"
        work.replace(final)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    _drop_others(root, final)
    return open_generation(final, identity)


def _write_inputs(
    work: Path, vectors: Vectors, ids: Sequence[str], versions: Sequence[int]
) -> None:
    np.save(work / VECTORS_FILE, vectors, allow_pickle=False)
    np.save(work / VERSIONS_FILE, np.asarray(versions, dtype=np.int64), allow_pickle=False)
    (work / IDS_FILE).write_text(json.dumps(list(ids)), encoding="utf-8")


def _write_manifest(work: Path, number: int, count: int, dimension: int, identity: str) -> None:
    files = sorted(path for path in work.rglob("*") if path.is_file())
    content: dict[str, Any] = {
        "format": FORMAT,
        "number": number,
        "count": count,
        "dimension": dimension,
        "identity": identity,
        "files": {
            str(path.relative_to(work)): {"size": path.stat().st_size, "sha256": sha256(path)}
            for path in files
        },
    }
    content["checksum"] = _checksum(content)
    for path in files:
        _sync(path)
    (work / MANIFEST_FILE).write_text(json.dumps(content, indent=1), encoding="utf-8")
    _sync(work / MANIFEST_FILE)


def _checksum(manifest: dict[str, Any]) -> str:
    facts = {name: fact for name, fact in manifest.items() if name != "checksum"}
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _drop_others(root: Path, keep: Path) -> None:
    for path in root.iterdir():
        if path != keep:
            shutil.rmtree(path, ignore_errors=True)


def open_latest(root: Path, identity: str) -> IndexGeneration | None:
    """Opens the newest index; None, with a line in the log, when it is damaged or foreign."""
    for cut_short in root.glob(f"{_BUILDING}*"):
        shutil.rmtree(cut_short, ignore_errors=True)
    for folder in sorted(root.glob("[0-9]*"), reverse=True):
        try:
            return open_generation(folder, identity)
        except DamagedIndexError as error:
            logger.warning(
                "the index in %s is not usable (%s): it will be rebuilt from the catalogue",
                folder,
                error,
            )
    return None


def open_generation(folder: Path, identity: str) -> IndexGeneration:
    """Opens an index after checking every file of it.

    Raises:
        DamagedIndexError: with what is wrong.
    """
    try:
        manifest = json.loads((folder / MANIFEST_FILE).read_text(encoding="utf-8"))
        if (manifest["format"], manifest["identity"]) != (FORMAT, identity):
            raise DamagedIndexError("it was made by another encoder, space or version")
        if manifest["checksum"] != _checksum(manifest):
            raise DamagedIndexError(f"{MANIFEST_FILE} has changed since it was written")
        for name, facts in manifest["files"].items():
            if (folder / name).stat().st_size != facts["size"]:
                raise DamagedIndexError(f"{name} has another size than when it was written")
            if sha256(folder / name) != facts["sha256"]:
                raise DamagedIndexError(f"{name} has changed since it was written")
        ids = json.loads((folder / IDS_FILE).read_text(encoding="utf-8"))
        versions = np.load(folder / VERSIONS_FILE, allow_pickle=False)
        text = (folder / CALIBRATION_FILE).read_text(encoding="utf-8")
        calibration = Calibration(**json.loads(text))
        index = NgtIndex(
            folder / INDEX_FOLDER,
            count=manifest["count"],
            dimension=manifest["dimension"],
            epsilon=calibration.epsilon,
        )
        return IndexGeneration(manifest["number"], ids, versions, index, calibration)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise DamagedIndexError(str(error) or type(error).__name__) from error
