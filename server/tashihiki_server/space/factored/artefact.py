"""A fit on disk: `space.json` says what `space.npz` is."""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from tashihiki.errors import InternalError
from tashihiki_server.durable import json_checksum, read_json
from tashihiki_server.space.factored.diagnostics import Diagnostics
from tashihiki_server.space.factored.fit import FactoredFit

FORMAT = 1
FACTS_FILE = "space.json"
ARRAYS_FILE = "space.npz"


class DamagedSpaceError(InternalError):
    """A folder that does not hold what was written; a new fit can replace it."""


def write_fit(fit: FactoredFit, folder: Path) -> None:
    """Writes a fit into a folder, which is made where it is missing.

    Each file is synced and takes its name whole, the facts last: a folder that is cut short or
    whose files belong to two fits does not open.

    Raises:
        OSError: when the disk takes no more.
    """
    folder.mkdir(parents=True, exist_ok=True)
    arrays = folder / f"{ARRAYS_FILE}.part"
    with arrays.open("wb") as file:
        np.savez(file, mean=fit.mean, matrix=fit.matrix)
        file.flush()
        os.fsync(file.fileno())
    content: dict[str, Any] = {
        "format": FORMAT,
        "identity": fit.identity,
        "arrays": {"size": arrays.stat().st_size, "sha256": _sha256(arrays)},
        "dimension": fit.dimension,
        "facets": fit.facets,
        "ranks": fit.ranks,
        "rest_rank": fit.rest_rank,
        "concentrations": fit.concentrations,
        "without_contrast": fit.without_contrast,
        "values": fit.values,
        "rest_weight": fit.rest_weight,
        "diagnostics": fit.diagnostics.to_json(),
    }
    content["checksum"] = json_checksum(content)
    facts = folder / f"{FACTS_FILE}.part"
    with facts.open("w", encoding="utf-8") as text:
        json.dump(content, text, indent=1, allow_nan=False)
        text.flush()
        os.fsync(text.fileno())
    arrays.replace(folder / ARRAYS_FILE)
    facts.replace(folder / FACTS_FILE)
    entries = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(entries)
    finally:
        os.close(entries)


def read_fit(folder: Path) -> FactoredFit:
    """Reads a fit after checking every byte of it.

    Raises:
        DamagedSpaceError: with what is wrong; also where there is none.
    """
    try:
        content = read_json(folder / FACTS_FILE)
        if content["format"] != FORMAT:
            raise _damaged(folder, f"its format is {content['format']}, not {FORMAT}")
        if content["checksum"] != json_checksum(content):
            raise _damaged(folder, f"{FACTS_FILE} has changed since it was written")
        path = folder / ARRAYS_FILE
        if path.stat().st_size != content["arrays"]["size"]:
            raise _damaged(folder, f"{ARRAYS_FILE} has another size than when it was written")
        if _sha256(path) != content["arrays"]["sha256"]:
            raise _damaged(folder, f"{ARRAYS_FILE} has changed since it was written")
        fit = _restored(content, path)
        if not _sound(fit) or fit.identity != content["identity"]:
            raise _damaged(folder, "its parts do not go together")
        return fit
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise _damaged(folder, str(error) or type(error).__name__) from error


def _restored(content: dict[str, Any], path: Path) -> FactoredFit:
    with np.load(path, allow_pickle=False) as arrays:
        mean, matrix = arrays["mean"], arrays["matrix"]
    return FactoredFit(
        dimension=content["dimension"],
        mean=mean,
        matrix=matrix,
        facets=tuple(content["facets"]),
        ranks=tuple(content["ranks"]),
        rest_rank=content["rest_rank"],
        concentrations=tuple(content["concentrations"]),
        without_contrast=tuple(content["without_contrast"]),
        values=content["values"],
        rest_weight=content["rest_weight"],
        diagnostics=Diagnostics.from_json(content["diagnostics"]),
    )


def _sound(fit: FactoredFit) -> bool:
    return (
        fit.mean.shape == (fit.dimension,)
        and fit.matrix.shape == (fit.dimension, sum(fit.ranks) + fit.rest_rank)
        and fit.mean.dtype == fit.matrix.dtype == np.float32
        and bool(np.isfinite(fit.mean).all() and np.isfinite(fit.matrix).all())
        and len(fit.facets) == len(fit.ranks) == len(fit.concentrations)
    )


def _damaged(folder: Path, fault: str) -> DamagedSpaceError:
    return DamagedSpaceError(
        f"the space in {folder} is not usable: {fault}",
        reason="SPACE_DAMAGED",
        remedy="Fit it again.",
    )


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
