"""A page after the first."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tashihiki_server.collection.following import MARGIN, Place, following
from tashihiki_server.collection.nearest import by_similarity
from tashihiki_server.collection.rows import RowsView
from tashihiki_server.query.filter import Mask
from tashihiki_server.service.hits.candidates import reported
from tashihiki_server.service.hits.pages import Head, KeptQuery, Position
from tashihiki_server.service.hits.ranking import Ranking

# Similarities are rounded to 9 digits. An item whose vector has changed is further away than this.
_SAME = 1e-8


@dataclass(frozen=True)
class Page:
    """Hits, and where the next page begins; None where there is none."""

    ranking: Ranking
    following: Position | None


def page_from(
    kept: KeptQuery,
    position: Position,
    view: RowsView,
    mask: Mask | None,
    excluded: Set[str],
    min_similarity: float,
    limit: int,
) -> Page:
    """The hits from a position on: what is left of the head, then the rest by similarity.

    An item that was in the head and still has its vector is nowhere else. What is more similar
    than the head's last and was not in it, because it is newer or an index missed it, comes first
    in the rest.

    Args:
        kept: the query.
        position: where the page begins.
        view: the rows as they are now.
        mask: (rows,), what the filter admits now; None for no filter.
        excluded: ids of items that may not be hits.
        min_similarity: of a hit.
        limit: how many hits.
    """
    composed = kept.query.composed
    allowed = view.alive if mask is None else view.alive & mask
    scores = view.scores(composed.vector)
    places, rows = _still_there(kept.head, view, composed.vector, scores, allowed)
    rest = allowed.copy()
    rest[rows] = False
    ahead = places >= position.shown
    places, rows = places[ahead], rows[ahead]
    head = kept.head
    first = Ranking(rows, head.similarities[places], head.posteriors[places])
    # One more than asked for tells whether there is another page.
    wanted = limit + 1 - len(first)
    hits = first
    if wanted > 0:
        beyond = following(
            view, composed.vector, scores, rest, position.after, wanted + len(excluded)
        )
        admitted = reported(composed, beyond.similarities) >= min_similarity
        ids = view.ids(beyond.rows).tolist()
        admitted &= np.array([identifier not in excluded for identifier in ids], dtype=bool)
        hits = first.followed_by(Ranking.of(beyond).at(np.flatnonzero(admitted)[:wanted]))
    shown = hits.at(slice(limit))
    if len(hits) <= limit:
        return Page(shown, None)
    if limit <= len(first):
        return Page(shown, Position(int(places[limit - 1]) + 1))
    last = Place(float(shown.similarities[-1]), view.id(int(shown.rows[-1])))
    return Page(shown, Position(len(head), last))


def _still_there(
    head: Head,
    view: RowsView,
    vector: NDArray[np.float32],
    scores: NDArray[np.float32],
    allowed: Mask,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The places of the head whose items are as they were, in order, and their rows."""
    near = np.flatnonzero(allowed & (scores >= head.similarities.min(initial=1.0) - MARGIN))
    near, similarities = by_similarity(view, vector, near, len(near))
    now = {
        identifier: (row, similarity)
        for identifier, row, similarity in zip(
            view.ids(near), near.tolist(), similarities.tolist(), strict=True
        )
    }
    places, rows = [], []
    before = zip(head.ids, head.similarities.tolist(), strict=True)
    for place, (identifier, similarity) in enumerate(before):
        row, current = now.get(identifier, (-1, np.inf))
        if abs(current - similarity) <= _SAME:
            places.append(place)
            rows.append(row)
    return np.array(places, dtype=np.int64), np.array(rows, dtype=np.int64)
