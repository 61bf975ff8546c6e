"""Pictures that are the same: on both sides of a split they would flatter it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tashihiki_evaluation.catalogue import MISSING, Codes, Indices


@dataclass(frozen=True)
class Identical:
    """Which photos show the same pixels.

    Attributes:
        group: (photos,), the number of each photo's group; most groups have one photo.
        groups: how many have several.
        photos: how many photos are in those.
        conflicting: how many of those groups carry different labels.
    """

    group: Indices
    groups: int
    photos: int
    conflicting: int

    def __str__(self) -> str:
        groups = "1 group" if self.groups == 1 else f"{self.groups} groups"
        return (
            f"{groups} of identical pictures ({self.photos} pictures, conflicting labels in "
            f"{self.conflicting})"
        )


def identical_pictures(pixel_digests: Sequence[str], codes: Codes) -> Identical:
    """Groups photos by the digests of their pixels.

    Args:
        pixel_digests: of what the encoder sees, so that another file format or another
            compression level without loss changes nothing.
        codes: (photos, facets); a missing label conflicts with none.
    """
    _, inverse = np.unique(np.array(pixel_digests, dtype=str), return_inverse=True)
    group = inverse.reshape(-1).astype(np.int64)
    sizes = np.bincount(group)
    several = np.flatnonzero(sizes > 1)
    conflicting = sum(_conflict(codes[group == number]) for number in several)
    return Identical(group, len(several), int(sizes[several].sum()), conflicting)


def _conflict(codes: Codes) -> bool:
    return any(len(set(column[column != MISSING].tolist())) > 1 for column in codes.T)
