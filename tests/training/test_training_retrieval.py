"""Prototypes and the figures that are reported."""

from __future__ import annotations

import numpy as np
import pytest

from tashihiki_training.factored_search import fit_search
from tashihiki_training.labels import Codes
from tashihiki_training.prototypes import Vectors, prototypes, unit
from tashihiki_training.retrieval import (
    Gallery,
    bootstrap_interval,
    pair_queries,
    retrieve,
    single_queries,
)

# Facet 0 lives on the first two axes, facet 1 on the last two: sums are exact.
EMBEDDINGS = np.array(
    [[1, 0, 1, 0], [1, 0, 0, 1], [0, 1, 1, 0], [0, 1, 0, 1], [1, 0, 1, 0]], dtype=np.float32
) / np.float32(np.sqrt(2))
CODES: Codes = np.array([[0, 0], [0, 1], [1, 0], [1, 1], [0, -1]], dtype=np.int64)


def test_a_prototype_is_the_normalised_median_of_its_members() -> None:
    known = prototypes(EMBEDDINGS, CODES, [2, 3])
    members = np.median(EMBEDDINGS[[0, 1, 4]], axis=0)
    np.testing.assert_allclose(known.facets[0][0], members / np.linalg.norm(members), rtol=1e-6)
    assert not known.facets[1][2].any()
    assert not known.knows(np.array([0, 2]))


def test_every_combination_of_two_values_is_asked_for_once() -> None:
    assert pair_queries(CODES).tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]
    assert single_queries(CODES, 1).tolist() == [[-1, 0], [-1, 1]]
    three = np.array([[0, 1, 2], [0, 1, 3], [0, -1, -1]])
    assert pair_queries(three).tolist() == [
        *([0, 1, -1], [0, -1, 2], [0, -1, 3], [-1, 1, 2], [-1, 1, 3])
    ]
    assert pair_queries(CODES[:, :1]).shape == (0, 1)


def test_sums_find_their_pictures() -> None:
    known = prototypes(EMBEDDINGS, CODES, [2, 2])
    outcome = retrieve(pair_queries(CODES), known, Gallery(EMBEDDINGS[:4], CODES[:4]))
    assert outcome.recall_at_1 == 1.0
    assert outcome.mean_average_precision == 1.0
    unseen = outcome.unseen(np.array([[0, 0], [1, -1], [-1, 0], [0, 1]]))
    assert outcome.of(unseen).queries.tolist() == [[1, 0], [1, 1]]


def additive(codes: Codes, dimension: int = 40) -> Vectors:
    """A common mean, one strong facet and one weak one, and noise."""
    rng = np.random.default_rng(0)
    vectors = 1.0 + 0.02 * rng.standard_normal((len(codes), dimension))
    for facet, strength in enumerate((0.4, 0.1)):
        effects = strength * rng.standard_normal((codes[:, facet].max() + 1, dimension))
        vectors += effects[codes[:, facet]]
    return unit(np.maximum(vectors, 0).astype(np.float32))


def test_the_factored_space_finds_combinations_that_it_was_not_fitted_on() -> None:
    grid = np.stack(np.meshgrid(np.arange(8), np.arange(6), indexing="ij"), -1).reshape(-1, 2)
    codes: Codes = np.repeat(grid, 4, axis=0).astype(np.int64)
    vectors = additive(codes)
    held = codes.sum(axis=1) % 8 == 0
    search = fit_search(vectors[~held], codes[~held], ("a", "b"))
    assert search is not None
    queries = pair_queries(codes[held])
    found = retrieve(queries, search, Gallery(search.project(vectors), codes))
    assert found.unseen(codes[~held]).all()
    assert found.recall_at_1 == 1.0
    summed = prototypes(vectors[~held], codes[~held], [8, 6])
    assert retrieve(queries, summed, Gallery(vectors, codes)).recall_at_1 < 0.7
    assert not search.knows(np.array([8, 0]))


def test_one_facet_with_values_to_tell_apart_makes_no_factored_search() -> None:
    assert fit_search(EMBEDDINGS, CODES[:, :1], ("a",)) is None
    same = np.zeros_like(CODES)
    assert fit_search(EMBEDDINGS, same, ("a", "b")) is None
    same[:, 0] = CODES[:, 0]
    assert fit_search(EMBEDDINGS, same, ("a", "b")) is None


def test_average_precision_of_a_known_ranking() -> None:
    known = prototypes(np.eye(2, dtype=np.float32), np.array([[0], [1]]), [2])
    rows = np.array([[0.9, 0], [0.8, 0], [0.7, 0], [0.6, 0]], dtype=np.float32)
    gallery = Gallery(rows, np.array([[1], [0], [1], [0]]))
    outcome = retrieve(np.array([[0]]), known, gallery)
    assert outcome.right.tolist() == [False]
    assert outcome.precision.tolist() == pytest.approx([(1 / 2 + 2 / 4) / 2])


def test_the_interval_holds_the_mean_and_narrows_with_more_queries() -> None:
    rng = np.random.default_rng(0)
    few = np.array([True] * 7 + [False] * 3)
    low, high = bootstrap_interval(few, rng)
    assert low < 0.7 < high
    lower, higher = bootstrap_interval(np.tile(few, 50), rng)
    assert higher - lower < high - low
    assert bootstrap_interval(np.ones(5, dtype=bool), rng) == (1.0, 1.0)
