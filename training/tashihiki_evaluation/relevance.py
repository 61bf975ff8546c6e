"""Which hits are right, and how right."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tashihiki_evaluation.catalogue import MISSING, Codes
from tashihiki_evaluation.queries import Flags, Queries


@dataclass(frozen=True)
class Relevance:
    """Queries against a gallery.

    Attributes:
        missed: (facets, queries, gallery), whether a picture fails what is asked of a facet.
        conditions: (queries,), in how many facets something is asked.
        right: (queries, gallery), whether a picture meets them all.
        grade: (queries, gallery), the share of them that it meets.
        watched: (queries, gallery), whether it shows what the query watches.
    """

    missed: Flags
    conditions: NDArray[np.int64]
    right: Flags
    grade: NDArray[np.float32]
    watched: Flags


def relevance(queries: Queries, codes: Codes) -> Relevance:
    """Judges gallery pictures by their labels (gallery, facets); a missing label meets nothing."""
    missed = np.zeros((codes.shape[1], len(queries), len(codes)), dtype=bool)
    watched = np.zeros((len(queries), len(codes)), dtype=bool)
    for facet, shown in enumerate(codes.T):
        asked, unwanted = queries.asked[:, facet, None], queries.unwanted[:, facet, None]
        missed[facet] = (asked != MISSING) & (shown != asked)
        missed[facet] |= (unwanted != MISSING) & ((shown == unwanted) | (shown == MISSING))
        watch = queries.watched[:, facet, None]
        watched |= (watch != MISSING) & (shown == watch)
    conditions = ((queries.asked != MISSING) | (queries.unwanted != MISSING)).sum(axis=1)
    failures = missed.sum(axis=0, dtype=np.int16)
    grade = (1 - failures / np.maximum(conditions, 1)[:, None]).astype(np.float32)
    return Relevance(missed, conditions, failures == 0, grade, watched)
