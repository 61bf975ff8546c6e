"""Queries in bulk: what is asked, and what a right answer shows."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from tashihiki_evaluation.catalogue import MISSING, Codes, Indices, Labels

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Queries:
    """Compositions of a picture and attributes, one row for each.

    Attributes:
        base: (queries,), the photo that is an operand, or MISSING.
        added: (queries, facets), values that are added.
        subtracted: (queries, facets), values that are subtracted.
        ignored: (queries, facets), facets that are taken out.
        asked: (queries, facets), values that a right hit shows.
        unwanted: (queries, facets), values instead of which a right hit shows others.
        watched: (queries, facets), values that are counted in the first hits.
        pair: (queries, 2), the facets that the query is about, in ascending order.
    """

    base: Indices
    added: Codes
    subtracted: Codes
    ignored: Flags
    asked: Codes
    unwanted: Codes
    watched: Codes
    pair: Indices

    def __len__(self) -> int:
        return len(self.base)

    def chosen(self, which: Indices | Flags) -> Queries:
        """Some of them, in the order of `which`."""
        return Queries(*(getattr(self, field.name)[which] for field in fields(self)))

    @property
    def target(self) -> Codes:
        """(queries, 2 × facets): equal rows want the same hits, identical operands aside."""
        return np.hstack([self.asked, self.unwanted])

    def text(self, number: int, labels: Labels) -> str:
        """A query as it would be typed."""
        facets = range(len(labels.facets))
        added, taken = (
            [
                f"{sign} {labels.text(f, int(column[number, f]))}"
                for f in facets
                if column[number, f] != MISSING
            ]
            for sign, column in (("+", self.added), ("−", self.subtracted))
        )
        taken += [f"− {labels.names[f]}" for f in facets if self.ignored[number, f]]
        if self.base[number] != MISSING:
            return " ".join(["this item", *taken, *added])
        return " ".join([*added, *taken]).removeprefix("+ ")


def blank(count: int, facets: int, pair: tuple[int, int]) -> Queries:
    """Queries that ask nothing yet."""
    codes = [np.full((count, facets), MISSING, dtype=np.int64) for _ in range(5)]
    return Queries(
        base=np.full(count, MISSING, dtype=np.int64),
        added=codes[0],
        subtracted=codes[1],
        ignored=np.zeros((count, facets), dtype=bool),
        asked=codes[2],
        unwanted=codes[3],
        watched=codes[4],
        pair=np.tile(np.array(sorted(pair), dtype=np.int64), (count, 1)),
    )


def joined(parts: list[Queries], facets: int) -> Queries:
    """All of them, one after the other."""
    parts = parts or [blank(0, facets, (0, 0))]
    return Queries(
        *(np.concatenate([getattr(p, field.name) for p in parts]) for field in fields(Queries))
    )


def combination_queries(codes: Codes, pair: tuple[int, int]) -> Queries:
    """`f:v + g:w`, one for each combination of the pair that the photos (photos, facets) show."""
    both = codes[:, list(pair)]
    present = np.unique(both[(both != MISSING).all(axis=1)], axis=0)
    queries = blank(len(present), codes.shape[1], pair)
    queries.added[:, list(pair)] = present
    queries.asked[:, list(pair)] = present
    return queries


def exchange_queries(
    codes: Codes, bases: Indices, kept: int, changed: int, values: int, *, subtract: bool
) -> Queries:
    """`this item − g:a + g:b`, or only `this item + g:b`; right is what keeps f and shows g:b.

    Args:
        codes: (photos, facets).
        bases: photos that are changed; those without a label of both facets are left out.
        kept: the facet f.
        changed: the facet g.
        values: how many values g has; every other one than the photo's is asked for.
        subtract: whether the photo's own value a is subtracted.
    """
    bases = bases[(codes[bases][:, [kept, changed]] != MISSING).all(axis=1)]
    base = np.repeat(bases, values)
    target = np.tile(np.arange(values), len(bases))
    other = codes[base, changed] != target
    base, target = base[other], target[other]
    queries = blank(len(base), codes.shape[1], (kept, changed))
    queries.base[:] = base
    queries.added[:, changed] = target
    queries.asked[:, kept] = codes[base, kept]
    queries.asked[:, changed] = target
    queries.watched[:, changed] = codes[base, changed]
    if subtract:
        queries.subtracted[:, changed] = codes[base, changed]
    return queries


def ignore_queries(codes: Codes, bases: Indices, facet: int) -> Queries:
    """`this item − g`: right is what shows the same in all other facets that it has."""
    queries = _of_the_rest(codes, bases, facet)
    queries.ignored[:, facet] = True
    queries.watched[:, facet] = codes[queries.base, facet]
    return queries


def remove_queries(codes: Codes, bases: Indices, facet: int) -> Queries:
    """`this item − g:a`: right is what shows the same elsewhere, and another value of g."""
    queries = _of_the_rest(codes, bases, facet)
    own = codes[queries.base, facet]
    queries.subtracted[:, facet] = own
    queries.unwanted[:, facet] = own
    queries.watched[:, facet] = own
    return queries


def difference_queries(codes: Codes, kept: int, removed: int) -> Queries:
    """`f:v − g:a` for combinations that occur: right is what shows v, and another value of g."""
    queries = combination_queries(codes, (kept, removed))
    unwanted = queries.added[:, removed].copy()
    queries.added[:, removed] = MISSING
    queries.asked[:, removed] = MISSING
    for column in (queries.subtracted, queries.unwanted, queries.watched):
        column[:, removed] = unwanted
    return queries


def _of_the_rest(codes: Codes, bases: Indices, facet: int) -> Queries:
    known = codes[bases] != MISSING
    bases = bases[known[:, facet] & (known.sum(axis=1) >= 2)]
    queries = blank(len(bases), codes.shape[1], (facet, facet))
    queries.base[:] = bases
    queries.asked[:] = codes[bases]
    queries.asked[:, facet] = MISSING
    return queries
