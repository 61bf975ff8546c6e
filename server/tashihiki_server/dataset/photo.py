"""What the readers return."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Photo:
    """A picture file and what is known about it.

    Attributes:
        id: unique within its dataset.
        path: the file.
        attributes: facet → value; a facet whose label is missing is absent.
        metadata: whatever else the catalogue says of it; a column of numbers as numbers.
    """

    id: str
    path: Path
    attributes: dict[str, str] = field(default_factory=dict)
    metadata: Mapping[str, str | int | float] = field(default_factory=dict)


@dataclass(frozen=True)
class Skipped:
    """A picture that was left out, and why."""

    path: Path
    why: str


@dataclass(frozen=True)
class Dataset:
    """Labelled photos.

    Attributes:
        photos: in the order of the catalogue, or of the file names.
        facets: every facet that photos may carry, in order.
        skipped: what was left out.
        warnings: what may not be as it was meant, in sentences.
        facets_found: whether the facets are columns that the reader took, since none was named.
    """

    photos: Sequence[Photo]
    facets: list[str]
    skipped: list[Skipped] = field(default_factory=list)
    warnings: Sequence[str] = ()
    facets_found: bool = False
