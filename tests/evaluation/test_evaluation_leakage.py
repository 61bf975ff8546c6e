"""Nothing of the searched pictures reaches what was learnt, and chance scores like chance."""

from __future__ import annotations

import numpy as np
import pytest

from evaluation.synthetic import additive, factorial, labelled, plan_of
from tashihiki_evaluation.catalogue import Indices
from tashihiki_evaluation.episodes import PROTOCOLS, Episode, Plan
from tashihiki_evaluation.evaluation import FrozenEncoder, TaskResult, evaluate
from tashihiki_evaluation.queries import combination_queries
from tashihiki_evaluation.query_by_example import Pool, QueryByExample
from tashihiki_evaluation.rows import (
    ADDITIVE,
    BY_EXAMPLE,
    FACTORED,
    MEAN_SUBTRACTED,
    PLAIN,
    RANDOM,
    RERANK,
    ROWS,
    Fitted,
    additive_effects,
    fit_rows,
)
from tashihiki_server.space.base import AttributeTerm, Block, Vectors


def _results(results: list[TaskResult]) -> dict[str, TaskResult]:
    return {result.task.key: result for result in results}


def test_the_factored_space_finds_unseen_combinations_where_the_sum_does_not() -> None:
    labels = factorial((8, 6), 6)
    results = _results(evaluate(plan_of(labels, *PROTOCOLS), FrozenEncoder(additive(labels))))
    assert set(results) == {
        *("P0", "P1", "P2", "P3", "P4-seen", "P4-seen-replace", "P4-unseen"),
        *("P4-unseen-replace", "P5-remove", "P5-ignore", "P5-difference"),
    }
    recall = {row: outcome.right.mean() for row, outcome in results["P2"].outcomes.items()}
    assert set(recall) == set(ROWS)
    assert recall[FACTORED] > 0.95
    assert recall[BY_EXAMPLE] > 0.95
    assert recall[PLAIN] < 0.7
    assert recall[RANDOM] < 0.15
    assert results["P4-unseen-replace"].outcomes[FACTORED].right.mean() > 0.9
    assert results["P5-remove"].outcomes[FACTORED].violation.mean() < 0.05


def test_query_by_example_bounds_nothing() -> None:
    labels = factorial((8, 6), 2)
    vectors = additive(labels, noise=0.2)
    (result,) = evaluate(plan_of(labels, "P2"), FrozenEncoder(vectors))
    # Of every combination one example, which is noise for the most part; of every value many.
    recall = {row: outcome.right.mean() for row, outcome in result.outcomes.items()}
    assert recall[FACTORED] > recall[BY_EXAMPLE] + 0.1


def test_permuted_labels_score_like_chance() -> None:
    labels = factorial((4, 4), 12)
    embeddings = additive(labels)
    shuffled = np.random.default_rng(0).permutation(labels.codes)
    plan = plan_of(labelled(shuffled, (4, 4)), "P2", "P4")
    for result in evaluate(plan, FrozenEncoder(embeddings)):
        for row in (PLAIN, FACTORED, RERANK):
            # One picture in sixteen is right.
            assert result.outcomes[row].right.mean() == pytest.approx(1 / 16, abs=0.13), row


def _fitted(plan: Plan, episode: Episode, vectors: Vectors) -> Fitted:
    parts = episode.fit, episode.gallery, episode.others
    return fit_rows(plan.labels, plan.group, vectors, *parts)


def _numbers(fitted: Fitted, fit: Indices) -> list[Vectors]:
    """All that was learnt: the space, its prototypes, and what is subtracted from embeddings."""
    found: list[Vectors] = []
    for searched in (*fitted.sums.values(), fitted.factored):
        attributes = [AttributeTerm(1.0, key) for key in searched.keys]
        found += [searched.space.compose([attribute]).vector for attribute in attributes]
        found += [searched.space.project(np.eye(48, dtype=np.float32)), searched.operands[fit]]
    return found


def test_pictures_outside_of_the_fit_change_nothing_that_was_learnt() -> None:
    labels = factorial((5, 4), 4)
    plan = plan_of(labels, "P2")
    embeddings = additive(labels)
    for episode in list(plan.episodes())[:3]:
        changed = embeddings.copy()
        outside = np.setdiff1d(np.arange(len(embeddings)), episode.fit)
        changed[outside] = np.roll(embeddings[outside], 1, axis=1)
        before = _numbers(_fitted(plan, episode, embeddings), episode.fit)
        after = _numbers(_fitted(plan, episode, changed), episode.fit)
        assert len(before) == 4 * (9 + 2)
        assert all(map(np.array_equal, before, after))


def test_a_searched_picture_changes_its_own_scores_alone() -> None:
    labels = factorial((5, 4), 4)
    plan = plan_of(labels, "P2")
    embeddings = additive(labels)
    episode = next(plan.episodes())
    changed = embeddings.copy()
    changed[episode.gallery[0]] = np.roll(embeddings[episode.gallery[0]], 1)
    before, after = (
        _fitted(plan, episode, vectors).scores(episode.queries, np.random.default_rng(0))
        for vectors in (embeddings, changed)
    )
    for row in (PLAIN, MEAN_SUBTRACTED, ADDITIVE, FACTORED):
        assert not np.allclose(before[row][:, 0], after[row][:, 0])
        np.testing.assert_allclose(before[row][:, 1:], after[row][:, 1:], atol=1e-6)


def test_the_encoder_is_asked_for_the_fitted_pictures_only() -> None:
    labels = factorial((4, 3), 4)
    vectors = additive(labels)
    plan = plan_of(labels, *PROTOCOLS)
    asked: list[Indices] = []

    class Recording:
        def embeddings(self, fit: Indices) -> Vectors:
            asked.append(fit)
            return vectors

    evaluate(plan, Recording())
    fits = {fit.tobytes() for fit in asked}
    assert fits == {e.fit.tobytes() for e in plan.episodes() if len(e.queries)}
    # A split is few encoders: one for P0, two halves, eight folds of P2, four of P3.
    assert len(asked) == len(fits) == 15


def test_additive_effects_are_those_of_the_model() -> None:
    rng = np.random.default_rng(0)
    labels = factorial((4, 3), 1)
    first, second = rng.standard_normal((4, 5)), rng.standard_normal((3, 5))
    first, second = first - first.mean(axis=0), second - second.mean(axis=0)
    vectors = (2.0 + first[labels.codes[:, 0]] + second[labels.codes[:, 1]]).astype(np.float32)
    # However often a combination occurs.
    photos = np.repeat(np.arange(12), rng.integers(1, 6, 12))
    mean, effects = additive_effects(vectors[photos], labels.codes[photos], [4, 3])
    np.testing.assert_allclose(mean, np.full(5, 2.0), atol=1e-5)
    for truth, found in zip((first, second), effects, strict=True):
        for code, effect in found.items():
            expected = truth[code] / np.linalg.norm(truth[code])
            np.testing.assert_allclose(effect, expected, atol=1e-4)


def test_a_picture_and_its_twins_are_no_examples_for_themselves() -> None:
    rng = np.random.default_rng(0)
    codes = np.array([[0, 0], [0, 0], [0, 0], [0, 0], [1, 1], [1, 1], [0, 1]])
    group = np.array([0, 0, 1, 2, 3, 3, 4])
    vectors = rng.random((7, 6)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    nothing = Pool(vectors[:0], codes[:0], group[:0])
    queries = combination_queries(codes, (0, 1))
    whole = [Block("", 0, 6)]
    scores = QueryByExample(Pool(vectors, codes, group), nothing, whole, ["f0", "f1"]).scores(
        queries
    )
    for photo in range(7):
        rest = [m for m in range(4) if group[m] != group[photo]]
        mean = vectors[rest].sum(axis=0)
        expected = vectors[photo] @ mean / np.linalg.norm(mean)
        assert scores[0, photo] == pytest.approx(expected, abs=1e-5)
    # f0:v0 + f1:v1 and f0:v1 + f1:v1 have no other picture than one and its twin.
    assert np.isnan(scores[1]).all()
    assert np.isnan(scores[2]).all()
    others = Pool(vectors[:3], codes[:3], group[:3] + 10)
    scores = QueryByExample(Pool(vectors, codes, group), others, whole, ["f0", "f1"]).scores(
        queries
    )
    mean = vectors[:3].sum(axis=0)
    np.testing.assert_allclose(scores[0], vectors @ mean / np.linalg.norm(mean), atol=1e-5)
