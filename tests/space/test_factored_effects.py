"""Additive effects and the variance they explain, against numpy's least squares."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from space.labelled import Codes, Floats, drawn
from tashihiki_server.space.factored import effects as effects_module
from tashihiki_server.space.factored.effects import additive_effects
from tashihiki_server.space.factored.labels import Labels


def least_squares(rows: Floats, codes: Codes, sizes: list[int]) -> tuple[Floats, list[Floats]]:
    """The mean and the centred effects, by the textbook."""
    combinations = np.unique(codes, axis=0)
    means = np.stack([rows[(codes == one).all(axis=1)].mean(axis=0) for one in combinations])
    design = [np.ones((len(combinations), 1))]
    for facet, size in enumerate(sizes):
        design.append((combinations[:, [facet]] == np.arange(size)).astype(float))
    solution = np.linalg.lstsq(np.hstack(design), means, rcond=1e-10)[0]
    mean, *values = np.split(solution, np.cumsum([1, *sizes])[:-1])
    for facet, effects in enumerate(values):
        present = np.isin(np.arange(sizes[facet]), codes[:, facet])
        average = effects[present].mean(axis=0)
        mean = mean + average
        effects[present] -= average
    return mean[0], values


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    sizes=st.lists(st.integers(2, 6), min_size=1, max_size=3),
    count=st.integers(2, 60),
    missing=st.floats(0, 0.5),
)
def test_effects_are_those_of_least_squares(
    seed: int, sizes: list[int], count: int, missing: float
) -> None:
    """Whatever the design: unbalanced, with gaps, not identifiable."""
    random = np.random.default_rng(seed)
    codes = np.stack([random.integers(0, size, count) for size in sizes], axis=1)
    codes[random.random(codes.shape) < missing] = -1
    rows = random.normal(size=(count, 4)).astype(np.float32)
    found = additive_effects(rows, Labels.of(codes, tuple(sizes)))
    mean, values = least_squares(rows.astype(float), codes, sizes)
    if (codes < 0).all(axis=0).any():
        return  # A facet without labels has no average.
    assert_allclose(found.mean, mean, atol=1e-8)
    for ours, theirs in zip(found.values, values, strict=True):
        assert_allclose(ours, theirs, atol=1e-8)


def test_iteration_finds_the_same_effects(monkeypatch: pytest.MonkeyPatch) -> None:
    data = drawn(300, 70, (9, 7, 5), strengths=(1, 1, 1))
    labels = Labels.of(data.labels, (9, 7, 5))
    direct = additive_effects(data.embeddings, labels)
    monkeypatch.setattr(effects_module, "DENSE_VALUES", 0)
    iterated = additive_effects(data.embeddings, labels)
    assert_allclose(iterated.mean, direct.mean, atol=1e-8)
    for ours, theirs in zip(iterated.values, direct.values, strict=True):
        assert_allclose(ours, theirs, atol=1e-8)


def test_additive_data_are_recovered_exactly() -> None:
    random = np.random.default_rng(5)
    # Multiples of 1/64, which single precision holds and adds exactly.
    one, other = (random.integers(-64, 64, (size, 16)) / 64 for size in (4, 3))
    codes = np.array([(a, b) for a in range(4) for b in range(3) if (a, b) != (2, 1)])
    rows = (5 + one[codes[:, 0]] + other[codes[:, 1]]).astype(np.float32)
    found = additive_effects(rows, Labels.of(codes, (4, 3)))
    assert_allclose(found.values[0], one - one.mean(axis=0), atol=1e-12)
    assert_allclose(found.values[1], other - other.mean(axis=0), atol=1e-12)
    assert found.variances.additive == pytest.approx(1)
    assert found.variances.interaction == pytest.approx(0, abs=1e-12)
    assert found.variances.residual == pytest.approx(0, abs=1e-12)


def test_variance_shares_are_those_of_a_two_way_analysis() -> None:
    """A balanced design, whose sums of squares are independent."""
    random = np.random.default_rng(6)
    codes = np.array([(a, b) for a in range(4) for b in range(3) for _ in range(5)])
    rows = random.normal(size=(60, 8)).astype(np.float32) + codes[:, :1]
    variances = additive_effects(rows, Labels.of(codes, (4, 3))).variances
    cells = rows.astype(float).reshape(4, 3, 5, 8)
    whole = ((cells - cells.mean(axis=(0, 1, 2))) ** 2).sum()
    grand = cells.mean(axis=(0, 1, 2))
    first = 15 * ((cells.mean(axis=(1, 2)) - grand) ** 2).sum() / whole
    second = 20 * ((cells.mean(axis=(0, 2)) - grand) ** 2).sum() / whole
    within = ((cells - cells.mean(axis=2, keepdims=True)) ** 2).sum() / whole
    assert_allclose(variances.facets, [first, second], rtol=1e-9)
    assert variances.residual == pytest.approx(within)
    assert variances.interaction == pytest.approx(1 - first - second - within)


def test_pure_interaction_has_no_additive_share() -> None:
    """Exclusive or: no facet alone changes anything."""
    codes = np.array([(a, b) for a in range(2) for b in range(2) for _ in range(3)])
    rows = np.outer(np.where(codes[:, 0] == codes[:, 1], 1.0, -1.0), np.ones(6))
    variances = additive_effects(rows.astype(np.float32), Labels.of(codes, (2, 2))).variances
    assert variances.additive == pytest.approx(0, abs=1e-12)
    assert variances.interaction == pytest.approx(1)
    assert_allclose(variances.facets, 0, atol=1e-12)


def test_shares_sum_to_one_where_facets_go_together() -> None:
    data = drawn(120, 20, (6, 5, 4), strengths=(1, 1, 1))
    labels = data.labels.copy()
    labels[::3, 1] = labels[::3, 0] % 5
    labels[::7, 2] = -1
    variances = additive_effects(data.embeddings, Labels.of(labels, (6, 5, 4))).variances
    assert sum(variances.facets) + variances.interaction + variances.residual == pytest.approx(1)
