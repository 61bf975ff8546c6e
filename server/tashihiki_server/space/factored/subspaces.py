"""Every facet's own directions, and those of the rest."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tashihiki_server.space.factored.grouping import Floats
from tashihiki_server.space.factored.labels import Labels

# Of the energy of a facet's effects: where avoiding the other facets leaves less, the facet
# keeps its directions as they are.
ENERGY_FLOOR = 1e-3
# Mean square of whitened effects below which the values do not differ.
_NO_CONTRAST = 1e-9
# Of the largest variance: what is below is rounding.
_NOTHING = 1e-10


def facet_subspace(
    facet: int, effects: Sequence[Floats], labels: Labels, *, separation: float, rank: int
) -> Floats:
    """The directions (r, rank) that tell a facet's values apart.

    In the whitened space they are those along which the facet's effects vary most against
    I + separation * the other facets' scatter (a generalised eigenvalue problem, as in Fisher's
    discriminant analysis); with infinite separation, the facet's effects once the spans of the
    others' are projected out. A facet from which another one follows is not held against it,
    nor the other way round: what they share belongs to both. The rank is at most the number of
    values less one, and 0 where the values do not differ.

    Args:
        facet: its number.
        effects: of each facet's values in the whitened space (values, r).
        labels: to find which facets follow from others.
        separation: 0 to infinity.
        rank: most directions.
    """
    others = [
        other for other in range(len(effects)) if other != facet and not labels.nested(facet, other)
    ]
    # All that follows happens in the span of the effects, which is small.
    _, basis = principal(np.vstack([effects[facet], *(effects[other] for other in others)]))
    values = effects[facet] @ basis
    energies, own = principal(values)
    if float(energies.sum()) < _NO_CONTRAST * len(values):
        return basis[:, :0]
    avoid = _avoidance([effects[other] @ basis for other in others], separation)
    variances, directions = principal(values if avoid is None else values @ avoid)
    if avoid is not None:
        if variances.sum() < ENERGY_FLOOR * energies.sum():
            variances, directions = energies, own
        else:
            directions = avoid @ directions
    count = min(_present(labels, facet) - 1, rank, len(variances))
    return basis @ directions[:, : max(count, 0)]


def within_budget(spaces: Sequence[Floats], budget: int) -> list[Floats]:
    """The first directions of each facet, `budget` in all; each keeps one at least."""
    shares = _shared(tuple(directions.shape[1] for directions in spaces), budget)
    return [directions[:, :share] for directions, share in zip(spaces, shares, strict=True)]


def _present(labels: Labels, facet: int) -> int:
    codes = labels.combinations[:, facet]
    return len(np.unique(codes[codes >= 0]))


def _avoidance(others: Sequence[Floats], separation: float) -> Floats | None:
    """(I + separation * scatter)^(-1/2) of the other facets; None where it is the identity."""
    if not others or separation == 0:
        return None
    if np.isinf(separation):
        _, basis = principal(np.hstack([principal(values)[1] for values in others]).T)
        projector: Floats = np.eye(len(basis)) - basis @ basis.T
        return projector
    rows = np.vstack([values / np.sqrt(len(values)) for values in others])
    variances, directions = principal(rows)
    shrunk = 1 / np.sqrt(1 + separation * variances) - 1
    avoid: Floats = np.eye(len(directions)) + (directions * shrunk) @ directions.T
    return avoid


def _shared(wanted: Sequence[int], budget: int) -> list[int]:
    """Hands the budget out evenly; what one does not want goes to the others."""
    shares = [min(1, want) for want in wanted]
    while sum(shares) < min(budget, sum(wanted)):
        hungry = [facet for facet, want in enumerate(wanted) if shares[facet] < want]
        shares[min(hungry, key=lambda facet: (shares[facet], wanted[facet], facet))] += 1
    return shares


def rest_subspace(variances: Floats, facets: Sequence[Floats], rank: int) -> Floats:
    """The directions (r, rank) of most variance that are orthogonal to all facets' ones.

    Args:
        variances: (r,) of the whitened residuals along the axes.
        facets: the facets' directions (r, ...).
        rank: most directions.
    """
    taken, _ = np.linalg.qr(np.hstack(facets))
    # P diag(v) P, P = I - taken taken^T.
    weighted = variances[:, None] * taken
    crossed = weighted @ taken.T
    left = np.diag(variances) - crossed - crossed.T + taken @ (taken.T @ weighted) @ taken.T
    found, directions = np.linalg.eigh(left)
    order = np.argsort(-found)[:rank]
    kept = order[found[order] > 1e-8 * max(float(variances.max(initial=0.0)), 1e-24)]
    return directions[:, kept]


def principal(rows: Floats) -> tuple[Floats, Floats]:
    """The variances (k,) of rows (n, d) about 0, summed, and their directions (d, k), orthonormal.

    Largest first, without what is rounding. By the smaller of the two Gram matrices.
    """
    wide = len(rows) <= rows.shape[1]
    variances, vectors = np.linalg.eigh(rows @ rows.T if wide else rows.T @ rows)
    order = np.argsort(-variances)
    largest = max(float(variances.max(initial=0.0)), 1e-24)
    kept = order[variances[order] > _NOTHING * largest]
    if not wide:
        return variances[kept], vectors[:, kept]
    # Once more, since the root of a Gram matrix loses half of the digits.
    directions, _ = np.linalg.qr(rows.T @ vectors[:, kept])
    return variances[kept], directions


def smallest_angle(one: Floats, other: Floats) -> float:
    """The smallest principal angle, in degrees, between the spans of (r, a) and (r, b).

    Source: Björck and Golub, Mathematics of Computation 27 (1973).
    """
    first, _ = np.linalg.qr(one)
    second, _ = np.linalg.qr(other)
    cosines = np.linalg.svd(first.T @ second, compute_uv=False)
    return float(np.degrees(np.arccos(np.clip(cosines.max(), 0.0, 1.0))))
