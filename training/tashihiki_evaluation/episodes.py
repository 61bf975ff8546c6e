"""The protocols: what each fits, what it searches, and what it asks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tashihiki_evaluation.catalogue import MISSING, Codes, Indices, Labels
from tashihiki_evaluation.queries import (
    Flags,
    Queries,
    combination_queries,
    difference_queries,
    exchange_queries,
    ignore_queries,
    joined,
    remove_queries,
)
from tashihiki_evaluation.relevance import relevance
from tashihiki_evaluation.splits import halves, latin_square, value_folds, without

PROTOCOLS = ("P0", "P1", "P2", "P3", "P4", "P5")
# Of each task; drawn from the seed and spread evenly over its folds.
MOST_QUERIES = 2000
_CELLS = 4_000_000


@dataclass(frozen=True)
class Task:
    """One table of the report.

    Attributes:
        key: for programs, beginning with the protocol.
        title: for people.
        definition: what is fitted, searched, asked and counted as right.
    """

    key: str
    title: str
    definition: str


_HALVES = "Fitted on one half of the pictures, searched in the other, and the other way round."
_UNSEEN = (
    "Latin-square folds over the combinations of every two facets: fitted on one half without "
    "the held-out combinations, searched in the whole other half."
)
_KEEPS = "Right: the same value of the facet that is not named, and the value asked for."
TASKS = {
    task.key: task
    for task in (
        Task(
            "P0",
            "P0 closed set, in-sample",
            "Fitted on all pictures and searched in the same; one query `f:v + g:w` for each "
            "combination. It says what the space can hold, not what it can do with new pictures.",
        ),
        Task(
            "P1",
            "P1 held-out images",
            f"{_HALVES} One query `f:v + g:w` for each combination in the searched half.",
        ),
        Task(
            "P2",
            "P2 held-out combinations",
            f"{_UNSEEN} One query `f:v + g:w` for each held-out combination there. The headline: "
            "nothing of a combination that is asked for was seen.",
        ),
        Task(
            "P3",
            "P3 new identity from one reference",
            "All pictures of some values of the identity facet are held out of the fit; `this "
            "item + g:w` starts from one of them. Searched in all pictures. Right: the same "
            "identity with g:w.",
        ),
        Task(
            "P4-seen",
            "P4 this item − a + b, target seen",
            f"{_HALVES} `this item − g:a + g:b` for pictures of the searched half, where the "
            f"fitted half shows the target combination. {_KEEPS}",
        ),
        Task("P4-seen-replace", "P4 this item + b, target seen", "The same with `+ g:b` alone."),
        Task(
            "P4-unseen",
            "P4 this item − a + b, target unseen",
            f"{_UNSEEN} `this item − g:a + g:b` where the target combination is held out. {_KEEPS}",
        ),
        Task(
            "P4-unseen-replace", "P4 this item + b, target unseen", "The same with `+ g:b` alone."
        ),
        Task(
            "P5-remove",
            "P5 this item − g:a",
            f"{_HALVES} The value a that the picture shows is subtracted. Right: the same values "
            "of all other facets, and another value of g.",
        ),
        Task(
            "P5-ignore",
            "P5 this item − g",
            f"{_HALVES} The facet g is ignored. Right: the same values of all other facets. Hits "
            "that still show the picture's value of g are no fault; their share is reported "
            "beside the share among all right pictures.",
        ),
        Task(
            "P5-difference",
            "P5 f:v − g:a",
            f"{_HALVES} One query for each combination in the searched half. Right: v without a.",
        ),
    )
}


@dataclass(frozen=True)
class Episode:
    """One fit, one gallery, and the queries of one task.

    Attributes:
        task: key of the task.
        fold: which fit this is, for people.
        fit: positions of the pictures that anything may be learnt from.
        gallery: positions of the pictures that are searched.
        others: positions of the pictures that may be examples of a query, beside the gallery.
        queries: with a base among the gallery, if any.
        refused: how many were left out because the fit cannot know a value of theirs.
    """

    task: str
    fold: str
    fit: Indices
    gallery: Indices
    others: Indices
    queries: Queries
    refused: int


@dataclass(frozen=True)
class Plan:
    """What to evaluate.

    Attributes:
        labels: of all pictures.
        group: (pictures,), of identical ones.
        digests: (pictures,), of their content.
        protocols: names out of PROTOCOLS.
        folds: of Latin squares and of values.
        seed: of every draw.
        identity: the facet whose values are new in P3.
    """

    labels: Labels
    group: Indices
    digests: Sequence[str]
    protocols: Sequence[str]
    folds: int
    seed: int
    identity: int

    def episodes(self) -> Iterator[Episode]:
        """Every fit with its queries; those that share a fit follow each other."""
        every = np.arange(len(self.group))
        if "P0" in self.protocols:
            queries = [combination_queries(self.labels.codes, pair) for pair in self.labels.pairs]
            yield from self._episode("P0", "all", every, every, every[:0], queries, 1)
        yield from self._held_out_images()
        if {"P2", "P4"} & set(self.protocols):
            for pair in self.labels.pairs:
                yield from self._held_out_combinations(pair)
        if "P3" in self.protocols:
            yield from self._new_identities(every)

    def _sides(self) -> list[tuple[Indices, Indices]]:
        side = halves(self.labels.codes, self.group, self.digests, self.seed)
        first, second = np.flatnonzero(side == 0), np.flatnonzero(side == 1)
        return [(first, second), (second, first)]

    def _held_out_images(self) -> Iterator[Episode]:
        codes = self.labels.codes
        for number, (fit, gallery) in enumerate(self._sides()):
            name = f"half {number + 1}"
            found = codes[gallery]
            if "P1" in self.protocols:
                queries = [combination_queries(found, pair) for pair in self.labels.pairs]
                yield from self._episode("P1", name, fit, gallery, fit, queries, 2)
            if "P4" in self.protocols:
                seen = [self._exchanges(gallery, pair, codes[fit]) for pair in self.labels.pairs]
                yield from self._both("P4-seen", name, fit, gallery, fit, seen, 2)
            if "P5" in self.protocols:
                facets = range(codes.shape[1])
                bases = self._drawn(gallery, f"P5 {name}", MOST_QUERIES)
                for task, made in (
                    ("P5-remove", [remove_queries(codes, bases, f) for f in facets]),
                    ("P5-ignore", [ignore_queries(codes, bases, f) for f in facets]),
                    (
                        "P5-difference",
                        [
                            difference_queries(found, *way)
                            for pair in self.labels.pairs
                            for way in (pair, pair[::-1])
                        ],
                    ),
                ):
                    yield from self._episode(task, name, fit, gallery, fit, made, 2)

    def _held_out_combinations(self, pair: tuple[int, int]) -> Iterator[Episode]:
        fold = latin_square(self.labels, pair, self.folds, self.seed)
        names = "+".join(self.labels.names[facet] for facet in pair)
        share = 2 * self.folds * len(self.labels.pairs)
        for number in range(self.folds):
            held = fold == number
            if not held.any():
                continue
            unseen = self.labels.codes[held]
            for side, (half, gallery) in enumerate(self._sides()):
                fit = without(half, held, self.group)
                name = f"{names} fold {number + 1} half {side + 1}"
                if "P2" in self.protocols:
                    asked = combination_queries(self.labels.codes[gallery[held[gallery]]], pair)
                    yield from self._episode("P2", name, fit, gallery, half, [asked], share)
                if "P4" in self.protocols:
                    asked = self._exchanges(gallery, pair, unseen)
                    yield from self._both("P4-unseen", name, fit, gallery, half, [asked], share)

    def _new_identities(self, every: Indices) -> Iterator[Episode]:
        facet, codes = self.identity, self.labels.codes
        fold = value_folds(self.labels, facet, self.folds, self.seed)
        for number in range(self.folds):
            held = fold == number
            fit = without(every, held, self.group)
            # Two values have to stay, or there is nothing to learn about identities from.
            if not held.any() or len(np.unique(codes[fit, facet][codes[fit, facet] >= 0])) < 2:
                continue
            name = f"{self.labels.names[facet]} fold {number + 1}"
            bases = self._drawn(np.flatnonzero(held), f"P3 {name}", MOST_QUERIES)
            queries = [
                exchange_queries(
                    codes, bases, facet, other, len(self.labels.values[other]), subtract=False
                )
                for pair in self.labels.pairs
                for other in pair
                if facet in pair and other != facet
            ]
            yield from self._episode("P3", name, fit, every, every[:0], queries, self.folds)

    def _exchanges(self, gallery: Indices, pair: tuple[int, int], targets: Codes) -> Queries:
        """`this item − a + b` for both facets of a pair, the target among some labels."""
        codes = self.labels.codes
        bases = self._drawn(gallery, f"P4 {pair}", MOST_QUERIES)
        made = joined(
            [
                exchange_queries(
                    codes, bases, kept, changed, len(self.labels.values[changed]), subtract=True
                )
                for kept, changed in (pair, pair[::-1])
            ],
            codes.shape[1],
        )
        wanted = {(row[pair[0]], row[pair[1]]) for row in targets.tolist()}
        asked = made.asked[:, list(pair)].tolist()
        return made.chosen(np.array([tuple(row) in wanted for row in asked], dtype=bool))

    def _both(
        self,
        task: str,
        name: str,
        fit: Indices,
        gallery: Indices,
        others: Indices,
        queries: list[Queries],
        share: int,
    ) -> Iterator[Episode]:
        """`− a + b`, and the same queries with `+ b` alone."""
        for episode in self._episode(task, name, fit, gallery, others, queries, share):
            yield episode
            nothing = np.full_like(episode.queries.subtracted, MISSING)
            alone = Queries(**{**vars(episode.queries), "subtracted": nothing})
            yield Episode(f"{task}-replace", name, fit, gallery, others, alone, episode.refused)

    def _episode(
        self,
        task: str,
        name: str,
        fit: Indices,
        gallery: Indices,
        others: Indices,
        queries: list[Queries],
        share: int,
    ) -> Iterator[Episode]:
        """The episode of those queries that have a right answer and that the fit can know."""
        asked = joined(queries, self.labels.codes.shape[1])
        drawn = self._shuffled(len(asked), f"{task} {name}")
        asked, refused = self._answerable(
            asked.chosen(drawn), fit, gallery, max(1, MOST_QUERIES // share)
        )
        if len(asked) or refused:
            yield Episode(task, name, fit, gallery, others, asked, refused)

    def _answerable(
        self, queries: Queries, fit: Indices, gallery: Indices, most: int
    ) -> tuple[Queries, int]:
        """The first `most` queries that can be answered, and how many before had to be refused."""
        known = self._known(queries, self.labels.codes[fit])
        kept: list[Queries] = []
        count = refused = 0
        step = max(1, _CELLS // max(1, len(gallery)))
        for start in range(0, len(queries), step):
            chunk = queries.chosen(np.arange(start, min(start + step, len(queries))))
            right = relevance(chunk, self.labels.codes[gallery]).right
            right &= ~identical_to_base(chunk, self.group, gallery)
            there = right.any(axis=1)
            ours = known[start : start + step]
            refused += int((there & ~ours).sum())
            kept.append(chunk.chosen(there & ours))
            count += len(kept[-1])
            if count >= most:
                break
        chosen = joined(kept, self.labels.codes.shape[1])
        return chosen.chosen(np.arange(min(most, len(chosen)))), refused

    def _known(self, queries: Queries, fitted: Codes) -> Flags:
        """Whether all that a query names occurs in the fit, with another value beside it."""
        known = np.ones(len(queries), dtype=bool)
        for facet, values in enumerate(self.labels.values):
            seen = np.zeros(len(values) + 1, dtype=bool)
            seen[np.unique(fitted[:, facet])] = True
            seen[MISSING] = True  # Nothing named, nothing to know.
            known &= seen[queries.added[:, facet]] & seen[queries.subtracted[:, facet]]
            named = queries.ignored[:, facet] | (queries.added[:, facet] != MISSING)
            named |= queries.subtracted[:, facet] != MISSING
            known &= ~named | (seen[:-1].sum() >= 2)
        return known

    def _drawn(self, photos: Indices, name: str, most: int) -> Indices:
        return photos[self._shuffled(len(photos), name)[:most]]

    def _shuffled(self, count: int, name: str) -> Indices:
        seed = [self.seed, *name.encode()]
        return np.random.default_rng(seed).permutation(count).astype(np.int64)


def identical_to_base(queries: Queries, group: Indices, gallery: Indices) -> NDArray[np.bool_]:
    """(queries, gallery): whether a picture is the operand or identical to it."""
    base = np.where(queries.base == MISSING, MISSING, group[queries.base])
    same: NDArray[np.bool_] = base[:, None] == group[gallery][None]
    return same
