"""Similarities as probabilities, and the order that follows from them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tashihiki_server.space.base import AttributeTerm, SpaceTerm
from tashihiki_server.vocabulary import AttributeKey

# Of agreements: those that differ by less, a hundredth of a probability, are as good as equal.
RESOLUTION = 0.01

_Floats = NDArray[np.float64]


def softmax(scores: _Floats) -> _Floats:
    """Probabilities (n, k) that are proportional to the exponentials of scores (n, k)."""
    shares: _Floats = np.exp(log_softmax(scores))
    return shares


def log_softmax(scores: _Floats) -> _Floats:
    """Their logarithms."""
    shifted = scores - scores.max(axis=1, keepdims=True)
    logarithms: _Floats = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return logarithms


def log_agreement(scores: _Floats, column: int, weight: float) -> _Floats:
    """How well items agree with a value that is added or subtracted: (n,), at most 0.

    The weight's size times log P, or log(1 - P) where the weight is negative; P is the softmax
    of scores (n, values) in the value's column.
    """
    logarithms = log_softmax(scores)
    if weight > 0:
        added: _Floats = weight * logarithms[:, column]
        return added
    # Of the others' sum: a difference from 1 would lose all digits.
    others = np.delete(np.exp(logarithms), column, axis=1).sum(axis=1)
    subtracted: _Floats = -weight * np.log(np.clip(others, np.finfo(np.float64).tiny, 1.0))
    return subtracted


def named_attributes(terms: Sequence[SpaceTerm]) -> dict[AttributeKey, float]:
    """The attributes that terms add or subtract on balance, and their weights."""
    weights: defaultdict[AttributeKey, float] = defaultdict(float)
    for term in terms:
        if isinstance(term, AttributeTerm):
            weights[term.key] += term.weight
    return {key: weight for key, weight in weights.items() if weight}


def best_first(agreements: _Floats, similarities: NDArray[np.floating]) -> NDArray[np.intp]:
    """Places in the order of agreements (n,); what is as good as equal by similarities (n,)."""
    order: NDArray[np.intp] = np.lexsort((-similarities, -np.round(agreements / RESOLUTION)))
    return order
