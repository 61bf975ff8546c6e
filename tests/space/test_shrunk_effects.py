"""Effects of rare values, against the mixed model's equations and by what they are for."""

from __future__ import annotations

import numpy as np
from numpy.testing import assert_allclose, assert_array_equal

from space.labelled import drawn
from tashihiki_server.space.factored import FactoredSpace, fit_factored
from tashihiki_server.space.factored.effects import additive_effects
from tashihiki_server.space.factored.labels import Labels
from tashihiki_server.space.factored.shrunk import shrunk


def test_where_all_values_are_known_alike_nothing_changes() -> None:
    data = drawn(240, 24, (4, 3))
    every = np.array([(a, b) for a in range(4) for b in range(3)] * 20)
    labels = Labels.of(every, (4, 3))
    effects = additive_effects(data.embeddings, labels)
    found = shrunk(effects, data.embeddings, labels)
    assert_allclose(found.mean, effects.mean, atol=1e-12)
    for ours, theirs in zip(found.values, effects.values, strict=True):
        assert_allclose(ours, theirs, atol=1e-12)


def test_one_facet_is_shrunk_as_the_mixed_model_says() -> None:
    """Items x = m + u_v + e: Henderson's equations, with the variances that the data have."""
    random = np.random.default_rng(3)
    dimension, times = 4000, np.array([1, 2, 5, 20, 60, 60])
    looks = random.normal(size=(len(times), dimension)) * 0.5
    codes = np.repeat(np.arange(len(times)), times)
    rows = (5 + looks[codes] + random.normal(size=(len(codes), dimension))).astype(np.float32)
    labels = Labels.of(codes[:, None], (len(times),))
    found = shrunk(additive_effects(rows, labels), rows, labels).values[0]
    design = np.eye(len(times))[codes]
    # Of a coordinate: the looks vary by .25, the items about them by 1.
    equations = np.block(
        [
            [np.full((1, 1), len(codes)), design.sum(axis=0)[None]],
            [design.sum(axis=0)[:, None], design.T @ design + np.eye(len(times)) / 0.25],
        ]
    )
    right = np.vstack([rows.sum(axis=0), design.T @ rows])
    _, *predicted = np.linalg.solve(equations, right)
    lengths = np.linalg.norm(predicted, axis=1)
    assert_allclose(
        np.linalg.norm(found, axis=1) / np.linalg.norm(found[-1]), lengths / lengths[-1], rtol=0.03
    )
    assert_allclose(found.sum(axis=0), 0, atol=1e-9)


def test_a_value_of_one_item_does_not_hide_what_tells_the_others_apart() -> None:
    data = drawn(600, 400, (2, 6), strengths=(0.1, 1.0), noise=1.0)
    labels = data.labels.copy()
    # One item has a value of its own, and only its own look.
    labels[0, 0] = 2
    space = FactoredSpace(fit_factored(data.embeddings, labels, data.facets))
    block = space.blocks[0]
    seen = space.project(data.embeddings)[1:, block.start : block.stop]
    means = [np.median(seen[labels[1:, 0] == value], axis=0) for value in (0, 1)]
    cosine = means[0] @ means[1] / np.prod([np.linalg.norm(mean) for mean in means])
    assert cosine < 0
    away = np.argsort(seen @ means[0])[:100]
    assert (labels[1:, 0][away] == 1).mean() > 0.9


def test_a_single_value_has_no_effect() -> None:
    data = drawn(30, 8, (1, 3))
    labels = Labels.of(data.labels, (1, 3))
    found = shrunk(additive_effects(data.embeddings, labels), data.embeddings, labels)
    assert_array_equal(found.values[0], 0)
