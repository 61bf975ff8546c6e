"""Chooses the shrinkage, and how sure posteriors are, on combinations that a fit has not seen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tashihiki_server.space.base import Vectors
from tashihiki_server.space.factored.effects import additive_effects
from tashihiki_server.space.factored.grouping import Codes, Floats
from tashihiki_server.space.factored.labels import Labels, grouped
from tashihiki_server.space.factored.posteriors import (
    DEFAULT_CONCENTRATION,
    HeldOut,
    concentration,
)
from tashihiki_server.space.factored.relevance import facet_scales, standard_scale
from tashihiki_server.space.factored.settings import (
    DEFAULT_SHRINKAGE,
    SHRINKAGES,
    FitSettings,
)
from tashihiki_server.space.factored.shrunk import shrunk
from tashihiki_server.space.factored.subspaces import facet_subspace
from tashihiki_server.space.factored.whitening import Axes, Residuals

FOLDS = 4
# Labels that are held out in all; with fewer the defaults are as good.
MIN_HELD_OUT = 16

_Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Selection:
    """What cross-validation chose.

    Attributes:
        shrinkage: of those of the grid that make held-out labels most likely, the one nearest
            to the default.
        score: its share of right values on held-out items, the mean over the facets, or None
            where too few could be held out.
        concentrations: of the posteriors, by facet.
    """

    shrinkage: float
    score: float | None
    concentrations: tuple[float, ...]


@dataclass(frozen=True)
class _Trial:
    """A facet of a fit without some items, in the coordinates of its axes.

    Attributes:
        axes: in the facet's scaling.
        labels: of the items that were fitted.
        effects: of all facets.
        fitted, held_out: items.
        codes: of the facet, of the items held out.
        weights: of the items held out.
    """

    axes: Axes
    labels: Labels
    effects: list[Floats]
    fitted: Floats
    held_out: Floats
    codes: Codes
    weights: Floats


def select(embeddings: Vectors, labels: Labels, settings: FitSettings) -> Selection:
    """Cross-validates.

    Combinations are held out along the diagonals of a Latin square: a quarter of them at a
    time, and every value is nearly always left with other combinations. Where values would be
    left without any (one facet only, or one that follows from another), items are held out
    instead.

    Args:
        embeddings: (n, d), in an order that does not depend on the caller.
        labels: of the items.
        settings: a given shrinkage is not chosen again, but the rest is measured with it.
    """
    grid = SHRINKAGES if settings.shrinkage is None else (settings.shrinkage,)
    facets = len(labels.sizes)
    found: list[list[list[HeldOut]]] = [[[] for _ in range(facets)] for _ in grid]
    for held_out in _held_out(labels):
        if held_out.all() or not held_out.any():
            continue
        for facet, trial in enumerate(_trials(embeddings, labels, held_out, settings)):
            for place, shrinkage in enumerate(grid):
                found[place][facet].append(_classify(trial, facet, shrinkage, settings))
    if sum(len(one.truth) for of_facet in found[0] for one in of_facet) < MIN_HELD_OUT:
        shrinkage = DEFAULT_SHRINKAGE if settings.shrinkage is None else settings.shrinkage
        return Selection(shrinkage, None, (DEFAULT_CONCENTRATION,) * facets)
    kappas = [[concentration(of_facet) for of_facet in by_facet] for by_facet in found]
    fits = np.array(
        [_fits(by_facet, of_grid) for by_facet, of_grid in zip(found, kappas, strict=True)]
    )
    chosen = _nearest_to_default(grid, fits)
    return Selection(grid[chosen], _accuracy(found[chosen]), tuple(kappas[chosen]))


def _nearest_to_default(grid: Sequence[float], fits: Floats) -> int:
    """Of those that are as good as the best (grid, folds), to one standard error of the
    difference between the folds, the one nearest to the default.

    Source: the rule of Breiman, Friedman, Olshen and Stone, Classification and Regression Trees
    (1984), section 3.4.3.
    """
    behind = fits[fits.mean(axis=1).argmax()] - fits
    error = behind.std(axis=1) / np.sqrt(max(1, fits.shape[1] - 1))
    good = behind.mean(axis=1) <= error
    distance = np.abs(np.log(np.array(grid) / DEFAULT_SHRINKAGE))
    return int(np.argmin(np.where(good, distance, np.inf)))


def _fits(by_facet: Sequence[Sequence[HeldOut]], kappas: Sequence[float]) -> list[float]:
    """Fold by fold, the mean logarithm of true values' posteriors, every facet weighing alike."""
    folds = zip(*by_facet, strict=True)
    return [
        float(
            np.mean(
                [
                    one.log_likelihood(kappa) / float(one.weights.sum())
                    for one, kappa in zip(fold, kappas, strict=True)
                    if len(one.truth)
                ]
                or [0.0]
            )
        )
        for fold in folds
    ]


def _accuracy(by_facet: Sequence[Sequence[HeldOut]]) -> float:
    shares = []
    for of_facet in by_facet:
        weight = sum(float(one.weights.sum()) for one in of_facet)
        if weight:
            shares.append(sum(one.right() for one in of_facet) / weight)
    return float(np.mean(shares))


def _held_out(labels: Labels) -> list[_Mask]:
    diagonals = np.maximum(labels.codes, 0).sum(axis=1) % FOLDS
    if len(labels.sizes) > 1 and _covered(labels, diagonals):
        numbers = diagonals
    else:
        numbers = _dealt(labels.combination)
    return [numbers == fold for fold in range(FOLDS)]


def _covered(labels: Labels, numbers: Codes) -> bool:
    """Whether most labels that are held out have items that are not, in every facet."""
    for facet, size in enumerate(labels.sizes):
        codes = labels.codes[:, facet]
        labelled = codes >= 0
        counts = np.zeros((size, FOLDS), dtype=np.int64)
        np.add.at(counts, (codes[labelled], numbers[labelled]), 1)
        others = counts.sum(axis=1, keepdims=True) - counts
        if 2 * int((counts * (others > 0)).sum()) < int(counts.sum()):
            return False
    return True


def _dealt(groups: Codes) -> Codes:
    """Deals the members of every group out to the folds."""
    order = np.argsort(groups, kind="stable")
    numbers = np.empty(len(groups), dtype=np.int64)
    numbers[order] = np.arange(len(groups)) % FOLDS
    return numbers


def _trials(
    embeddings: Vectors, labels: Labels, held_out: _Mask, settings: FitSettings
) -> Iterator[_Trial]:
    """One for each facet."""
    ours, theirs = labels.subset(~held_out), labels.subset(held_out)
    rows = embeddings[~held_out]
    found = additive_effects(rows, ours)
    residuals = Residuals(rows, ours.codes, found)
    standard = standard_scale(residuals, ours)
    effects = shrunk(found, rows, ours)
    for facet, scale in enumerate(facet_scales(standard, found, ours, settings.relevance)):
        axes = residuals.axes(scale)
        yield _Trial(
            axes,
            ours,
            [values @ axes.matrix for values in effects.values],
            (rows - effects.mean) @ axes.matrix,
            (embeddings[held_out] - effects.mean) @ axes.matrix,
            theirs.codes[:, facet],
            theirs.weights(),
        )


def _classify(trial: _Trial, facet: int, shrinkage: float, settings: FitSettings) -> HeldOut:
    factors = trial.axes.factors(shrinkage)
    effects = [values * factors for values in trial.effects]
    directions = factors[:, None] * facet_subspace(
        facet,
        effects,
        trial.labels,
        separation=settings.separation,
        rank=settings.facet_rank,
    )
    members = grouped(trial.labels, facet)
    present = np.flatnonzero(members.sizes)
    # Means stand in for the medians, which are as good and take far longer.
    prototypes = _units(members.sums(_units(trial.fitted @ directions))[present])
    known = np.isin(trial.codes, present) & (len(present) > 1)
    cosines = _units(trial.held_out[known] @ directions) @ prototypes.T
    return HeldOut(cosines, np.searchsorted(present, trial.codes[known]), trial.weights[known])


def _units(rows: Floats) -> Floats:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    units: Floats = rows / np.where(lengths > 0, lengths, 1.0)
    return units
