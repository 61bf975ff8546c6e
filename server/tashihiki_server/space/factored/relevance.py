"""Which coordinates of an embedding tell a facet's values apart."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tashihiki_server.space.factored.effects import Effects
from tashihiki_server.space.factored.grouping import Floats
from tashihiki_server.space.factored.labels import Labels, grouped
from tashihiki_server.space.factored.whitening import Residuals

# Of the largest residual deviation: coordinates that vary less are scaled up no further.
DEVIATION_FLOOR = 1e-3
# Of the largest relevance: a coordinate that shows nothing of a facet may still show what the
# other facets change, which is to be taken out.
RELEVANCE_FLOOR = 1e-3


def standard_scale(residuals: Residuals, labels: Labels) -> Floats:
    """Factors (d,) that give the residuals a standard deviation of 1; 0 for constant coordinates.

    The deviations are unbiased: over the items less the number of fitted parameters.
    """
    parameters = 1 + sum(size - 1 for size in labels.sizes)
    count = len(labels.codes)
    deviations = np.sqrt(residuals.variances * count / max(1, count - parameters))
    varies = residuals.varies
    largest = float(deviations.max(initial=0.0, where=varies))
    # Where labels explain everything, any common scale will do.
    floored = np.maximum(deviations, DEVIATION_FLOOR * largest) if largest > 0 else 1.0
    factors: Floats = np.where(varies, 1 / np.where(varies, floored, 1.0), 0.0)
    return factors


def facet_scales(
    standard: Floats, effects: Effects, labels: Labels, relevance: float
) -> Sequence[Floats]:
    """For each facet, `standard` times (F - 1) ** relevance, coordinate by coordinate.

    F is the ratio of one-way analysis of variance (Fisher, Statistical Methods for Research
    Workers, 1925), of the facet's effects to the residuals: 1 is what chance leaves. F - 1 is a
    share of the largest, and `RELEVANCE_FLOOR` at least. A facet to which no coordinate is
    relevant has them all alike.

    Args:
        standard: from `standard_scale`.
        effects: of the labels.
        labels: of the items.
        relevance: 0 to 1; with 0 all coordinates count alike.
    """
    scales = []
    for facet, values in enumerate(effects.values):
        counts = grouped(labels, facet).sizes
        present = np.count_nonzero(counts)
        between = counts @ (values * standard) ** 2 / max(1, present - 1)
        relevant = np.maximum(between - 1.0, 0.0)
        largest = float(relevant.max(initial=0.0))
        shares = np.maximum(relevant / largest, RELEVANCE_FLOOR) if largest > 0 else 1.0
        scales.append(standard * shares**relevance)
    return scales
