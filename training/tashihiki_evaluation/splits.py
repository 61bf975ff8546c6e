"""Who is fitted and who is searched.

All splits are drawn from the seed and the pictures' content, so neither the order nor the names
of the files matter, and identical pictures always fall on one side.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tashihiki_evaluation.catalogue import MISSING, Codes, Indices, Labels


def halves(codes: Codes, group: Indices, digests: Sequence[str], seed: int) -> NDArray[np.int64]:
    """Two halves with about the same share of every combination.

    Args:
        codes: (photos, facets); photos of one group count by the labels of the first, in the
            order of their digests and labels.
        group: (photos,), of identical photos; they fall on one side.
        digests: of the photos' content.
        seed: of the draw.

    Returns:
        (photos,): 0 or 1.
    """
    members: dict[int, list[int]] = {}
    for photo, number in enumerate(group.tolist()):
        members.setdefault(number, []).append(photo)
    strata: dict[tuple[int, ...], list[list[int]]] = {}
    for photos in members.values():
        strata.setdefault(min(tuple(codes[p].tolist()) for p in photos), []).append(photos)
    side = np.zeros(len(codes), dtype=np.int64)
    total = [0, 0]
    # The first of a stratum goes to the half that is smaller so far: single pictures and odd
    # ones out would otherwise all pile up in the same half.
    for stratum in sorted(strata, key=lambda row: _draw(repr(row), seed)):
        ours = [0, 0]
        for photos in sorted(strata[stratum], key=lambda p: _draw(digests[p[0]], seed)):
            half = min((0, 1), key=lambda h: (ours[h], total[h]))
            side[photos] = half
            ours[half] += len(photos)
            total[half] += len(photos)
    return side


def latin_square(labels: Labels, pair: tuple[int, int], folds: int, seed: int) -> Indices:
    """The fold of every photo's combination of two facets.

    Fold (rank f + rank g) mod folds, with the values of both facets in a drawn order: a fold
    holds out about one of `folds` combinations of every value, and none of them twice.

    Returns:
        (photos,): 0 … folds − 1, MISSING for photos that lack one of the labels.
    """
    ranks = [_ranks(labels, facet, seed)[labels.codes[:, facet]] for facet in pair]
    known = (labels.codes[:, list(pair)] != MISSING).all(axis=1)
    fold: Indices = np.where(known, (ranks[0] + ranks[1]) % folds, MISSING)
    return fold


def value_folds(labels: Labels, facet: int, folds: int, seed: int) -> Indices:
    """The fold of every photo's value of a facet, MISSING for photos without one."""
    codes = labels.codes[:, facet]
    fold: Indices = np.where(codes == MISSING, MISSING, _ranks(labels, facet, seed)[codes] % folds)
    return fold


def without(photos: Indices, held: NDArray[np.bool_], group: Indices) -> Indices:
    """Those of the photos that are not held out, nor identical to any photo that is.

    Args:
        photos: positions.
        held: (all photos,).
        group: (all photos,), of identical ones.
    """
    kept: Indices = photos[~np.isin(group[photos], group[held])]
    return kept


def _ranks(labels: Labels, facet: int, seed: int) -> Indices:
    values = labels.values[facet]
    order = sorted(range(len(values)), key=lambda code: _draw(labels.text(facet, code), seed))
    ranks = np.empty(len(values), dtype=np.int64)
    ranks[order] = np.arange(len(values))
    return ranks


def _draw(text: str, seed: int) -> bytes:
    return hashlib.sha256(f"{seed}:{text}".encode()).digest()
