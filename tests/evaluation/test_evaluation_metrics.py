"""The metrics against scikit-learn, against loops, and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, ndcg_score

from evaluation.synthetic import labelled
from tashihiki_evaluation.catalogue import MISSING
from tashihiki_evaluation.metrics import measure
from tashihiki_evaluation.queries import blank, combination_queries, remove_queries
from tashihiki_evaluation.relevance import relevance
from tashihiki_evaluation.statistics import compare, estimate

CODES = np.array([[0, 0], [0, 1], [1, 0], [1, 1], [0, 0], [0, MISSING]])


def test_a_ranking_by_hand() -> None:
    queries = combination_queries(CODES, (0, 1)).chosen(np.array([0]))  # f0:v0 + f1:v0
    scores = np.array([[0.2, 0.9, 0.8, 0.1, 0.5, 0.95]], dtype=np.float32)
    outcome = measure(scores, relevance(queries, CODES))
    # In order: 5 (half right), 1 (half), 2 (half), 4 (right), 0 (right), 3 (wrong).
    assert outcome.hits.tolist() == [[5, 1, 2, 4, 0]]
    assert (outcome.right[0], outcome.among_ten[0], outcome.rank[0]) == (0, 1, 4)
    assert outcome.answer[0] == 4
    assert outcome.precision[0] == pytest.approx((1 / 4 + 2 / 5) / 2)
    discount = 1 / np.log2(np.arange(2, 8))
    best = np.dot([1, 1, 0.5, 0.5, 0.5, 0], discount)
    assert outcome.gain[0] == pytest.approx(np.dot([0.5, 0.5, 0.5, 1, 1, 0], discount) / best)
    assert outcome.missed.tolist() == [[False, True]]  # A missing label meets nothing.


def test_violations_are_counted_in_the_first_ten() -> None:
    codes = np.array([[0, n % 2] for n in range(20)])
    queries = remove_queries(codes, np.array([0]), 1)  # this item − f1:v0
    scores = -np.arange(20, dtype=np.float32)[None]
    scores[0, 0] = -np.inf  # The operand.
    judged = relevance(queries, codes)
    assert judged.right[0].tolist() == [n % 2 == 1 for n in range(20)]
    outcome = measure(scores, judged)
    assert outcome.violation[0] == pytest.approx(5 / 10)
    assert outcome.right[0] == 1


def test_no_hit_at_all_is_wrong() -> None:
    queries = combination_queries(CODES, (0, 1)).chosen(np.array([0]))
    outcome = measure(np.full((1, 6), -np.inf, dtype=np.float32), relevance(queries, CODES))
    assert outcome.hits.tolist() == [[-1] * 5]
    figures = (outcome.right, outcome.among_ten, outcome.precision, outcome.gain, outcome.rank)
    assert [column[0] for column in figures] == [0, 0, 0, 0, 0]


@given(st.integers(0, 10_000), st.integers(2, 40))
def test_metrics_agree_with_scikit_learn(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    codes = rng.integers(-1, 3, (count, 3))
    queries = blank(4, 3, (0, 1))
    queries.asked[:] = codes[rng.integers(0, count, 4)]
    queries.asked[:, 0] = rng.integers(0, 3, 4)
    scores = rng.permutation(4 * count).reshape(4, count).astype(np.float32)
    outcome = measure(scores, relevance(queries, codes))
    for number in range(4):
        asked = queries.asked[number] != MISSING
        met = (codes[:, asked] == queries.asked[number, asked]).mean(axis=1)
        right = met == 1
        order = np.argsort(-scores[number])
        assert outcome.right[number] == right[order[0]]
        assert outcome.among_ten[number] == right[order[:10]].any()
        if right.any():
            expected = average_precision_score(right, scores[number])
            assert outcome.precision[number] == pytest.approx(expected, abs=1e-6)
            assert outcome.rank[number] == np.flatnonzero(right[order])[0] + 1
        if met.any():
            expected = ndcg_score([met], [scores[number]], k=10)
            assert outcome.gain[number] == pytest.approx(expected, abs=1e-6)


def test_the_interval_is_that_of_the_clusters() -> None:
    rng = np.random.default_rng(0)
    means = rng.random(30)
    values = (rng.random((30, 50)) < means[:, None]).astype(np.float64)
    found = estimate(values.ravel(), np.repeat(np.arange(30), 50), 0)
    assert found.value == pytest.approx(values.mean())
    # Clusters of equal size: the mean of their means, with their standard error.
    error = values.mean(axis=1).std() / np.sqrt(30)
    assert found.low == pytest.approx(found.value - 1.96 * error, abs=0.3 * error)
    assert found.high == pytest.approx(found.value + 1.96 * error, abs=0.3 * error)
    # Queries taken singly would pretend to know far more.
    alone = estimate(values.ravel(), np.arange(values.size), 0)
    assert alone.high - alone.low < 0.5 * (found.high - found.low)


def test_the_sign_test_counts_clusters() -> None:
    row = np.array([1.0] * 12 + [0.0, 0.0])
    plain = np.array([0.0] * 12 + [1.0, 0.0])
    found = compare(row, plain, np.repeat(np.arange(7), 2), 0)
    assert (found.wins, found.losses) == (12, 1)
    assert found.difference.value == pytest.approx(11 / 14)
    assert found.p == pytest.approx(2 * (1 + 7) / 2**7)  # Six clusters against one.
    assert compare(row, row, np.arange(14), 0).p == 1.0


def test_queries_read_as_they_are_typed() -> None:
    labels = labelled(CODES, (2, 2))
    assert combination_queries(CODES, (0, 1)).text(0, labels) == "f0:v0 + f1:v0"
    assert remove_queries(CODES, np.array([1]), 0).text(0, labels) == "this item − f0:v0"
