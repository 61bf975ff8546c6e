"""Effects of values that few items show, drawn towards their facet's average."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from tashihiki_server.space.base import Vectors
from tashihiki_server.space.factored.effects import Effects
from tashihiki_server.space.factored.grouping import Floats, Grouping
from tashihiki_server.space.factored.labels import Labels

_COMBINATIONS = 1024


@dataclass(frozen=True)
class _Misfit:
    """What the additive model leaves, as sums of squares.

    Attributes:
        within: of items about the mean of their combination.
        between: of these means about the model.
    """

    within: float
    between: float


def shrunk(effects: Effects, embeddings: Vectors, labels: Labels) -> Effects:
    """Effects as far as they can be told from chance.

    The effect of a value that one item shows is mostly that item's own look. Its difference from
    the facet's average is multiplied by t / (t + v), where t is the variance of the facet's
    effects and v that of the estimate: the best linear unbiased predictor of random effects
    (Robinson, "That BLUP is a good thing", Statistical Science 6, 1991), t by the method of
    moments (DerSimonian and Laird, Controlled Clinical Trials 7, 1986). Only proportions matter
    to a facet's directions, so the best-known value keeps its effect, and where all are known
    alike nothing changes. The effects still average 0.

    Args:
        effects: by least squares.
        embeddings: (n, d), what they were found from.
        labels: of these.
    """
    noise = _noise(_misfit(effects, embeddings, labels), labels)
    mean, values = effects.mean, []
    for facet, found in enumerate(effects.values):
        codes = labels.combinations[:, facet]
        labelled = codes >= 0
        times = np.bincount(codes[labelled], minlength=len(found)).astype(np.float64)
        summed = np.bincount(codes[labelled], noise[labelled], minlength=len(found))
        present = np.flatnonzero(times)
        drawn = found.copy()
        if len(present) > 1:
            weights = _weights(
                found[present], times[present], summed[present] / times[present] ** 2
            )
            average = weights @ found[present] / weights.sum()
            drawn[present] = weights[:, None] * (found[present] - average)
            mean = mean + average
        values.append(drawn)
    return replace(effects, mean=mean, values=tuple(values))


def _weights(effects: Floats, times: Floats, noise: Floats) -> Floats:
    """Of a facet's values, 1 for the best known one.

    Args:
        effects: (values, d).
        times: (values,), combinations that have the value.
        noise: (values,), the variance of its estimate.
    """
    count = times.sum()
    apart = effects - times @ effects / count
    spread = times @ np.einsum("vd,vd->v", apart, apart)
    free = times * (1 - times / count)
    variance = max(0.0, float(spread - free @ noise) / float(free.sum()))
    total = variance + noise
    smallest = float(total.min())
    if not smallest > 0:
        return np.ones(len(effects))
    weights: Floats = smallest / total
    return weights


def _noise(misfit: _Misfit, labels: Labels) -> Floats:
    """(m,), the variance of each combination's mean about the additive model."""
    sizes = np.bincount(labels.combination, minlength=len(labels.combinations))
    present = [len(np.unique(codes[codes >= 0])) for codes in labels.combinations.T]
    parameters = 1 + sum(max(0, count - 1) for count in present)
    repeated, free = len(labels.codes) - len(sizes), len(sizes) - parameters
    within = misfit.within / repeated if repeated else 0.0
    own = max(0.0, misfit.between / free - within * float((1 / sizes).mean())) if free > 0 else 0.0
    return own + within / sizes


def _misfit(effects: Effects, embeddings: Vectors, labels: Labels) -> _Misfit:
    grouping = Grouping(labels.combination, len(labels.combinations))
    squares = between = of_means = 0.0
    for first in range(0, len(grouping.sizes), _COMBINATIONS):
        last = min(first + _COMBINATIONS, len(grouping.sizes))
        sizes = grouping.sizes[first:last, None]
        means = grouping.sums(embeddings, first, last) / sizes
        of_means += float((sizes * means**2).sum())
        left = effects.residuals(means, labels.combinations[first:last])
        between += float((left**2).sum())
    for start in range(0, len(embeddings), _COMBINATIONS):
        piece = embeddings[start : start + _COMBINATIONS].astype(np.float64)
        squares += float((piece**2).sum())
    return _Misfit(max(0.0, squares - of_means), between)
