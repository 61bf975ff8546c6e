"""Attributes as numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tashihiki_server.dataset import Photo

MISSING = -1
Codes = NDArray[np.int64]


@dataclass(frozen=True)
class Vocabulary:
    """The facets and, in the order of their codes, the values of each."""

    facets: tuple[str, ...]
    values: tuple[tuple[str, ...], ...]

    def codes(self, photos: Sequence[Photo]) -> Codes:
        """(photos, facets): each photo's value of each facet, MISSING where it has none."""
        tables = [{value: code for code, value in enumerate(vs)} for vs in self.values]
        rows = [
            [
                table.get(photo.attributes.get(facet, ""), MISSING)
                for facet, table in zip(self.facets, tables, strict=True)
            ]
            for photo in photos
        ]
        return np.array(rows, dtype=np.int64).reshape(len(photos), len(self.facets))


def vocabulary(photos: Sequence[Photo], facets: Sequence[str]) -> Vocabulary:
    """The values that occur, sorted."""
    values = [sorted({p.attributes[f] for p in photos if f in p.attributes}) for f in facets]
    return Vocabulary(tuple(facets), tuple(tuple(column) for column in values))


def combinations(codes: Codes) -> tuple[Codes, NDArray[np.int64]]:
    """The distinct rows of codes, and for each row the number of its combination."""
    unique, inverse = np.unique(codes, axis=0, return_inverse=True)
    return unique, inverse.reshape(-1).astype(np.int64)
