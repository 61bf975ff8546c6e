"""Carries a plan out: every episode, every row, every query."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tashihiki_evaluation.catalogue import Indices
from tashihiki_evaluation.episodes import TASKS, Episode, Plan, Task, identical_to_base
from tashihiki_evaluation.metrics import Outcome, concatenated, measure
from tashihiki_evaluation.queries import Queries
from tashihiki_evaluation.relevance import relevance
from tashihiki_evaluation.rows import FACTORED, RERANK, ROWS, Fitted, fit_rows
from tashihiki_server.space.base import Vectors

# Scores of so many pictures at once: what all rows need then stays within some 100 MB.
_CELLS = 500_000


class EmbeddingSource(Protocol):
    """Where embeddings come from; an encoder may have to be trained for each split."""

    def embeddings(self, fit: Indices) -> Vectors:
        """All pictures' embeddings (pictures, d), by an encoder that saw only those in `fit`."""
        ...


@dataclass(frozen=True)
class FrozenEncoder:
    """An encoder that is there already and learns nothing here.

    Attributes:
        vectors: (pictures, d).
    """

    vectors: Vectors

    def embeddings(self, fit: Indices) -> Vectors:
        """The same for every split."""
        return self.vectors


@dataclass(frozen=True)
class TaskResult:
    """What came of a task, all its folds together.

    Attributes:
        task: that was carried out.
        queries: in the order of all other columns.
        folds: (queries,), the fold of each.
        outcomes: row → outcome; hits are positions in the catalogue.
        answered: row → (queries,), whether the row could be measured at all.
        chance: (queries,), the share of right pictures that show what the query watches.
        refused: how many queries named what their fit could not know.
    """

    task: Task
    queries: Queries
    folds: NDArray[np.str_]
    outcomes: dict[str, Outcome]
    answered: dict[str, NDArray[np.bool_]]
    chance: NDArray[np.float64]
    refused: int

    @property
    def clusters(self) -> Indices:
        """(queries,): queries with equal numbers want the same."""
        _, number = np.unique(self.queries.target, axis=0, return_inverse=True)
        clusters: Indices = number.reshape(-1).astype(np.int64)
        return clusters


@dataclass(frozen=True)
class _Part:
    episode: Episode
    outcomes: dict[str, Outcome]
    answered: dict[str, NDArray[np.bool_]]
    chance: NDArray[np.float64]


def evaluate(
    plan: Plan,
    source: EmbeddingSource,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[TaskResult]:
    """All tasks of a plan that have queries, in the order of TASKS.

    Args:
        plan: what to do.
        source: of the embeddings.
        progress: told how many queries are done, of how many.
    """
    episodes = list(plan.episodes())
    total = sum(len(episode.queries) for episode in episodes)
    parts: dict[str, list[_Part]] = {}
    fitted: Fitted | None = None
    last: Episode | None = None
    done = 0
    for episode in episodes:
        if not len(episode.queries):
            parts.setdefault(episode.task, []).append(_Part(episode, {}, {}, np.zeros(0)))
            continue
        if fitted is None or last is None or not _same_fit(episode, last):
            embeddings = source.embeddings(episode.fit)
            fitted = fit_rows(
                plan.labels, plan.group, embeddings, episode.fit, episode.gallery, episode.others
            )
            last = episode
        advanced = partial(_advanced, progress, done, total)
        parts.setdefault(episode.task, []).append(_carry_out(episode, plan, fitted, advanced))
        done += len(episode.queries)
    return [_gathered(TASKS[key], parts[key]) for key in TASKS if _asked(parts.get(key))]


def fits(plan: Plan) -> list[Indices]:
    """The different sets of pictures that anything is learnt from, in their order."""
    found: dict[bytes, Indices] = {}
    for episode in plan.episodes():
        if len(episode.queries):
            found.setdefault(episode.fit.tobytes(), episode.fit)
    return list(found.values())


def _advanced(progress: Callable[[int, int], None], before: int, total: int, count: int) -> None:
    progress(before + count, total)


def _same_fit(one: Episode, other: Episode) -> bool:
    return all(
        np.array_equal(getattr(one, part), getattr(other, part))
        for part in ("fit", "gallery", "others")
    )


def _asked(parts: list[_Part] | None) -> bool:
    return any(len(part.episode.queries) for part in parts or [])


def _carry_out(
    episode: Episode, plan: Plan, fitted: Fitted, advanced: Callable[[int], None]
) -> _Part:
    rng = np.random.default_rng([plan.seed, *f"{episode.task} {episode.fold}".encode()])
    outcomes: dict[str, list[Outcome]] = {row: [] for row in ROWS}
    answered: dict[str, list[NDArray[np.bool_]]] = {row: [] for row in ROWS}
    chance: list[NDArray[np.float64]] = []
    codes = plan.labels.codes[episode.gallery]
    step = max(1, _CELLS // len(episode.gallery))
    for start in range(0, len(episode.queries), step):
        chunk = episode.queries.chosen(np.arange(start, min(start + step, len(episode.queries))))
        judged = relevance(chunk, codes)
        barred = identical_to_base(chunk, plan.group, episode.gallery)
        right = judged.right & ~barred
        chance.append((right & judged.watched).sum(axis=1) / np.maximum(right.sum(axis=1), 1))
        scores = fitted.scores(chunk, rng)
        for found in scores.values():
            found[barred] = -np.inf
        scores[RERANK] = fitted.reranked(chunk, scores[FACTORED])
        for row in ROWS:
            whole = ~np.any(np.isnan(scores[row]), axis=1)
            outcome = measure(np.where(whole[:, None], scores[row], -np.inf), judged)
            outcomes[row].append(_in_the_catalogue(outcome, episode.gallery))
            answered[row].append(whole)
        advanced(start + len(chunk))
    return _Part(
        episode,
        {row: concatenated(columns) for row, columns in outcomes.items()},
        {row: np.concatenate(columns) for row, columns in answered.items()},
        np.concatenate(chance),
    )


def _in_the_catalogue(outcome: Outcome, gallery: Indices) -> Outcome:
    def places(positions: Indices) -> Indices:
        return np.where(positions < 0, -1, gallery[positions])

    moved = {"hits": places(outcome.hits), "answer": places(outcome.answer)}
    return Outcome(**{**vars(outcome), **moved})


def _gathered(task: Task, parts: list[_Part]) -> TaskResult:
    asked = [part for part in parts if len(part.episode.queries)]
    return TaskResult(
        task=task,
        queries=concatenated([part.episode.queries for part in asked]),
        folds=np.repeat(
            [part.episode.fold for part in asked], [len(part.episode.queries) for part in asked]
        ),
        outcomes={row: concatenated([part.outcomes[row] for part in asked]) for row in ROWS},
        answered={row: np.concatenate([part.answered[row] for part in asked]) for row in ROWS},
        chance=np.concatenate([part.chance for part in asked]),
        refused=sum(part.episode.refused for part in parts),
    )
