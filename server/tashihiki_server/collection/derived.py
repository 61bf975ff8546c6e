"""Where a collection keeps what it derives from its catalogue: a folder for each encoder."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Set
from pathlib import Path

logger = logging.getLogger(__name__)

DERIVED_FOLDER = "derived"
INDEX_FOLDER = "generations"
SPACES_FOLDER = "spaces"


def derived_folder(folder: Path, encoder: str) -> Path:
    """The folder of what is derived from an encoder's embeddings; it need not exist.

    Args:
        folder: of the collection.
        encoder: fingerprint.
    """
    return folder / DERIVED_FOLDER / encoder


def adopt_derived(folder: Path, encoder: str) -> None:
    """Moves a space that the first release fitted to its place; indexes are built again.

    Args:
        folder: of the collection.
        encoder: fingerprint of its only encoder.
    """
    spaces, place = folder / SPACES_FOLDER, derived_folder(folder, encoder) / SPACES_FOLDER
    try:
        if spaces.is_dir() and not place.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            spaces.replace(place)
    except OSError as error:
        logger.warning("%s: its space will be fitted again: %s", folder.name, error)
    for old in (spaces, folder / INDEX_FOLDER):
        shutil.rmtree(old, ignore_errors=True)


def forget_derived(folder: Path, kept: Set[str]) -> None:
    """Deletes what is derived from the embeddings of other encoders.

    Args:
        folder: of the collection.
        kept: fingerprints of the encoders whose folders stay.
    """
    for path in (folder / DERIVED_FOLDER).glob("*"):
        if path.name not in kept:
            shutil.rmtree(path, ignore_errors=True)
