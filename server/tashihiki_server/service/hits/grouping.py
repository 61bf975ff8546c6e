"""At most so many hits of one value."""

from __future__ import annotations

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from tashihiki_server.collection.rows import UNLABELLED, RowsView
from tashihiki_server.query.filter import Mask
from tashihiki_server.service.hits.ranking import Ranking


class Quota:
    """Counts hits by their value of a facet; those without one are not limited."""

    def __init__(self, rows: RowsView, facet: str, most: int) -> None:
        """Nothing chosen yet.

        Args:
            rows: that hits are chosen from.
            facet: folded name.
            most: hits of one value.
        """
        self._codes = rows.labels([facet])[:, 0]
        self._most = most
        self._chosen: Counter[int] = Counter()

    def admits(self, row: int) -> bool:
        """Whether the row's value is not full."""
        code = int(self._codes[row])
        return code == UNLABELLED or self._chosen[code] < self._most

    def choose(self, row: int) -> None:
        """Counts a row in."""
        self._chosen[int(self._codes[row])] += 1

    def open_rows(self) -> Mask:
        """(rows,), those whose value is not full."""
        full = [code for code, chosen in self._chosen.items() if chosen >= self._most]
        return ~np.isin(self._codes, [code for code in full if code != UNLABELLED])


def within_quota(ranking: Ranking, quota: Quota, count: int) -> Ranking:
    """The first `count` rows that the quota admits, which are counted in."""
    places: list[int] = []
    for place, row in enumerate(ranking.rows.tolist()):
        if len(places) == count:
            break
        if quota.admits(row):
            quota.choose(row)
            places.append(place)
    chosen: NDArray[np.int64] = np.array(places, dtype=np.int64)
    return ranking.at(chosen)
