"""Whitening: where what the labels do not explain varies alike in every direction."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tashihiki_server.space.base import Vectors
from tashihiki_server.space.factored.effects import Effects
from tashihiki_server.space.factored.grouping import Codes, Floats

# Deviations that are rounding: of the other coordinates' ones, and of the coordinate's average.
_CONSTANT = 1e-6
_ROUNDING = 1e-7
# Of the mean variance: keeps data without residuals from being whitened to infinity.
_VARIANCE_FLOOR = 1e-6
_PIECE = 4096


@dataclass(frozen=True)
class Axes:
    """The principal axes of the residuals, in which whitening is a factor per axis.

    Attributes:
        matrix: (d, r); deviations from the mean times this are coordinates. r is below d
            where there are fewer rows than coordinates: their span is all that is needed.
        variances: (r,) of the residuals along the axes.
        mean_variance: of the residuals over all coordinates that play a part.
        floor: least that is added to the variances.
    """

    matrix: Floats
    variances: Floats
    mean_variance: float
    floor: float

    def factors(self, shrinkage: float) -> Floats:
        """(r,): coordinates times these are whitened.

        The root of the inverse of C + shrinkage * mean(eigenvalues of C) * I.
        """
        added = max(shrinkage * self.mean_variance, self.floor)
        factors: Floats = 1 / np.sqrt(self.variances + added)
        return factors


class Residuals:
    """What the labels do not explain, to be whitened in one scaling after the other.

    Attributes:
        variances: (d,) of the residuals, coordinate by coordinate.
        varies: (d,), the coordinates that are not the same for all items.
    """

    variances: Floats
    varies: NDArray[np.bool_]

    def __init__(self, embeddings: Vectors, codes: Codes, effects: Effects) -> None:
        """Measures them.

        Args:
            embeddings: (n, d).
            codes: (n, F), the labels.
            effects: of the labels' values.
        """
        average = embeddings.mean(axis=0, dtype=np.float64)
        self._deviations = _deviations(embeddings, average)
        typical = float(np.sqrt((self._deviations**2).mean()))
        rounding = np.maximum(_CONSTANT * typical, _ROUNDING * np.abs(average))
        self.varies = self._deviations > rounding
        self._embeddings = embeddings
        # With fewer rows than coordinates the rows are less than their second moment.
        self._few = len(embeddings) <= embeddings.shape[1]
        if self._few:
            self._left = effects.residuals(embeddings, codes)
            self.variances = np.einsum("nd,nd->d", self._left, self._left) / len(embeddings)
        else:
            self._moment = _second_moment(embeddings, codes, effects)
            self.variances = np.diagonal(self._moment).copy()

    def axes(self, scale: Floats) -> Axes:
        """Their principal axes once coordinates are multiplied by scale (d,).

        Coordinates of factor 0 play no part.
        """
        kept = np.flatnonzero(scale)
        factors = scale[kept]
        basis = None
        if self._few:
            # Whatever basis contains the rows will do, so they need not be independent.
            basis, _ = np.linalg.qr((self._embeddings[:, kept] * factors).T)
            left = (self._left[:, kept] * factors) @ basis
            moment = left.T @ left / len(left)
        else:
            moment = factors[:, None] * self._moment[np.ix_(kept, kept)] * factors
        variances, vectors = np.linalg.eigh(moment)
        variances = np.maximum(variances, 0.0)
        count = max(1, len(kept))
        spread = float(((self._deviations[kept] * factors) ** 2).sum()) / count
        matrix = np.zeros((len(scale), len(variances)))
        matrix[kept] = factors[:, None] * (vectors if basis is None else basis @ vectors)
        floor = max(_VARIANCE_FLOOR * spread, 1e-100)
        return Axes(matrix, variances, float(variances.sum()) / count, floor)


def _deviations(embeddings: Vectors, average: Floats) -> Floats:
    """The coordinates' standard deviations (d,)."""
    squares = np.zeros(embeddings.shape[1])
    for start in range(0, len(embeddings), _PIECE):
        piece = embeddings[start : start + _PIECE] - average
        squares += np.einsum("nd,nd->d", piece, piece)
    deviations: Floats = np.sqrt(squares / len(embeddings))
    return deviations


def _second_moment(embeddings: Vectors, codes: Codes, effects: Effects) -> Floats:
    """The residuals' mean outer product (d, d)."""
    moment = np.zeros((embeddings.shape[1],) * 2)
    for start in range(0, len(embeddings), _PIECE):
        rows = slice(start, start + _PIECE)
        # Single precision is half the work, and sums of a few thousand lose little by it.
        single = effects.residuals(embeddings[rows], codes[rows]).astype(np.float32)
        moment += single.T @ single
    moment /= len(embeddings)
    return moment
