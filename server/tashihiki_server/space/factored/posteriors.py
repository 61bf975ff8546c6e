"""How probably an item has a value, from how near it is to the values' prototypes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tashihiki_server.space.factored.grouping import Codes, Floats
from tashihiki_server.space.posterior import softmax

MIN_CONCENTRATION = 1.0
MAX_CONCENTRATION = 100.0
# Where nothing was held out to fit it by.
DEFAULT_CONCENTRATION = 10.0
_STEPS = 24


@dataclass(frozen=True)
class HeldOut:
    """Items that a fit has not seen, classified by it.

    Attributes:
        cosines: (n, values) of the items to the prototypes.
        truth: (n,), the columns of their own values.
        weights: (n,) of the items.
    """

    cosines: Floats
    truth: Codes
    weights: Floats

    def right(self) -> float:
        """The weight of the items that are nearest to their own value."""
        if not len(self.truth):
            return 0.0
        return float(self.weights @ (self.cosines.argmax(axis=1) == self.truth))

    def log_likelihood(self, kappa: float) -> float:
        """The weighted sum of the logarithms of the posteriors of the items' own values."""
        if not len(self.truth):
            return 0.0
        own = softmax(kappa * self.cosines)[np.arange(len(self.truth)), self.truth]
        return float(self.weights @ np.log(np.maximum(own, np.finfo(np.float64).tiny)))


def concentration(held_out: Sequence[HeldOut]) -> float:
    """The κ of P(value) = softmax(κ * cosines) that makes held-out labels most likely.

    The log-likelihood is concave in κ: its slope, the true values' cosines less the expected
    ones, falls. Bounded by `MIN_CONCENTRATION` and `MAX_CONCENTRATION`.
    """
    held_out = [found for found in held_out if len(found.truth)]
    if not held_out:
        return DEFAULT_CONCENTRATION
    low, high = np.log(MIN_CONCENTRATION), np.log(MAX_CONCENTRATION)
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if sum(_slope(found, float(np.exp(middle))) for found in held_out) > 0:
            low = middle
        else:
            high = middle
    return float(np.exp((low + high) / 2))


def _slope(found: HeldOut, kappa: float) -> float:
    own = found.cosines[np.arange(len(found.truth)), found.truth]
    expected = (softmax(kappa * found.cosines) * found.cosines).sum(axis=1)
    return float(found.weights @ (own - expected))
