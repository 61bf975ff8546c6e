"""The errors of a catalogue that cannot be read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tashihiki.errors import InvalidArgumentError, NotFoundError
from tashihiki_server.dataset.photo import Dataset, Skipped
from tashihiki_server.names import similar

CHECK_THE_PATHS = "Check the paths: they are relative to the catalogue's folder or --image-root."


def not_found(source: Path) -> NotFoundError:
    """CATALOGUE_NOT_FOUND."""
    return NotFoundError(
        f"there is no catalogue at {source}",
        reason="CATALOGUE_NOT_FOUND",
        field="source",
        remedy="Name a .csv, .tsv or .parquet file, or a folder of photos.",
    )


def unreadable(source: Path, why: object) -> InvalidArgumentError:
    """CATALOGUE_INVALID."""
    return InvalidArgumentError(
        f"the catalogue {source} cannot be read: {why}",
        reason="CATALOGUE_INVALID",
        field="source",
        remedy="Save it as CSV in UTF-8, or as Parquet, with one row per photo.",
    )


def unknown_column(name: str, field: str, columns: Sequence[str]) -> InvalidArgumentError:
    """UNKNOWN_COLUMN, with the columns there are and those that look like it."""
    close = similar(name, columns)
    guess = f"Did you mean {', '.join(close)}? " if close else ""
    return InvalidArgumentError(
        f"there is no column {name!r}",
        reason="UNKNOWN_COLUMN",
        field=field,
        remedy=f"{guess}The columns are {', '.join(columns)}.",
        details={"candidates": ", ".join(close or columns)},
    )


def none_readable(unreadable: Sequence[Skipped]) -> InvalidArgumentError:
    """CATALOGUE_EMPTY, where files are there but none is a picture that can be read."""
    first = unreadable[0]
    return InvalidArgumentError(
        f"none of {len(unreadable)} photos can be read; the first, {first.path.absolute()}:"
        f" {first.why}",
        reason="CATALOGUE_EMPTY",
        field="source",
        remedy="Open it in a viewer to check it, and see that the paths are those of photos.",
    )


def checked(
    dataset: Dataset, source: Path, remedy: str = CHECK_THE_PATHS, root: Path | None = None
) -> Dataset:
    """The dataset itself, if it has photos.

    Args:
        dataset: what was read.
        source: of it.
        remedy: where it has none.
        root: the folder that paths in the catalogue start from; None where it names no paths.

    Raises:
        InvalidArgumentError: CATALOGUE_EMPTY.
    """
    if dataset.photos:
        return dataset
    because = ""
    if dataset.skipped:
        first = dataset.skipped[0]
        because = f"; {len(dataset.skipped)} were left out"
        because += f", the first, {first.path.absolute()}: {first.why}"
    where = f"; its paths start from {root.resolve()}" if root is not None else ""
    raise InvalidArgumentError(
        f"the catalogue {source} names no photo that is there{because}{where}",
        reason="CATALOGUE_EMPTY",
        field="source",
        remedy=remedy,
    )
