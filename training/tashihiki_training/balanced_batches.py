"""Batches in which combinations of values are equally frequent."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from tashihiki_training.labels import MISSING, Codes, combinations

Indices = NDArray[np.int64]


def balanced_batches(
    codes: Codes, batch: int, rng: Generator, dropout: float = 0.0
) -> Iterator[Indices]:
    """Draws as many pictures as there are, in batches.

    Pictures that are labelled for the same facets form a kind, such as faces and items in a
    common training. Every kind takes the share of each batch that it has of all pictures;
    within a kind, combinations of values take turns, and so do the pictures of a combination.

    Args:
        codes: (pictures, facets).
        batch: pictures in each.
        rng: of all draws.
        dropout: the share of each kind's combinations that is left out.

    Yields:
        Positions of pictures; the last batch may be short.
    """
    _, kind = combinations((codes != MISSING).astype(np.int64))
    streams = [_turns(np.flatnonzero(kind == k), codes, rng, dropout) for k in np.unique(kind)]
    # The n-th of a kind's N draws belongs near n/N of the epoch: kinds interleave evenly.
    places = [(np.arange(len(s)) + rng.random(len(s))) / len(s) for s in streams]
    drawn = np.concatenate(streams)[np.argsort(np.concatenate(places), kind="stable")]
    for start in range(0, len(drawn), batch):
        yield drawn[start : start + batch]


def _turns(members: Indices, codes: Codes, rng: Generator, dropout: float) -> Indices:
    """As many draws as members: rounds over the combinations, each round in a new order."""
    unique, combination = combinations(codes[members])
    kept = rng.permutation(len(unique))[: max(1, round(len(unique) * (1 - dropout)))]
    queues = {c: rng.permutation(members[combination == c]) for c in kept}
    rounds = -(-len(members) // len(kept))
    order = [(c, r) for r in range(rounds) for c in rng.permutation(kept)]
    drawn = [queues[c][r % len(queues[c])] for c, r in order[: len(members)]]
    return np.array(drawn, dtype=np.int64)
