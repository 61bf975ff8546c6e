"""Which pictures are learnt from, which steer the training, and which are reported."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from tashihiki.errors import InvalidArgumentError
from tashihiki_training.labels import MISSING, Codes

Indices = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Shares:
    """How much is held out, in shares of what there is.

    Attributes:
        combinations: of those of two facets, shared among the pairs of facets that a picture
            carries; only the validation part shows them, and perhaps the test part.
        validation: of the distinct files, drawn for the validation part whatever they show.
        test: of the distinct files.
    """

    combinations: float = 0.15
    validation: float = 0.15
    test: float = 0.15


SHARES = Shares()


@dataclass(frozen=True)
class Split:
    """Positions of pictures, each in one of three parts."""

    train: Indices
    validation: Indices
    test: Indices


def split(digests: Sequence[str], codes: Codes, seed: int, shares: Shares = SHARES) -> Split:
    """Splits by content: identical files fall on one side, whatever their order and names.

    Validation holds out pictures and combinations: what carries a combination drawn for it is
    never learnt from. The other pictures in it are there to be confused with.

    Args:
        digests: of the content of every file.
        codes: (files, facets).
        seed: of the draws.
        shares: see there; at least one file is in every part whose share is not 0.

    Raises:
        InvalidArgumentError: DATASET_TOO_SMALL.
    """
    order = sorted(set(digests), key=lambda digest: _draw(digest, seed))
    held = [max(1, round(len(order) * s)) if s else 0 for s in (shares.validation, shares.test)]
    if len(order) <= sum(held):
        raise InvalidArgumentError(
            f"{len(order)} distinct photos cannot be split into {1 + sum(h > 0 for h in held)} "
            "parts",
            reason="DATASET_TOO_SMALL",
            field="source",
            remedy="Bring at least a few photos of every value.",
        )
    part = dict.fromkeys(order, 0)
    part.update(dict.fromkeys(order[: held[0]], 1))
    part.update(dict.fromkeys(order[held[0] : sum(held)], 2))
    rest = np.array([part[digest] == 0 for digest in digests])
    held_combinations = held_out(codes, rest, seed, shares.combinations).tolist()
    unseen = {digest for digest, h in zip(digests, held_combinations, strict=True) if h}
    left = [digest for digest in order if part[digest] == 0 and digest not in unseen]
    if left:
        part.update({digest: 1 for digest in unseen if part[digest] == 0})
    parts = np.array([part[digest] for digest in digests])
    return Split(*(np.flatnonzero(parts == number) for number in range(3)))


def held_out(codes: Codes, usable: Flags, seed: int, share: float) -> Flags:
    """Draws combinations of two values: (pictures,), whether each carries one of them.

    Of every two facets, along the diagonals of a Latin square over their values in a drawn
    order, so that each value loses about the same share of its combinations. A value that would
    have none left keeps them: nothing could be learnt about it.

    Args:
        codes: (pictures, facets).
        usable: (pictures,), those that could be learnt from.
        seed: of the draw.
        share: of all combinations of two facets; at least one is drawn, unless it is 0.
    """
    known = codes != MISSING
    pairs = [
        pair
        for pair in combinations(range(codes.shape[1]), 2)
        if known[:, list(pair)].all(axis=1).any()
    ]
    held = np.zeros(len(codes), dtype=bool)
    carried = sum(known[:, list(pair)].all(axis=1).sum() for pair in pairs)
    for pair in pairs if share else []:
        both = known[:, list(pair)].all(axis=1)
        shown, number = np.unique(codes[both][:, list(pair)], axis=0, return_inverse=True)
        ranks = [_ranks(f, column, seed) for f, column in zip(pair, shown.T, strict=True)]
        diagonal = (ranks[0] + ranks[1]) % (1 + max(rank.max() for rank in ranks))
        aim = max(1, round(share * known.any(axis=1).sum() / carried * len(shown)))
        chosen = np.lexsort((ranks[0], diagonal))[:aim]
        drawn = np.zeros(len(codes), dtype=bool)
        drawn[both] = np.isin(number.reshape(-1), chosen)
        stays = codes[usable & both & ~held & ~drawn]
        covered = [np.isin(codes[:, facet], stays[:, facet]) for facet in pair]
        held |= drawn & covered[0] & covered[1]
    return held


def _draw(text: str, seed: int) -> bytes:
    return hashlib.sha256(f"{seed}:{text}".encode()).digest()


def _ranks(facet: int, codes: Indices, seed: int) -> Indices:
    """(n,): the place of each code among those that occur, in a drawn order."""
    values, number = np.unique(codes, return_inverse=True)
    drawn = [_draw(f"{facet}:{code}", seed) for code in values.tolist()]
    ranks: Indices = np.argsort(np.argsort(np.array(drawn, dtype="S32"), kind="stable"))
    return ranks[number.reshape(-1)]
