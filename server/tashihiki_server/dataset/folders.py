"""One folder per class: the folder's name is the label."""

from __future__ import annotations

from pathlib import Path

from tashihiki_server.dataset.aliases import Aliases
from tashihiki_server.dataset.failure import checked, not_found
from tashihiki_server.dataset.photo import Dataset, Photo, Skipped

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".gif", ".tif", ".tiff", ".bmp"})

_REMEDY = "A folder needs one sub-folder per class, a labels.csv, or --pattern."


def read_folders(folder: Path, facet: str = "category", aliases: Aliases | None = None) -> Dataset:
    """Reads a folder whose sub-folders are the values of one facet.

    Raises:
        NotFoundError: CATALOGUE_NOT_FOUND.
        InvalidArgumentError: CATALOGUE_EMPTY.
    """
    if not folder.is_dir():
        raise not_found(folder)
    aliases = aliases or Aliases()
    photos, skipped = [], []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        parts = path.relative_to(folder).parts
        if any(part.startswith(".") for part in parts):
            continue
        if len(parts) == 1 or path.suffix.lower() not in SUFFIXES:
            skipped.append(Skipped(path, _why(parts, path)))
            continue
        relative = path.relative_to(folder).as_posix()
        photos.append(Photo(relative, path, {facet: aliases.value(facet, parts[0])}))
    return checked(Dataset(photos, [facet], skipped), folder, _REMEDY)


def _why(parts: tuple[str, ...], path: Path) -> str:
    if len(parts) == 1:
        return "it is in no sub-folder"
    return f"{path.suffix or 'its name'} is no suffix of a picture"
