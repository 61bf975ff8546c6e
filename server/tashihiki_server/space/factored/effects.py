"""Additive effects: what every value of every facet changes, by least squares."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from tashihiki_server.space.base import Vectors
from tashihiki_server.space.factored.grouping import Codes, Floats, Grouping, add_by_group
from tashihiki_server.space.factored.labels import Labels

# Without the largest facet, which is eliminated; more values are solved by iteration.
DENSE_VALUES = 1500
MAX_ITERATIONS = 300
RESIDUAL = 1e-11
_COLUMNS = 64
_COMBINATIONS = 1024
_SINGULAR = 1e-11

_Operator = Callable[[Floats], Floats]


@dataclass(frozen=True)
class Variances:
    """Where the variance of the items is, every combination counted once, as shares of 1.

    Attributes:
        facets: of each facet's effects; where facets go together they share what they have in
            common, so that one may be below 0.
        interaction: between combinations, but not additive.
        residual: within combinations.
        additive: share of the variance between combinations that the effects explain.
    """

    facets: tuple[float, ...]
    interaction: float
    residual: float
    additive: float


@dataclass(frozen=True)
class Effects:
    """An additive model of the embeddings.

    Attributes:
        mean: (d,), an item whose facets are all at their average.
        values: for each facet, what its values add (values, d); they average 0.
        variances: how much of the data that explains.
    """

    mean: Floats
    values: tuple[Floats, ...]
    variances: Variances

    def residuals(self, embeddings: Vectors | Floats, codes: Codes) -> Floats:
        """What is left of embeddings (n, d) of labels (n, F)."""
        left = embeddings - self.mean
        for facet, values in enumerate(self.values):
            labelled = codes[:, facet] >= 0
            left[labelled] -= values[codes[labelled, facet]]
        return left


@dataclass(frozen=True)
class _Sums:
    """Sums over the combinations' means: all that least squares needs of the embeddings.

    Attributes:
        total: (1, d), of the means.
        totals: for each facet (values, d), of the means of its values' combinations.
        squares: of the lengths of the means.
        item_squares: of the items' lengths, each combination's averaged.
    """

    total: Floats
    totals: tuple[Floats, ...]
    squares: float
    item_squares: float


def additive_effects(embeddings: Vectors, labels: Labels) -> Effects:
    """Regresses the combinations' mean embeddings on the indicators of their values.

    Least squares with every combination weighing the same. Where the effects are not
    identifiable, those of the smallest norm; with more than `DENSE_VALUES` values beside the
    largest facet, of the smallest norm weighted by how many combinations have the value, as far
    as `MAX_ITERATIONS` come to it. They are then centred, and their average goes into the mean.
    A value without members has effect 0.

    Args:
        embeddings: (n, d).
        labels: of the items.
    """
    sums = _combination_sums(embeddings, labels)
    dense = sum(labels.sizes) - max(labels.sizes) <= DENSE_VALUES
    solve = _eliminated if dense else _iterated
    mean, values = solve(labels.combinations, labels.sizes, sums.total, sums.totals)
    variances = _variances(labels, mean, values, sums)
    for facet, effects in enumerate(values):
        present = np.unique(labels.combinations[:, facet])
        present = present[present >= 0]
        if len(present):
            average = effects[present].mean(axis=0)
            effects[present] -= average
            mean = mean + average
    return Effects(mean, tuple(values), variances)


def _counts(combinations: Codes, sizes: Sequence[int], one: int, other: int) -> Floats:
    """How many combinations have a value of one facet and a value of the other."""
    both = combinations[:, [one, other]]
    both = both[(both >= 0).all(axis=1)]
    flat = np.bincount(both[:, 0] * sizes[other] + both[:, 1], minlength=sizes[one] * sizes[other])
    return flat.reshape(sizes[one], sizes[other]).astype(np.float64)


def _margin(combinations: Codes, sizes: Sequence[int], facet: int) -> Floats:
    codes = combinations[:, facet]
    return np.bincount(codes[codes >= 0], minlength=sizes[facet]).astype(np.float64)


def _eliminated(
    combinations: Codes, sizes: Sequence[int], total: Floats, totals: Sequence[Floats]
) -> tuple[Floats, list[Floats]]:
    """The normal equations' minimum-norm solution, by the Schur complement of one facet.

    The largest facet's own indicators are orthogonal, so that only the others' need a
    decomposition; the null space of the complement extends to that of the whole.
    """
    largest = int(np.argmax(sizes))
    kept = [facet for facet in range(len(sizes)) if facet != largest]
    margins = [_margin(combinations, sizes, facet) for facet in range(len(sizes))]
    gram = _gram(combinations, sizes, kept, margins)
    crossing = np.vstack(
        [margins[largest][None]] + [_counts(combinations, sizes, f, largest) for f in kept]
    )
    # A value without members has no equation; its effect stays 0.
    shares = crossing / np.maximum(margins[largest], 1.0)
    right = np.vstack([total, *(totals[f] for f in kept)]) - shares @ totals[largest]
    roots, vectors = np.linalg.eigh(gram - shares @ crossing.T)
    sound = roots > _SINGULAR * max(float(roots.max()), float(gram.max()))
    ours = vectors[:, sound] @ ((vectors[:, sound].T @ right) / roots[sound, None])
    theirs = (totals[largest] - crossing.T @ ours) / np.maximum(margins[largest], 1.0)[:, None]
    null = np.vstack([vectors[:, ~sound], -shares.T @ vectors[:, ~sound]])
    solution = np.vstack([ours, theirs])
    basis, _ = np.linalg.qr(null)
    solution -= basis @ (basis.T @ solution)
    places = np.cumsum([1] + [sizes[f] for f in kept])
    values = dict(zip(kept, np.split(solution[: places[-1]], places[:-1])[1:], strict=True))
    values[largest] = solution[places[-1] :]
    return solution[0], [values[facet] for facet in range(len(sizes))]


def _gram(
    combinations: Codes, sizes: Sequence[int], facets: Sequence[int], margins: Sequence[Floats]
) -> Floats:
    rows = [np.hstack([[[float(len(combinations))]], *(margins[f][None] for f in facets)])]
    for one in facets:
        counts = [_counts(combinations, sizes, one, other) for other in facets]
        rows.append(np.hstack([margins[one][:, None], *counts]))
    return np.vstack(rows)


def _iterated(
    combinations: Codes, sizes: Sequence[int], total: Floats, totals: Sequence[Floats]
) -> tuple[Floats, list[Floats]]:
    """The normal equations' solution by conjugate gradients with Jacobi's preconditioner.

    Source: Golub and Van Loan, Matrix Computations, 4th edition, section 11.5; every column of
    the right-hand side by itself, all at once.
    """
    groupings = [Grouping(combinations[:, f], size) for f, size in enumerate(sizes)]
    scales = [1 / np.sqrt(np.maximum(grouping.sizes, 1)) for grouping in groupings]
    scale = np.concatenate([[1 / np.sqrt(len(combinations))], *scales])[:, None]
    places = np.cumsum([1, *sizes])

    def applied(columns: Floats) -> Floats:
        first, *effects = np.split(scale * columns, places[:-1])
        fitted = np.repeat(first, len(combinations), axis=0)
        for facet, values in enumerate(effects):
            labelled = combinations[:, facet] >= 0
            fitted[labelled] += values[combinations[labelled, facet]]
        sums = [grouping.sums(fitted) for grouping in groupings]
        product: Floats = scale * np.vstack([fitted.sum(axis=0, keepdims=True), *sums])
        return product

    right = scale * np.vstack([total, *totals])
    solution = np.empty_like(right)
    for start in range(0, right.shape[1], _COLUMNS):
        columns = slice(start, start + _COLUMNS)
        solution[:, columns] = scale * _conjugate_gradients(applied, right[:, columns])
    first, *values = np.split(solution, places[:-1])
    return first[0], values


def _conjugate_gradients(applied: _Operator, right: Floats) -> Floats:
    solution = np.zeros_like(right)
    residual = right.copy()
    direction = right.copy()
    power = (residual**2).sum(axis=0)
    goal = RESIDUAL**2 * np.maximum(power, np.finfo(np.float64).tiny)
    for _ in range(MAX_ITERATIONS):
        active = power > goal
        if not active.any():
            break
        image = applied(direction)
        curvature = (direction * image).sum(axis=0)
        step = np.where(active & (curvature > 0), power / np.where(curvature > 0, curvature, 1), 0)
        solution += step * direction
        residual -= step * image
        after = (residual**2).sum(axis=0)
        direction = residual + np.where(active, after / np.where(active, power, 1), 0) * direction
        power = after
    return solution


def _combination_sums(embeddings: Vectors, labels: Labels) -> _Sums:
    dimension = embeddings.shape[1]
    grouping = Grouping(labels.combination, len(labels.combinations))
    total = np.zeros((1, dimension))
    totals = tuple(np.zeros((size, dimension)) for size in labels.sizes)
    squares = 0.0
    for first in range(0, len(grouping.sizes), _COMBINATIONS):
        last = min(first + _COMBINATIONS, len(grouping.sizes))
        means = grouping.sums(embeddings, first, last) / grouping.sizes[first:last, None]
        total += means.sum(axis=0)
        squares += float(np.einsum("md,md->", means, means))
        for facet, sums in enumerate(totals):
            add_by_group(sums, labels.combinations[first:last, facet], means)
    return _Sums(total, totals, squares, _item_squares(embeddings, labels.weights()))


def _item_squares(embeddings: Vectors, weights: Floats) -> float:
    squares = 0.0
    for start in range(0, len(embeddings), _COMBINATIONS):
        piece = embeddings[start : start + _COMBINATIONS].astype(np.float64)
        lengths = np.einsum("nd,nd->n", piece, piece)
        squares += float(weights[start : start + len(piece)] @ lengths)
    return squares


def _variances(labels: Labels, mean: Floats, values: Sequence[Floats], sums: _Sums) -> Variances:
    """The variance's parts, from the normal equations: the fit's scalar products with itself
    are the solution's with the right-hand side."""
    count = len(labels.combinations)
    average = sums.total[0] / count
    parts = []
    fitted = float(mean @ sums.total[0])
    for facet, effects in enumerate(values):
        explained = float((effects * sums.totals[facet]).sum())
        common = _margin(labels.combinations, labels.sizes, facet) @ effects
        parts.append(explained - float(common @ average))
        fitted += explained
    whole = sums.item_squares - count * float(average @ average)
    between = sums.squares - count * float(average @ average)
    # Rounding of sums of this size is no variance.
    rounding = 1e-12 * sums.item_squares
    if not whole > rounding:
        return Variances((0.0,) * len(values), 0.0, 0.0, 1.0)
    interaction = max(0.0, sums.squares - fitted)
    within = max(0.0, sums.item_squares - sums.squares)
    return Variances(
        tuple(part / whole for part in parts),
        interaction / whole,
        within / whole,
        1.0 - interaction / between if between > rounding else 1.0,
    )
