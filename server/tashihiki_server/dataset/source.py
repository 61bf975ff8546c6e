"""Whatever the user names: the reader that fits it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tashihiki.errors import InvalidArgumentError
from tashihiki_server.dataset.aliases import Aliases
from tashihiki_server.dataset.failure import not_found
from tashihiki_server.dataset.folders import read_folders
from tashihiki_server.dataset.pattern import read_pattern
from tashihiki_server.dataset.photo import Dataset
from tashihiki_server.dataset.rows import SUFFIXES
from tashihiki_server.dataset.table import read_table

LABELS = "labels"


def read_dataset(
    source: Path,
    *,
    pattern: str | None = None,
    facets: Sequence[str] | None = None,
    metadata: Sequence[str] | None = None,
    path_column: str | None = None,
    id_column: str | None = None,
    aliases: Aliases | None = None,
    image_root: Path | None = None,
) -> Dataset:
    """Reads labelled photos from a table, a folder with `labels.csv`, or a folder of photos.

    A folder with a pattern is read by its file names. A folder without one is read by its
    `labels.csv`, `.tsv` or `.parquet` if it has one, else as one folder per class, and then
    `facets` may name the one facet (default: category).

    Raises:
        NotFoundError: CATALOGUE_NOT_FOUND.
        InvalidArgumentError: as the readers do.
        AlreadyExistsError: DUPLICATE_ID.
    """
    if not source.exists():
        raise not_found(source)
    if pattern is not None:
        return read_pattern(_folder(source), pattern, aliases, facets=facets)
    table = _table(source)
    if table is None:
        return read_folders(source, _one_facet(facets), aliases)
    return read_table(
        table,
        path_column=path_column,
        id_column=id_column,
        facets=facets,
        metadata=metadata,
        aliases=aliases,
        image_root=image_root,
    )


def _table(source: Path) -> Path | None:
    if source.is_file():
        return source
    candidates = [source / (LABELS + suffix) for suffix in SUFFIXES]
    return next((path for path in candidates if path.is_file()), None)


def _folder(source: Path) -> Path:
    if source.is_dir():
        return source
    raise InvalidArgumentError(
        f"{source} is a file, and a pattern reads a folder of photos",
        reason="PATTERN_INVALID",
        field="pattern",
        remedy="Name the folder, or leave the pattern out.",
    )


def _one_facet(facets: Sequence[str] | None) -> str:
    if not facets:
        return "category"
    if len(facets) == 1:
        return facets[0]
    raise InvalidArgumentError(
        "a folder per class carries one facet only",
        reason="UNKNOWN_COLUMN",
        field="facet",
        remedy="Name one facet, or bring a labels.csv or a pattern.",
    )
