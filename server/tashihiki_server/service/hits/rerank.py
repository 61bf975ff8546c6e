"""The nearest items in the order of how probably they show what was asked for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tashihiki_server.collection.collection import State
from tashihiki_server.service.hits.ranking import Ranking
from tashihiki_server.space.base import AttributeMode, Composed, SpaceTerm
from tashihiki_server.space.posterior import best_first, named_attributes

CANDIDATES = 100


def reranks(
    state: State, terms: Sequence[SpaceTerm], mode: AttributeMode, choice: bool | None
) -> bool:
    """Whether to rerank: as chosen, or as the space prefers; never without attributes."""
    if choice is None:
        return state.space.ranks_by_agreement(terms, mode)
    return choice and bool(named_attributes(terms))


def reranked(
    state: State, terms: Sequence[SpaceTerm], composed: Composed, candidates: Ranking
) -> Ranking:
    """The candidates by their agreement with the query.

    Args:
        state: that the candidates were found in.
        terms: of the query.
        composed: the query.
        candidates: most similar first.
    """
    agreements = state.space.agreement(terms, composed, state.rows.take(candidates.rows))
    order = best_first(agreements, candidates.similarities)
    return Ranking(
        candidates.rows[order], candidates.similarities[order], np.exp(agreements[order])
    )
