"""Retrieval metrics, for many queries at once.

In numpy, since the metrics are a few lines on the matrix of scores that is there already, and
the libraries for them (ranx, torchmetrics) take queries one by one or need numba or torch.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from tashihiki_evaluation.relevance import Relevance

FIRST = 10
SHOWN = 5
_Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Outcome:
    """How queries fared, one entry for each; nothing found counts as wrong.

    Attributes:
        right: 1 where the first hit is right.
        among_ten: 1 where any of the first ten is right.
        precision: average precision of the whole ranking.
        gain: nDCG@10; the gain of a hit is the share of conditions that it meets.
        violation: the share of the first ten that show what the query watches.
        hits: (queries, SHOWN), positions of the first hits, −1 where there are fewer.
        answer: position of the first right hit, −1 without one.
        rank: of the first right hit from 1 on, 0 without one.
        missed: (queries, facets), whether the first hit fails what is asked of a facet.
    """

    right: _Floats
    among_ten: _Floats
    precision: _Floats
    gain: _Floats
    violation: _Floats
    hits: NDArray[np.int64]
    answer: NDArray[np.int64]
    rank: NDArray[np.int64]
    missed: NDArray[np.bool_]


def measure(scores: NDArray[np.float32], judged: Relevance) -> Outcome:
    """Ranks the gallery for each query, best first; ties stay in the gallery's order.

    Args:
        scores: (queries, gallery), −inf for what cannot be a hit.
        judged: the same queries against the same gallery.
    """
    hits = np.isfinite(scores)
    order = np.argsort(-scores, axis=1, kind="stable")
    top = order[:, :FIRST]
    shown = np.take_along_axis(hits, top, axis=1)
    right = np.take_along_axis(judged.right & hits, order, axis=1)
    queries = np.arange(len(scores))
    best, any_right = right.argmax(axis=1), right.any(axis=1)
    first_hits = np.full((len(scores), SHOWN), -1, dtype=np.int64)
    width = min(SHOWN, top.shape[1])
    first_hits[:, :width] = np.where(shown, top, -1)[:, :width]
    return Outcome(
        right=right[:, 0].astype(np.float64),
        among_ten=np.any(right[:, :FIRST], axis=1).astype(np.float64),
        precision=average_precision(right),
        gain=_gain(judged.grade, hits, top, shown),
        violation=(np.take_along_axis(judged.watched, top, axis=1) & shown).sum(axis=1)
        / np.maximum(shown.sum(axis=1), 1),
        hits=first_hits,
        answer=np.where(any_right, order[queries, best], -1),
        rank=np.where(any_right, best + 1, 0),
        missed=judged.missed[:, queries, order[:, 0]].T,
    )


def average_precision(ranked: NDArray[np.bool_]) -> _Floats:
    """The mean, over the right hits of each ranking (queries, hits), of the precision there.

    Manning, Raghavan, Schütze, Introduction to Information Retrieval, 8.4. A ranking without
    right hits has 0.
    """
    found = np.cumsum(ranked, axis=1, dtype=np.int32)
    positions = np.arange(1, ranked.shape[1] + 1, dtype=np.float32)
    total = ((found / positions) * ranked).sum(axis=1, dtype=np.float64)
    average: _Floats = total / np.maximum(ranked.sum(axis=1), 1)
    return average


def _gain(
    grade: NDArray[np.float32],
    hits: NDArray[np.bool_],
    top: NDArray[np.int64],
    shown: NDArray[np.bool_],
) -> _Floats:
    """nDCG@10 with linear gains; Järvelin and Kekäläinen, TOIS 20 (2002)."""
    discount = 1 / np.log2(np.arange(2, FIRST + 2))
    width = top.shape[1]
    got = (np.take_along_axis(grade, top, axis=1) * shown) @ discount[:width]
    possible = np.where(hits, grade, 0.0)
    if possible.shape[1] > width:
        possible = -np.partition(-possible, width - 1, axis=1)[:, :width]
    best = -np.sort(-possible, axis=1) @ discount[:width]
    gain: _Floats = got / np.maximum(best, 1e-12)
    return gain


_Columns = TypeVar("_Columns")


def concatenated(parts: list[_Columns]) -> _Columns:
    """Records of columns, one after the other."""
    kind = type(parts[0])
    names = [field.name for field in fields(kind)]  # type: ignore[arg-type]
    return kind(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))
