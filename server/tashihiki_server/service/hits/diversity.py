"""Hits that differ from each other: maximal marginal relevance (Carbonell and Goldstein 1998)."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from tashihiki_server.collection.rows import RowsView
from tashihiki_server.deadline import check_deadline
from tashihiki_server.service.hits.grouping import Quota
from tashihiki_server.service.hits.ranking import Ranking

# Of scores: what differs by less is the work of rounding.
_DIGITS = 9


def diverse(
    pools: Iterable[Ranking],
    rows: RowsView,
    scale: float,
    balance: float,
    limit: int,
    quota: Quota | None,
) -> Ranking:
    """Chooses up to `limit` rows that are similar to the query and not to each other.

    Each next one has the largest `balance` times its similarity less `1 - balance` times its
    largest cosine to one chosen before; of equal ones, the first in the pool.

    Args:
        pools: candidates, most similar first; the next pool is for when the quota admits no more
            of those before.
        rows: the state's.
        scale: similarities are cosines to the query times this.
        balance: in (0, 1].
        limit: how many to choose.
        quota: what it does not admit is passed over.
    """
    chosen: Ranking | None = None
    for pool in pools:
        count = limit - (0 if chosen is None else len(chosen))
        before = None if chosen is None else rows.take(chosen.rows).astype(np.float64)
        part = _from_pool(pool, before, rows, scale, balance, count, quota)
        chosen = part if chosen is None else chosen.followed_by(part)
        if len(chosen) == limit:
            break
    assert chosen is not None
    return chosen


def _from_pool(
    pool: Ranking,
    before: NDArray[np.float64] | None,
    rows: RowsView,
    scale: float,
    balance: float,
    count: int,
    quota: Quota | None,
) -> Ranking:
    vectors = rows.take(pool.rows).astype(np.float64)
    relevance = balance * np.clip(scale * pool.similarities, -1.0, 1.0)
    likeness = None if before is None else (vectors @ before.T).max(axis=1, initial=-1.0)
    open_places = np.ones(len(pool), dtype=bool)
    places: list[int] = []
    while len(places) < count and open_places.any():
        check_deadline()
        scores = relevance if likeness is None else relevance - (1.0 - balance) * likeness
        place = int(np.where(open_places, np.round(scores, _DIGITS), -np.inf).argmax())
        open_places[place] = False
        row = int(pool.rows[place])
        if quota is not None:
            if not quota.admits(row):
                continue
            quota.choose(row)
        places.append(place)
        cosines = vectors @ vectors[place]
        likeness = cosines if likeness is None else np.maximum(likeness, cosines)
    return pool.at(np.array(places, dtype=np.int64))
