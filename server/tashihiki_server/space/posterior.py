"""Similarities as probabilities, and the order that follows from them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tashihiki_server.space.base import AttributeTerm, SpaceTerm
from tashihiki_server.vocabulary import AttributeKey

# Of agreements: those that differ by less, a hundredth of a probability, are as good as equal.
RESOLUTION = 0.01
# Of scores, whose exponentials and the sums of these are far from the largest number.
MAX_DIFFERENCE = 500.0

_Floats = NDArray[np.float64]


def softmax(scores: _Floats) -> _Floats:
    """Probabilities (n, k) that are proportional to the exponentials of scores (n, k)."""
    shifted = scores - scores.max(axis=1, keepdims=True)
    shares: _Floats = np.exp(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))
    return shares


def log_agreement(scores: _Floats, column: int, weight: float) -> _Floats:
    """How well items agree with a value that is added or subtracted: (n,), at most 0.

    The weight's size times log P, or log(1 - P) where the weight is negative; P is the softmax
    of scores (n, values) in the value's column. No two scores of a row differ by more than
    `MAX_DIFFERENCE`.
    """
    if weight > 0:
        ratios = scores - scores[:, column : column + 1]
        np.exp(ratios, out=ratios)
        added: _Floats = -weight * np.log(ratios.sum(axis=1))
        return added
    # Of the others' sum: a difference from 1 would lose all digits.
    others = np.delete(softmax(scores), column, axis=1).sum(axis=1)
    subtracted: _Floats = -weight * np.log(np.clip(others, np.finfo(np.float64).tiny, 1.0))
    return subtracted


def named_attributes(terms: Sequence[SpaceTerm]) -> dict[AttributeKey, float]:
    """The attributes that terms add or subtract on balance, and their weights."""
    weights: dict[AttributeKey, float] = {}
    for term in terms:
        if isinstance(term, AttributeTerm):
            weights[term.key] = weights.get(term.key, 0.0) + term.weight
    return {key: weight for key, weight in weights.items() if weight}


def best_first(agreements: _Floats, similarities: NDArray[np.floating]) -> NDArray[np.intp]:
    """Places in the order of agreements (n,); what is as good as equal by similarities (n,)."""
    order: NDArray[np.intp] = np.lexsort((-similarities, -np.rint(agreements / RESOLUTION)))
    return order
