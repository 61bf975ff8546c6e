"""Fitted spaces on disk: the newest is in force, and is published by one rename."""

from __future__ import annotations

import json
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from tashihiki_server.durable import json_checksum, read_json, sync
from tashihiki_server.space.factored import DamagedSpaceError, FactoredFit, read_fit

logger = logging.getLogger(__name__)

BASIS_FILE = "basis.json"
_FITTING = "fitting-"


@dataclass(frozen=True)
class Basis:
    """What a space was fitted to.

    Attributes:
        encoder: fingerprint.
        version: items that were written later have a greater one.
        items: how many had labels.
        values: how many values each folded facet had.
    """

    encoder: str
    version: int
    items: int
    values: Mapping[str, int]


@dataclass(frozen=True)
class StoredFit:
    """A space and what it was fitted to."""

    fit: FactoredFit
    basis: Basis


class FitStore:
    """The folder of a collection's fitted spaces."""

    def __init__(self, root: Path, encoder: str, dimension: int) -> None:
        """Does nothing yet.

        Args:
            root: folder, which need not exist.
            encoder: fingerprint that a space must be of.
            dimension: of its embeddings.
        """
        self._root = root
        self._encoder = encoder
        self._dimension = dimension

    def open_latest(self) -> StoredFit | None:
        """The newest space; None, with a line in the log, when it is damaged or foreign."""
        for cut_short in self._root.glob(f"{_FITTING}*"):
            shutil.rmtree(cut_short, ignore_errors=True)
        for folder in sorted(self._root.glob("[0-9]*"), reverse=True):
            try:
                return self.read(folder)
            except DamagedSpaceError as error:
                logger.warning("%s; it will be fitted again", error.message)
        return None

    def read(self, folder: Path) -> StoredFit:
        """Reads a space and checks that it belongs here.

        Raises:
            DamagedSpaceError: with what is wrong.
        """
        fit = read_fit(folder)
        try:
            basis = _read_basis(folder / BASIS_FILE)
        except (OSError, ValueError, TypeError, AttributeError) as error:
            raise _unusable(folder, f"{BASIS_FILE} cannot be read: {error}") from error
        if (basis.encoder, fit.dimension) != (self._encoder, self._dimension):
            raise _unusable(folder, "it is of another encoder")
        return StoredFit(fit, basis)

    @contextmanager
    def working_folder(self) -> Iterator[Path]:
        """A folder to fit in, removed at the end unless it was committed."""
        self._root.mkdir(parents=True, exist_ok=True)
        # Of its own name: a process that outlived a killed server may still write into the last.
        folder = Path(tempfile.mkdtemp(prefix=_FITTING, dir=self._root))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def write_basis(self, folder: Path, basis: Basis) -> None:
        """Completes a working folder whose fit is written; all of it is then on the disk."""
        with (folder / BASIS_FILE).open("w", encoding="utf-8") as file:
            content = asdict(basis)
            json.dump({**content, "checksum": json_checksum(content)}, file)
            file.flush()
            os.fsync(file.fileno())
        sync(folder)

    def commit(self, folder: Path, number: int) -> None:
        """Puts a complete working folder in force, and removes the others.

        Args:
            folder: that `working_folder` gave.
            number: the collection's generation from which it is in force.
        """
        final = self._root / f"{number:012d}"
        folder.replace(final)
        sync(self._root)
        for path in self._root.iterdir():
            if path != final:
                shutil.rmtree(path, ignore_errors=True)


def _read_basis(path: Path) -> Basis:
    content = read_json(path)
    # Earlier ones have no checksum.
    if content.pop("checksum", None) not in (None, json_checksum(content)):
        raise ValueError("it has changed since it was written")
    basis = Basis(**content)
    counts = (basis.version, basis.items, *basis.values.values())
    if any(type(count) is not int for count in counts):
        raise TypeError("a count is no whole number")
    return basis


def _unusable(folder: Path, fault: str) -> DamagedSpaceError:
    return DamagedSpaceError(
        f"the space in {folder} is not usable: {fault}", reason="SPACE_DAMAGED"
    )
