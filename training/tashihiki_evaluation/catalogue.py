"""Labelled photos as an evaluation sees them: facets, values, and a code for each label."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from tashihiki.errors import InvalidArgumentError
from tashihiki_server.dataset import Photo
from tashihiki_server.names import fold

MISSING = -1
Codes = NDArray[np.int64]
Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Labels:
    """What photos show.

    Attributes:
        facets: folded names, in the order of the catalogue.
        names: of the same facets as they are spelt.
        values: for each facet its values as they are spelt, in the order of their codes.
        codes: (photos, facets), MISSING where a photo has no label.
    """

    facets: tuple[str, ...]
    names: tuple[str, ...]
    values: tuple[tuple[str, ...], ...]
    codes: Codes

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """Every two facets that some photos carry both."""
        known = self.codes != MISSING
        numbers = range(len(self.facets))
        return [(f, g) for f, g in combinations(numbers, 2) if (known[:, f] & known[:, g]).any()]

    def text(self, facet: int, code: int) -> str:
        """`facet:value`."""
        return f"{self.names[facet]}:{self.values[facet][code]}"

    def of(self, photo: int) -> list[str]:
        """The values that a photo shows, in the order of the facets."""
        return [self.values[f][c] for f, c in enumerate(self.codes[photo]) if c != MISSING]


def labels_of(photos: Sequence[Photo], facets: Sequence[str]) -> Labels:
    """Numbers the values of every facet that has two and more.

    Names that fold alike are one value, as in a collection.

    Raises:
        InvalidArgumentError: DATASET_TOO_SMALL where no photo shows two such facets.
    """
    kept: list[str] = []
    values: list[tuple[str, ...]] = []
    columns: list[list[int]] = []
    for facet in facets:
        spelling: dict[str, str] = {}
        for photo in photos:
            if facet in photo.attributes:
                name = photo.attributes[facet]
                spelling[fold(name)] = min(spelling.get(fold(name), name), name)
        if len(spelling) < 2:
            continue
        order = {value: code for code, value in enumerate(sorted(spelling))}
        kept.append(facet)
        values.append(tuple(spelling[value] for value in order))
        columns.append([order.get(fold(p.attributes.get(facet, "")), MISSING) for p in photos])
    codes = np.array(columns, dtype=np.int64).T.reshape(len(photos), len(kept))
    labels = Labels(tuple(fold(name) for name in kept), tuple(kept), tuple(values), codes)
    if not labels.pairs:
        raise _too_few(kept, facets)
    return labels


def _too_few(kept: Sequence[str], facets: Sequence[str]) -> InvalidArgumentError:
    if len(kept) > 1:
        found = f"no photo carries two of {', '.join(kept)}"
    elif kept:
        found = f"here only {kept[0]} has two values"
    else:
        found = f"none of {', '.join(facets)} has" if facets else "here are no facets"
    return InvalidArgumentError(
        f"a composition needs photos that carry two facets of two values and more; {found}",
        reason="DATASET_TOO_SMALL",
        field="facet",
        remedy="Name more facets with --facet, or bring photos that are labelled for two.",
    )
