"""What to label next: items least like anything labelled, spread out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tashihiki_server.deadline import check_deadline
from tashihiki_server.space.base import Vectors

MAX_WORK = 1e11
"""Products of two numbers: some five seconds of one core."""
_CHUNK = 2048
_BATCH = 256

_Numbers = NDArray[np.int64]


class VectorRows(Protocol):
    """What is needed of a gallery."""

    def take(self, rows: _Numbers) -> Vectors:
        """The gallery vectors of rows, (n, d), each of unit length."""
        ...

    def scores(self, vector: Vectors) -> Vectors:
        """The dot products of all rows with a vector (d,), (count,)."""
        ...


@dataclass(frozen=True)
class Suggestions:
    """Rows, the most useful first.

    Attributes:
        rows: (n,).
        similarities: the largest cosine of each to a row that is labelled or comes before it;
            0 where there is none.
    """

    rows: _Numbers
    similarities: NDArray[np.float64]


def farthest_first(
    view: VectorRows,
    candidates: _Numbers,
    labelled: _Numbers,
    limit: int,
    max_work: float = MAX_WORK,
) -> Suggestions:
    """Farthest-first traversal (Gonzalez 1985) that sets out from the labelled rows.

    Each row is the one whose largest cosine to a labelled row, and to the rows chosen before it,
    is the smallest; of equal ones, the first given. Where nothing is labelled, the first is the
    most typical one, nearest to the mean: the one farthest from it is too often a broken picture.

    To compare all candidates with all labelled rows may be much work. So they are compared with
    as many as half of `max_work` allows, evenly drawn, which is a lower bound of the largest
    cosine; then only those that could be the next are compared with all. The result is exact
    unless that takes the other half, too; from there on the drawn ones decide.

    Args:
        view: the vectors of the rows.
        candidates: rows to choose from, (n,).
        labelled: rows that nothing chosen should be like, (m,).
        limit: how many to choose, if there are as many.
        max_work: a bound on the products that comparing with labelled rows may take.

    Raises:
        DeadlineExceededError: DEADLINE_EXCEEDED.
    """
    limit = min(limit, len(candidates))
    if not limit:
        return Suggestions(np.empty(0, dtype=np.int64), np.empty(0))
    nearest = _Nearest(view, candidates, labelled, max_work)
    chosen: list[int] = []
    similarities: list[float] = []
    for _ in range(limit):
        check_deadline()
        if not len(labelled) and not chosen:
            place, similarity = _most_typical(view, candidates), 0.0
        else:
            place, similarity = nearest.least()
        chosen.append(place)
        similarities.append(similarity)
        nearest.choose(place)
    return Suggestions(candidates[chosen], np.clip(np.round(similarities, 6), -1.0, 1.0))


class _Nearest:
    """The largest cosine of each candidate to a labelled or chosen row, or a lower bound."""

    def __init__(
        self, view: VectorRows, candidates: _Numbers, labelled: _Numbers, max_work: float
    ) -> None:
        self._view = view
        self._candidates = candidates
        self._labelled = labelled
        self._similarity = np.full(len(candidates), -np.inf, dtype=np.float32)
        self._open = np.ones(len(candidates), dtype=bool)
        self._exact = np.ones(len(candidates), dtype=bool)
        self._batches = 0
        if not len(labelled):
            return
        dimension = view.take(labelled[:1]).shape[1]
        affordable = int(max_work / 2 / (len(candidates) * dimension))
        drawn = labelled
        if affordable < len(labelled):
            self._exact[:] = False
            drawn = labelled[np.linspace(0, len(labelled) - 1, max(affordable, 1)).astype(int)]
        self._compare(np.arange(len(candidates)), drawn)
        self._batches = int(max_work / 2 / (_BATCH * len(labelled) * dimension))

    def least(self) -> tuple[int, float]:
        """The place of the candidate that is to be chosen, and its similarity."""
        while not self._exact[place := int(self._similarity.argmin())]:
            if not self._batches:
                self._exact[:] = True
                break
            self._batches -= 1
            open_ones = np.flatnonzero(~self._exact & self._open)
            count = min(_BATCH, len(open_ones))
            lowest = np.argpartition(self._similarity[open_ones], count - 1)[:count]
            self._compare(open_ones[lowest], self._labelled)
            self._exact[open_ones[lowest]] = True
        return place, float(self._similarity[place])

    def choose(self, place: int) -> None:
        """Takes a candidate out and compares the others with it."""
        scores = self._view.scores(self._view.take(self._candidates[place : place + 1])[0])
        np.maximum(self._similarity, scores[self._candidates], out=self._similarity)
        self._open[place] = False
        self._similarity[~self._open] = np.inf

    def _compare(self, places: _Numbers, labelled: _Numbers) -> None:
        for start in range(0, len(labelled), _CHUNK):
            others = self._view.take(labelled[start : start + _CHUNK]).T
            for begin in range(0, len(places), _CHUNK):
                check_deadline()
                part = places[begin : begin + _CHUNK]
                cosines = (self._view.take(self._candidates[part]) @ others).max(axis=1)
                self._similarity[part] = np.maximum(self._similarity[part], cosines)


def _most_typical(view: VectorRows, candidates: _Numbers) -> int:
    mean = np.zeros(view.take(candidates[:1]).shape[1], dtype=np.float64)
    for start in range(0, len(candidates), _CHUNK):
        check_deadline()
        mean += view.take(candidates[start : start + _CHUNK]).sum(axis=0, dtype=np.float64)
    return int(view.scores(mean.astype(np.float32))[candidates].argmax())
