"""Fits: the blocks against brute force, and what may not change them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from space.labelled import Floats, Labelled, drawn, first_hits, fitted, probabilities, prototypes
from space.test_factored_effects import least_squares
from tashihiki.errors import FailedPreconditionError, InvalidArgumentError
from tashihiki_server.space.base import AttributeTerm, Vectors
from tashihiki_server.space.factored import FactoredFit, FactoredSpace, FitSettings, fit_factored
from tashihiki_server.space.factored.effects import additive_effects
from tashihiki_server.space.factored.labels import Labels
from tashihiki_server.space.factored.shrunk import shrunk
from tashihiki_server.space.prototype import Prototypes
from tashihiki_server.space.sum import SumSpace
from tashihiki_server.vocabulary import AttributeKey

HARD = FitSettings(separation=float("inf"), shrinkage=0.5)


def fit_of(data: Labelled, settings: FitSettings | None = None) -> FactoredFit:
    return fit_factored(data.embeddings, data.labels, data.facets, settings or FitSettings())


def products(fit: FactoredFit, embeddings: Vectors) -> list[Floats]:
    """The scalar products of embeddings block by block, which no choice of axes changes."""
    space = FactoredSpace(fit)
    vectors = space.project(embeddings).astype(np.float64)
    return [vectors[:, b.start : b.stop] @ vectors[:, b.start : b.stop].T for b in space.blocks]


def metrics(fit: FactoredFit) -> list[Floats]:
    """M Mᵀ of every block's matrix M, which no choice of axes changes."""
    blocks = [fit.matrix[:, b.start : b.stop].astype(np.float64) for b in fit.blocks]
    return [block @ block.T for block in blocks]


def by_the_book(data: Labelled, chosen: FitSettings) -> list[Floats]:
    """The same by definition, with explicit inverses and projections.

    But for the drawing in of rare values, which `test_shrunk_effects` is about.
    """
    rows = data.embeddings.astype(np.float64)
    sizes = [int(column.max()) + 1 for column in data.labels.T]
    mean, values = least_squares(rows, data.labels, sizes)
    left = rows - mean - sum(e[data.labels[:, f]] for f, e in enumerate(values))
    variances = (left**2).sum(axis=0) / (len(rows) - 1 - sum(size - 1 for size in sizes))
    labels = Labels.of(data.labels, tuple(sizes))
    drawn_in = shrunk(additive_effects(data.embeddings, labels), data.embeddings, labels).values
    result = []
    for facet in range(len(values)):
        counts = np.bincount(data.labels[:, facet])
        ratios = (counts[:, None] * values[facet] ** 2).sum(axis=0) / (sizes[facet] - 1) / variances
        relevant = np.maximum(ratios - 1, 1e-3 * (ratios.max() - 1)) / (ratios.max() - 1)
        scale = relevant**chosen.relevance / np.sqrt(variances)
        whiten = whitening(left * scale, chosen)
        own, other = (drawn_in[f] * scale @ whiten for f in (facet, 1 - facet))
        result.append(scale[:, None] * (whiten @ apart(own, other)))
    scale = 1 / np.sqrt(variances)
    whiten = whitening(left * scale, chosen)
    white = [effects * scale @ whiten for effects in drawn_in]
    taken = np.hstack([apart(white[0], white[1]), apart(white[1], white[0])])
    out = np.eye(len(taken)) - taken @ np.linalg.pinv(taken)
    _, _, directions = np.linalg.svd(left * scale @ whiten @ out, full_matrices=False)
    rank = min(chosen.rest_rank, rows.shape[1] - taken.shape[1])
    result.append(scale[:, None] * whiten @ directions[:rank].T)
    return [block @ block.T for block in result]


def whitening(left: Floats, chosen: FitSettings) -> Floats:
    """The symmetric root of the inverse of the shrunk covariance."""
    assert chosen.shrinkage is not None
    covariance = left.T @ left / len(left)
    covariance += chosen.shrinkage * np.trace(covariance) / len(covariance) * np.eye(left.shape[1])
    roots, vectors = np.linalg.eigh(covariance)
    found: Floats = vectors / np.sqrt(roots) @ vectors.T
    return found


def apart(own: Floats, other: Floats) -> Floats:
    """The directions of a facet's effects once the other facet's span is projected out."""
    alone = own - own @ np.linalg.pinv(other, rcond=1e-8) @ other
    _, _, directions = np.linalg.svd(alone)
    found: Floats = directions[: len(own) - 1].T
    return found


@pytest.mark.parametrize("relevance", [0.0, 0.5])
@pytest.mark.parametrize(("count", "dimension"), [(300, 24), (40, 64)])
def test_blocks_are_those_of_the_definition(relevance: float, count: int, dimension: int) -> None:
    """With more items than coordinates and with fewer."""
    data = drawn(count, dimension, (4, 3), noise=0.3)
    chosen = replace(HARD, relevance=relevance, rest_rank=6)
    found = metrics(fit_of(data, chosen))
    for ours, theirs in zip(found, by_the_book(data, chosen), strict=True):
        assert_allclose(ours / np.abs(theirs).max(), theirs / np.abs(theirs).max(), atol=2e-4)


def specialised() -> Labelled:
    """Half of the coordinates show one facet and are noise to the other; then the reverse."""
    random = np.random.default_rng(12)
    labels = np.stack([random.integers(0, size, 400) for size in (6, 5)], axis=1)
    rows = random.normal(scale=1.2, size=(400, 200))
    rows[:, :15] += random.normal(size=(6, 15))[labels[:, 0]]
    rows[:, 15:30] += random.normal(size=(5, 15))[labels[:, 1]]
    return Labelled(rows.astype(np.float32), labels, ("one", "other"))


def test_a_block_listens_to_the_coordinates_that_tell_its_values_apart() -> None:
    data = specialised()
    fitting, unseen = data.only(np.arange(200)), data.only(np.arange(200, 400))
    asked = np.unique(unseen.labels, axis=0)
    shares = []
    for relevance in (0.0, 0.5):
        space = fitted(fitting, FitSettings(relevance=relevance, shrinkage=1.0))
        shares.append(first_hits(space, unseen, asked))
        energies = (space.fit.matrix[:, : space.blocks[0].stop] ** 2).sum(axis=1)
    assert energies[:15].sum() > 5 * energies[15:].sum()
    assert shares[1] > shares[0] + 0.1


def test_a_facet_to_which_nothing_is_relevant_still_has_a_block() -> None:
    random = np.random.default_rng(13)
    labels = np.stack([np.arange(40) % 2, np.arange(40) // 2 % 2], axis=1)
    rows = random.normal(size=(40, 8))
    # Effects of nothing at all but rounding.
    for facet in (0, 1):
        for code in (0, 1):
            members = labels[:, facet] == code
            rows[members] -= rows[members].mean(axis=0) * 0.999
    fit = fit_factored(rows.astype(np.float32), labels, ("a", "b"))
    assert fit.ranks == (1, 1)
    assert np.isfinite(fit.matrix).all()


def test_with_infinite_separation_no_block_sees_the_other_facets_effects() -> None:
    data = drawn(300, 24, (4, 3), noise=0.3)
    fit = fit_of(data, HARD)
    _, values = least_squares(data.embeddings.astype(float), data.labels, [4, 3])
    for facet, block in enumerate(fit.blocks[:2]):
        matrix = fit.matrix[:, block.start : block.stop]
        own, other = (np.abs(values[f] @ matrix).max() for f in (facet, 1 - facet))
        assert other < 1e-4 * own


def test_more_separation_leaves_less_of_the_other_facets() -> None:
    data = drawn(300, 24, (4, 3), strengths=(3.0, 0.3), noise=0.3)
    _, values = least_squares(data.embeddings.astype(float), data.labels, [4, 3])
    leaks = []
    for separation in (0.0, 1.0, 100.0):
        fit = fit_of(data, replace(HARD, separation=separation))
        matrix = fit.matrix[:, fit.blocks[1].start : fit.blocks[1].stop]
        leaks.append(np.linalg.norm(values[0] @ matrix) / np.linalg.norm(values[1] @ matrix))
    assert leaks[0] > leaks[1] > leaks[2]


@pytest.mark.parametrize("count", [30, 300])
def test_the_order_of_the_items_changes_nothing(count: int) -> None:
    data = drawn(count, 40, noise=0.3)
    shuffled = data.only(np.random.default_rng(1).permutation(count))
    assert fit_of(data).identity == fit_of(shuffled).identity
    assert fit_of(data).diagnostics == fit_of(shuffled).diagnostics


def test_the_numbers_of_the_values_change_nothing() -> None:
    data = drawn(300, 24, noise=0.3)
    names = np.array([[70, 3, 11, 500, 2], [8, 1, 900, 4, 0]])
    renamed = np.stack([names[f][data.labels[:, f]] for f in (0, 1)], axis=1)
    other = replace(data, labels=renamed)
    assert fit_of(data).identity == fit_of(other).identity


def test_the_order_of_the_facets_changes_nothing_but_the_order_of_the_blocks() -> None:
    data = drawn(300, 24, noise=0.3)
    turned = Labelled(data.embeddings, data.labels[:, ::-1].copy(), data.facets[::-1])
    one, other = products(fit_of(data), data.embeddings), products(fit_of(turned), data.embeddings)
    for ours, theirs in zip(one, [other[1], other[0], other[2]], strict=True):
        assert_allclose(ours, theirs, atol=1e-4)


def test_items_without_labels_and_other_items_play_no_part() -> None:
    data = drawn(200, 24, noise=0.3)
    labels = data.labels.copy()
    labels[150:] = -1
    changed = data.embeddings.copy()
    changed[150:] += 1
    one = fit_factored(data.embeddings, labels, data.facets)
    assert one.identity == fit_factored(changed, labels, data.facets).identity
    assert one.identity == fit_of(data.only(np.arange(150))).identity
    assert one.diagnostics.items == 150


def held_out_combinations(data: Labelled) -> tuple[Labelled, Labelled]:
    diagonal = data.labels.sum(axis=1) % 4 == 1
    return data.only(~diagonal), data.only(diagonal)


def test_unseen_combinations_are_found_where_the_plain_sum_fails() -> None:
    """A large shared mean, and one facet far stronger than the other."""
    data = drawn(1200, 64, (8, 6), strengths=(0.6, 0.15), noise=0.08, mean=2.0)
    units = data.embeddings / np.linalg.norm(data.embeddings, axis=1, keepdims=True)
    data = replace(data, embeddings=units.astype(np.float32))
    fitting, unseen = held_out_combinations(data)
    asked = np.unique(unseen.labels, axis=0)
    factored = fitted(fitting)
    plain = SumSpace(64, Prototypes())
    plain = plain.with_prototypes(prototypes(plain, fitting))
    assert first_hits(factored, data, asked) >= 0.95
    assert first_hits(plain, data, asked) <= 0.6


def test_permuted_labels_find_no_better_than_chance() -> None:
    data = drawn(800, 32, (5, 4))
    random = np.random.default_rng(3)
    permuted = np.stack([random.permutation(column) for column in data.labels.T], axis=1)
    half = np.arange(800) < 400
    space = fitted(replace(data, labels=permuted).only(half))
    truth = data.only(~half)
    keys = list(space.prototypes.vectors)[:5]
    found = probabilities(space, space.project(truth.embeddings), keys)
    right = float((found.argmax(axis=1) == truth.labels[:, 0]).mean())
    assert abs(right - 1 / 5) < 0.12
    score = fit_of(replace(data, labels=permuted)).diagnostics.score
    assert score is not None
    assert score == pytest.approx((1 / 5 + 1 / 4) / 2, abs=0.08)


def test_missing_labels_drop_out() -> None:
    data = drawn(600, 32, (5, 4), noise=0.2)
    labels = data.labels.copy()
    gaps = np.random.default_rng(4).random(labels.shape) < 0.3
    labels[gaps] = -1
    fitting, unseen = (
        replace(data, labels=labels).only(np.arange(400)),
        data.only(np.arange(400, 600)),
    )
    space = fitted(fitting)
    assert first_hits(space, unseen, np.unique(unseen.labels, axis=0)) >= 0.8


def nested() -> Labelled:
    """Kinds that belong to one category each, and an independent colour."""
    data = drawn(600, 48, (12, 4), strengths=(1.0, 0.7), noise=0.2)
    labels = np.column_stack([data.labels[:, 0] // 4, data.labels])
    rows = data.embeddings + np.random.default_rng(9).normal(size=(3, 48))[labels[:, 0]]
    return Labelled(rows.astype(np.float32), labels, ("category", "kind", "colour"))


@pytest.mark.parametrize("separation", [10.0, float("inf")])
def test_nested_facets_keep_blocks_that_tell_all_their_values_apart(separation: float) -> None:
    data = nested()
    space = fitted(data.only(np.arange(300)), FitSettings(separation=separation))
    theirs = data.only(np.arange(300, 600))
    vectors = space.project(theirs.embeddings)
    for facet, name in enumerate(data.facets):
        keys = sorted(
            (k for k in space.prototypes.vectors if k.facet == name),
            key=lambda key: key.code,
        )
        found = probabilities(space, vectors, keys).argmax(axis=1)
        assert (found == theirs.labels[:, facet]).mean() > 0.95


def test_two_names_for_one_facet_both_work() -> None:
    data = drawn(300, 24, (4, 3), noise=0.2)
    twice = Labelled(data.embeddings, data.labels[:, [0, 0, 1]], ("a", "b", "c"))
    for separation in (10.0, float("inf")):
        fit = fit_of(twice, FitSettings(separation=separation))
        assert fit.ranks == (3, 3, 2)


def test_a_facet_of_one_value_or_none_has_no_block() -> None:
    data = drawn(100, 16, (3, 2))
    labels = np.column_stack([data.labels, np.zeros(100, int), np.full(100, -1)])
    fit = fit_factored(data.embeddings, labels, ("a", "b", "single", "empty"))
    assert fit.facets == ("a", "b")
    assert fit.without_contrast == ("single",)
    assert fit.values == {"a": 3, "b": 2, "single": 1, "empty": 0}


def test_values_whose_items_are_the_same_have_no_contrast() -> None:
    data = drawn(100, 16, (3, 2))
    rows = np.vstack([data.embeddings, data.embeddings[:1], data.embeddings[:1]])
    labels = np.column_stack(
        [np.vstack([data.labels, data.labels[:1], data.labels[:1]]), [-1] * 102]
    )
    labels[-2:, 2] = (0, 1)
    fit = fit_factored(rows, labels, ("a", "b", "same"))
    assert fit.facets == ("a", "b")
    assert fit.without_contrast == ("same",)
    values = [AttributeKey("same", code) for code in (0, 1)]
    space = FactoredSpace(
        fit, Prototypes(dict.fromkeys(values, np.zeros(fit.blocks[-1].stop, np.float32)))
    )
    with pytest.raises(FailedPreconditionError) as caught:
        space.compose([AttributeTerm(1.0, values[0])])
    assert caught.value.reason == "FACET_WITHOUT_CONTRAST"


def test_a_facet_labelled_on_two_items_has_a_block() -> None:
    data = drawn(100, 16, (3, 2))
    labels = np.column_stack([data.labels, np.full(100, -1)])
    labels[3, 2], labels[4, 2] = 0, 1
    fit = fit_factored(data.embeddings, labels, ("a", "b", "rare"))
    assert fit.ranks == (2, 1, 1)
    assert np.isfinite(fit.matrix).all()


@pytest.mark.parametrize(
    ("labels", "rows"),
    [
        (np.zeros((6, 1), int), np.eye(6)),
        (np.full((6, 1), -1), np.eye(6)),
        (np.arange(6)[:, None] % 2, np.full((6, 6), 0.3)),
        (np.zeros((0, 1), int), np.zeros((0, 6))),
    ],
    ids=["one value", "no label", "equal embeddings", "no item"],
)
def test_nothing_to_fit_is_an_error(labels: Floats, rows: Floats) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        fit_factored(rows.astype(np.float32), labels.astype(np.int64), ("a",))
    assert caught.value.reason == "SPACE_UNFITTED"


def test_what_does_not_go_together_is_refused() -> None:
    data = drawn(20, 8, (2, 2))
    broken = data.embeddings.copy()
    broken[3, 2] = np.nan
    for rows, labels, facets, reason in [
        (broken, data.labels, data.facets, "VECTOR_INVALID"),
        (data.embeddings[:10], data.labels, data.facets, "SETTING_INVALID"),
        (data.embeddings, data.labels, ("a",), "SETTING_INVALID"),
        (data.embeddings, data.labels, ("a", "a"), "SETTING_INVALID"),
    ]:
        with pytest.raises(InvalidArgumentError) as caught:
            fit_factored(rows, labels, facets)
        assert caught.value.reason == reason
    for wrong in ({"shrinkage": 0.0}, {"relevance": 2.0}, {"rest_weight": -1.0}):
        with pytest.raises(InvalidArgumentError):
            FitSettings(**wrong)  # type: ignore[arg-type]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(
    seed=st.integers(0, 2**32 - 1),
    count=st.integers(2, 24),
    dimension=st.integers(2, 40),
    sizes=st.lists(st.integers(1, 6), min_size=1, max_size=3),
    distinct=st.integers(1, 24),
    constant=st.integers(0, 3),
    relevance=st.sampled_from([0.0, 0.5]),
    separation=st.sampled_from([0.0, 10.0, float("inf")]),
)
def test_small_and_degenerate_data_never_yield_nan(
    seed: int,
    count: int,
    dimension: int,
    sizes: list[int],
    distinct: int,
    constant: int,
    relevance: float,
    separation: float,
) -> None:
    random = np.random.default_rng(seed)
    rows = np.abs(random.normal(size=(distinct, dimension)))[random.integers(0, distinct, count)]
    rows[:, :constant] = 0.5
    labels = np.stack([random.integers(-1, size, count) for size in sizes], axis=1)
    facets = [f"f{number}" for number in range(len(sizes))]
    chosen = FitSettings(relevance=relevance, separation=separation)
    data = rows.astype(np.float32)
    try:
        fit = fit_factored(data, labels, facets, chosen)
    except InvalidArgumentError:
        # Right only where items of different values are all the same.
        assume(False)
    vectors = FactoredSpace(fit).project(data)
    assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    for block in fit.blocks:
        lengths = np.linalg.norm(vectors[:, block.start : block.stop], axis=1)
        assert_allclose(lengths, 1 / np.sqrt(len(fit.blocks)), atol=1e-5)
    assert set(fit.facets) | set(fit.without_contrast) >= {
        f for n, f in enumerate(facets) if len(set(labels[:, n]) - {-1}) > 1
    }
    shares = fit.diagnostics
    total = sum(f.variance_share for f in shares.facets)
    assert total + shares.interaction_share + shares.residual_share == pytest.approx(1, abs=1e-5)


def test_facets_of_ten_thousand_values_can_be_fitted() -> None:
    random = np.random.default_rng(8)
    labels = random.integers(0, 10_000, (20_000, 2))
    one, other = random.normal(size=(2, 10_000, 16))
    rows = (one[labels[:, 0]] + other[labels[:, 1]]).astype(np.float32)
    found = additive_effects(rows, Labels.of(labels, (10_000, 10_000)))
    largest = np.bincount(labels[:, 0]).argmax()
    assert np.corrcoef(found.values[0][largest], one[largest])[0, 1] > 0.999
    fit = fit_factored(rows, labels, ("a", "b"), FitSettings(shrinkage=1.0))
    assert sum(fit.ranks) <= 8
    assert np.isfinite(fit.matrix).all()


def test_the_blocks_leave_most_of_the_space_alone() -> None:
    data = drawn(800, 32, (40, 3), strengths=(1, 1))
    fit = fit_of(data)
    assert sum(fit.ranks) <= 16
    assert fit.ranks[1] == 2
    wide = fit_of(drawn(400, 256, (100, 3), strengths=(1, 1)))
    assert wide.ranks == (64, 2)


def test_diagnostics_tell_what_was_fitted() -> None:
    data = drawn(400, 32, (5, 4), noise=0.2)
    found = fit_of(data).diagnostics
    assert (found.items, found.combinations, found.rest_rank) == (400, 20, 25)
    assert [(f.facet, f.values, f.items, f.rank) for f in found.facets] == [
        ("facet0", 5, 400, 4),
        ("facet1", 4, 400, 3),
    ]
    assert found.facets[0].variance_share > 3 * found.facets[1].variance_share
    assert found.additive_r2 > 0.97
    assert found.score is not None
    assert found.score > 0.9
    (angle,) = found.angles
    assert (angle.first, angle.second) == ("facet0", "facet1")
    assert 30 < angle.degrees <= 90


def test_few_items_are_fitted_by_the_defaults() -> None:
    data = drawn(8, 16, (2, 2))
    found = fit_of(data).diagnostics
    assert found.score is None
    assert found.shrinkage == 1.0
