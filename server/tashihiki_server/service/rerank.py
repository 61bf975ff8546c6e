"""The nearest items in the order of how probably they show what was asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tashihiki_server.collection.collection import State
from tashihiki_server.collection.nearest import Nearest
from tashihiki_server.space.base import AttributeMode, SpaceTerm
from tashihiki_server.space.posterior import best_first, named_attributes

CANDIDATES = 100


@dataclass(frozen=True)
class Ranking:
    """What is returned, in order.

    Attributes:
        found: the rows.
        posteriors: (rows,), in [0, 1]; None where the order is that of the similarities.
    """

    found: Nearest
    posteriors: NDArray[np.float64] | None = None


def reranks(
    state: State, terms: Sequence[SpaceTerm], mode: AttributeMode, choice: bool | None
) -> bool:
    """Whether to rerank: as chosen, or as the space prefers; never without attributes."""
    if choice is None:
        return state.space.ranks_by_agreement(terms, mode)
    return choice and bool(named_attributes(terms))


def reranked(
    state: State, terms: Sequence[SpaceTerm], mode: AttributeMode, found: Nearest, limit: int
) -> Ranking:
    """The first `limit` of the candidates by their agreement with the query.

    Args:
        state: that the candidates were found in.
        terms: of the query.
        mode: of the query.
        found: the candidates, most similar first.
        limit: how many to return.
    """
    agreements = state.space.agreement(terms, mode, state.rows.vectors[found.rows])
    order = best_first(agreements, found.similarities)[:limit]
    first = Nearest(found.rows[order], found.similarities[order], found.exact)
    return Ranking(first, np.exp(agreements[order]))
