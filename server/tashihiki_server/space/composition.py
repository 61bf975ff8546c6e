"""What composing has in common in every space."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tashihiki.errors import FailedPreconditionError, InvalidArgumentError
from tashihiki_server.space.base import IgnoreTerm, SpaceTerm, Vectors
from tashihiki_server.space.prototype import Prototypes
from tashihiki_server.vocabulary import AttributeKey

# Relative to the sum of the weights' magnitudes, so that scaling them changes nothing.
NORM_FLOOR = 1e-4


def scaled_weights(terms: Sequence[SpaceTerm]) -> tuple[NDArray[np.float64], float]:
    """The terms' weights over the largest of their magnitudes, and that magnitude.

    The squares of very small weights would vanish in the norm. An ignored facet weighs 0.
    """
    weights = [0.0 if isinstance(t, IgnoreTerm) else t.weight for t in terms]
    largest = max(map(abs, weights), default=0.0) or 1.0
    return np.array([weight / largest for weight in weights]), largest


def length(vector: NDArray[np.float64]) -> float:
    """Of a vector (d,)."""
    return math.sqrt(vector @ vector)


def prototype_of(prototypes: Prototypes, key: AttributeKey) -> Vectors:
    """The prototype of an attribute.

    Raises:
        FailedPreconditionError: PROTOTYPE_PENDING.
    """
    try:
        return prototypes.vectors[key]
    except KeyError:
        raise FailedPreconditionError(
            "the prototype of a value that is new is still being computed",
            reason="PROTOTYPE_PENDING",
            remedy="Ask again in a moment.",
        ) from None


def checked_norm(vector: NDArray[np.float64], weights: NDArray[np.float64], why: str = "") -> float:
    """The length of a composition.

    Raises:
        InvalidArgumentError: ZERO_QUERY_VECTOR where it is nothing beside the weights.
    """
    norm = length(vector)
    if norm > NORM_FLOOR * sum(map(abs, weights.tolist())):
        return norm
    raise InvalidArgumentError(
        f"the terms cancel out: their sum is zero{why}",
        reason="ZERO_QUERY_VECTOR",
        field="query",
        remedy="Add a term, or weigh what is subtracted less.",
    )
