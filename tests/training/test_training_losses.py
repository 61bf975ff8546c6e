"""The losses, against hand-written loops."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from tashihiki_training.additive_loss import AdditiveLoss
from tashihiki_training.composition_loss import CompositionLoss, compose
from tashihiki_training.facet_triplets import (
    FacetTripletLoss,
    Triplets,
    consistent_triplets,
    random_triplets,
)

CODES = torch.tensor(
    [[0, 0], [0, 1], [1, 0], [1, 1], [0, 0], [2, 1], [1, -1], [-1, 0], [-1, -1], [2, 2]]
)


def embeddings(count: int = len(CODES), dimension: int = 8) -> Tensor:
    drawn = torch.rand(count, dimension, generator=torch.Generator().manual_seed(3))
    return functional.normalize(drawn)


def shared(left: Tensor, right: Tensor) -> set[int]:
    """The facets in which two pictures have the same value."""
    return {f for f in range(len(left)) if left[f] == right[f] and left[f] >= 0}


def admissible(codes: Tensor, facet: int) -> list[tuple[int, int, int]]:
    """All consistent triplets, by their definition."""
    labelled = [i for i in range(len(codes)) if codes[i, facet] >= 0]
    return [
        (a, p, n)
        for a, p, n in itertools.permutations(labelled, 3)
        if facet in shared(codes[a], codes[p])
        and facet not in shared(codes[a], codes[n])
        and shared(codes[a], codes[n]) <= shared(codes[a], codes[p])
    ]


def as_set(triplets: Triplets) -> set[tuple[int, ...]]:
    return set(zip(*(part.tolist() for part in triplets), strict=True))


@pytest.mark.parametrize("facet", [0, 1])
def test_consistent_triplets_are_those_of_the_definition(facet: int) -> None:
    labelled = CODES[CODES[:, facet] >= 0]
    assert as_set(consistent_triplets(labelled, facet)) == set(admissible(labelled, facet))


def test_the_triplet_loss_equals_a_loop() -> None:
    margin, vectors = 0.3, embeddings()
    means = []
    for facet in range(2):
        violated = []
        for a, p, n in admissible(CODES, facet):
            near, far = math.dist(vectors[a], vectors[p]), math.dist(vectors[a], vectors[n])
            if near - far + margin > 0:
                violated.append(near - far + margin)
        means.append(sum(violated) / len(violated))
    loss = FacetTripletLoss(margin, "consistent")(vectors, CODES)
    assert loss.item() == pytest.approx(sum(means) / 2, rel=1e-4)


@pytest.mark.parametrize("facet", [0, 1])
def test_random_triplets_have_a_positive_and_a_negative_of_the_facet(facet: int) -> None:
    torch.manual_seed(0)
    labels = CODES[CODES[:, facet] >= 0]
    triplets = as_set(random_triplets(labels, facet))
    assert triplets
    for a, p, n in triplets:
        assert a != p
        assert labels[a, facet] == labels[p, facet] != labels[n, facet]


@pytest.mark.parametrize("mining", ["random", "consistent"])
@pytest.mark.parametrize("codes", [[[0], [0], [0]], [[0], [1], [2]], [[-1], [-1], [-1]]])
def test_a_batch_without_triplets_costs_nothing(mining: str, codes: list[list[int]]) -> None:
    vectors = embeddings(3).requires_grad_()
    loss = FacetTripletLoss(0.2, mining)(vectors, torch.tensor(codes))  # type: ignore[arg-type]
    loss.backward()
    assert loss.item() == 0.0


def test_a_missing_label_drops_out_of_its_facet_only() -> None:
    vectors, loss = embeddings(), FacetTripletLoss(0.3, "consistent")
    unlabelled = (CODES < 0).all(1)
    assert loss(vectors, CODES).item() == pytest.approx(
        loss(vectors[~unlabelled], CODES[~unlabelled]).item()
    )


def test_composed_prototypes_are_unit_sums() -> None:
    rows = [functional.normalize(torch.rand(n, 8)) for n in (3, 3)]
    sums = compose(torch.tensor([[2, 0], [1, -1]]), rows)
    torch.testing.assert_close(sums[0], functional.normalize(rows[0][2] + rows[1][0], dim=0))
    torch.testing.assert_close(sums[1], rows[0][1])


def test_the_composition_loss_equals_a_loop() -> None:
    temperature, vectors = 0.2, embeddings()
    prototypes = [embeddings(3), embeddings(3).flip(0)]
    combinations = torch.unique(CODES, dim=0)
    sums = compose(combinations, prototypes)

    def relation(picture: Tensor, combination: Tensor) -> str:
        if torch.equal(picture, combination):
            return "same"
        known = (picture >= 0) & (combination >= 0)
        return "contrary" if bool((picture != combination)[known].any()) else "neither"

    def one_way(rows: Tensor, others: Tensor, relations: list[list[str]]) -> float:
        terms = []
        for row, names in zip(rows, relations, strict=True):
            scores = [math.exp(row @ other / temperature) for other in others]
            total = sum(s for s, n in zip(scores, names, strict=True) if n != "neither")
            same = [s for s, n in zip(scores, names, strict=True) if n == "same"]
            if len(same) and "contrary" in names:
                terms.append(-sum(math.log(s / total) for s in same) / len(same))
        return sum(terms) / len(terms)

    forth = [[relation(p, c) for c in combinations] for p in CODES]
    back = [list(column) for column in zip(*forth, strict=True)]
    expected = (one_way(vectors, sums, forth) + one_way(sums, vectors, back)) / 2
    loss = CompositionLoss(temperature)(vectors, CODES, prototypes)
    assert loss.item() == pytest.approx(expected, rel=1e-3)


def interaction_share(vectors: Tensor, codes: Tensor) -> float:
    """What least squares leave of the combination means, by numpy."""
    rows = [tuple(row) for row in codes.tolist()]
    combinations = sorted(set(rows))
    means = np.array(
        [
            np.mean([v for v, r in zip(vectors.numpy(), rows, strict=True) if r == c], axis=0)
            for c in combinations
        ]
    )
    values = sorted({(f, v) for c in combinations for f, v in enumerate(c) if v >= 0})
    design = np.array([[1.0] + [float(c[f] == v) for f, v in values] for c in combinations])
    left = means - design @ np.linalg.lstsq(design, means, rcond=None)[0]
    return float((left**2).sum() / ((means - means.mean(axis=0)) ** 2).sum())


def test_the_additive_loss_equals_least_squares() -> None:
    codes = torch.randint(-1, 4, (60, 2), generator=torch.Generator().manual_seed(1))
    vectors = embeddings(60)
    loss = AdditiveLoss()(vectors, codes).item()
    assert loss == pytest.approx(interaction_share(vectors, codes), rel=1e-4)
    assert 0.1 < loss < 1
    # Neither the size of the embeddings nor how often a combination is drawn changes it.
    assert AdditiveLoss()(3 * vectors, codes).item() == pytest.approx(loss, rel=1e-4)
    twice = torch.cat([vectors, vectors[:7]]), torch.cat([codes, codes[:7]])
    assert AdditiveLoss()(*twice).item() == pytest.approx(interaction_share(*twice), rel=1e-4)


def test_additive_embeddings_cost_nothing_and_others_can_be_drawn_there() -> None:
    codes = torch.cartesian_prod(torch.arange(4), torch.arange(3))
    effects = torch.rand(4, 8), torch.rand(3, 8)
    vectors = 1 + effects[0][codes[:, 0]] + effects[1][codes[:, 1]]
    assert AdditiveLoss()(vectors, codes).item() < 1e-8
    moved = (vectors + 0.3 * torch.rand(12, 8)).requires_grad_()
    before = AdditiveLoss()(moved, codes)
    before.backward()
    assert moved.grad is not None
    with torch.no_grad():
        assert AdditiveLoss()(moved - moved.grad, codes) < before
    # A single combination has no variance to share out.
    assert AdditiveLoss()(vectors[:1], codes[:1]).item() == 0.0
