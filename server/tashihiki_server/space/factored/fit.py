"""Fits a factored space to labelled embeddings, in closed form."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from tashihiki.errors import InvalidArgumentError
from tashihiki_server.space.base import Block, Vectors
from tashihiki_server.space.factored.diagnostics import (
    Diagnostics,
    FacetAngle,
    FacetDiagnostics,
)
from tashihiki_server.space.factored.effects import Effects, additive_effects
from tashihiki_server.space.factored.grouping import Codes, Floats
from tashihiki_server.space.factored.labels import Labels, fingerprints, renumbered
from tashihiki_server.space.factored.relevance import facet_scales, standard_scale
from tashihiki_server.space.factored.selection import Selection, select
from tashihiki_server.space.factored.settings import DEFAULT_SETTINGS, MISSING, FitSettings
from tashihiki_server.space.factored.shrunk import shrunk
from tashihiki_server.space.factored.subspaces import (
    facet_subspace,
    rest_subspace,
    smallest_angle,
    within_budget,
)
from tashihiki_server.space.factored.whitening import Residuals

# Covariances and cross-validation are measured on so many items; effects on all.
FIT_ROWS = 8_000
SELECTION_ROWS = 1_000


@dataclass(frozen=True, eq=False)
class FactoredFit:
    """The numbers of a factored space. Immutable.

    Attributes:
        dimension: D, length of the embeddings.
        mean: (D,), subtracted from an embedding.
        matrix: (D, r), which turns the difference into the blocks' coordinates.
        facets: folded names of the facets that have a block, in the blocks' order.
        ranks: dimensions of these blocks.
        rest_rank: dimensions of the rest block, which comes last; 0 where there is none.
        concentrations: of the facets' posteriors.
        without_contrast: facets that were seen, but with one value only, or with values whose
            items do not differ.
        values: how many values each facet was seen with.
        rest_weight: of the rest block in queries by items and pictures.
        diagnostics: what the fit found.
    """

    dimension: int
    mean: Vectors
    matrix: Vectors
    facets: tuple[str, ...]
    ranks: tuple[int, ...]
    rest_rank: int
    concentrations: tuple[float, ...]
    without_contrast: tuple[str, ...]
    values: Mapping[str, int]
    rest_weight: float
    diagnostics: Diagnostics

    @cached_property
    def blocks(self) -> tuple[Block, ...]:
        """The parts of a gallery vector."""
        names, ranks = [*self.facets], [*self.ranks]
        if self.rest_rank:
            names.append("")
            ranks.append(self.rest_rank)
        stops = np.cumsum(ranks).tolist()
        return tuple(
            Block(name, stop - rank, stop)
            for name, rank, stop in zip(names, ranks, stops, strict=True)
        )

    @cached_property
    def identity(self) -> str:
        """A hash of all that makes gallery vectors."""
        digest = hashlib.sha256()
        digest.update(json.dumps([self.dimension, self.facets, self.ranks]).encode())
        for array in (self.mean, self.matrix):
            digest.update(np.ascontiguousarray(array, dtype="<f4").tobytes())
        return digest.hexdigest()[:32]


def fit_factored(
    embeddings: Vectors,
    labels: NDArray[np.int64],
    facets: Sequence[str],
    settings: FitSettings = DEFAULT_SETTINGS,
) -> FactoredFit:
    """Fits the space.

    Deterministic, whatever the order of the items and the numbers of the values. Items without
    any label of a facet that has two values play no part.

    Args:
        embeddings: (n, D).
        labels: (n, F), numbers of the items' values, `MISSING` where there is none.
        facets: F folded names.
        settings: see there.

    Raises:
        InvalidArgumentError: SPACE_UNFITTED where no facet has two values whose items differ;
            VECTOR_INVALID for embeddings that are not finite; SETTING_INVALID where the shapes
            do not agree.
    """
    embeddings = np.asarray(embeddings, dtype=np.float32)
    labels = np.asarray(labels, dtype=np.int64)
    _check(embeddings, labels, facets)
    seen = {facet: _count(labels[:, number]) for number, facet in enumerate(facets)}
    contrasting = [number for number, facet in enumerate(facets) if seen[facet] > 1]
    without = tuple(facet for facet in facets if seen[facet] == 1)
    used = (labels[:, contrasting] != MISSING).any(axis=1)
    if not used.any():
        raise _unfitted("no facet has two values that items have")
    rows, codes = _canonical(embeddings, labels[:, contrasting], used)
    return _fit(rows, codes, [facets[number] for number in contrasting], settings, without, seen)


def _check(embeddings: Vectors, labels: Codes, facets: Sequence[str]) -> None:
    if embeddings.ndim != 2 or labels.shape != (len(embeddings), len(facets)):
        raise InvalidArgumentError(
            f"embeddings {embeddings.shape} and labels {labels.shape} of {len(facets)} facets "
            "do not go together",
            reason="SETTING_INVALID",
        )
    if len(set(facets)) < len(facets) or "" in facets:
        raise InvalidArgumentError("facets need names of their own", reason="SETTING_INVALID")
    if not np.isfinite(embeddings).all():
        raise InvalidArgumentError("an embedding is not finite", reason="VECTOR_INVALID")


def _count(codes: Codes) -> int:
    return len(np.unique(codes[codes != MISSING]))


def _canonical(
    embeddings: Vectors, labels: Codes, used: NDArray[np.bool_]
) -> tuple[Vectors, Labels]:
    """The items that are used, in an order and with numbers of values that are their own."""
    places = np.flatnonzero(used)
    prints = fingerprints(embeddings)[places]
    columns = [renumbered(column, prints) for column in labels[places].T]
    codes = np.stack([codes for codes, _ in columns], axis=1)
    # Equal pictures with different labels are told apart by these.
    order = np.lexsort((*codes.T, prints))
    return embeddings[places[order]], Labels.of(codes[order], tuple(size for _, size in columns))


def _fit(
    embeddings: Vectors,
    labels: Labels,
    facets: Sequence[str],
    settings: FitSettings,
    without: tuple[str, ...],
    seen: Mapping[str, int],
) -> FactoredFit:
    selection = select(embeddings[:SELECTION_ROWS], labels.head(SELECTION_ROWS), settings)
    found_effects = additive_effects(embeddings, labels)
    residuals = Residuals(embeddings[:FIT_ROWS], labels.codes[:FIT_ROWS], found_effects)
    standard = standard_scale(residuals, labels)
    scales = facet_scales(standard, found_effects, labels, settings.relevance)
    effects = shrunk(found_effects, embeddings, labels)

    def directions(facet: int, white: Sequence[Floats]) -> Floats:
        return facet_subspace(
            facet, white, labels, separation=settings.separation, rank=settings.facet_rank
        )

    found = []
    for facet, scale in enumerate(scales):
        axes = residuals.axes(scale)
        matrix = axes.matrix * axes.factors(selection.shrinkage)
        white = [values @ matrix for values in effects.values]
        found.append(matrix @ directions(facet, white))
    blocks = within_budget(found, embeddings.shape[1] // 2)
    ranks = [block.shape[1] for block in blocks]
    kept = [number for number, rank in enumerate(ranks) if rank]
    if not kept:
        raise _unfitted("items of different values have the same embeddings")
    # The rest belongs to no facet, so all coordinates count alike.
    axes = residuals.axes(standard)
    factors = axes.factors(selection.shrinkage)
    white = [values @ axes.matrix * factors for values in effects.values]
    common = within_budget(
        [directions(facet, white) for facet in range(len(facets))], embeddings.shape[1] // 2
    )
    rest = rest_subspace(axes.variances * factors**2, common, settings.rest_rank)
    blocks.append(axes.matrix @ (factors[:, None] * rest))
    matrix = np.hstack(blocks)
    names = tuple(facets[number] for number in kept)
    return FactoredFit(
        dimension=embeddings.shape[1],
        mean=effects.mean.astype(np.float32),
        matrix=matrix.astype(np.float32),
        facets=names,
        ranks=tuple(ranks[number] for number in kept),
        rest_rank=rest.shape[1],
        concentrations=tuple(selection.concentrations[number] for number in kept),
        without_contrast=without + tuple(f for f in facets if f not in names),
        values=dict(seen),
        rest_weight=settings.rest_weight,
        diagnostics=_diagnostics(labels, facets, effects, ranks, common, rest, selection, settings),
    )


def _diagnostics(
    labels: Labels,
    facets: Sequence[str],
    effects: Effects,
    ranks: Sequence[int],
    common: Sequence[Floats],
    rest: Floats,
    selection: Selection,
    settings: FitSettings,
) -> Diagnostics:
    kept = [number for number, rank in enumerate(ranks) if rank]
    variances = effects.variances
    return Diagnostics(
        items=len(labels.codes),
        combinations=len(labels.combinations),
        facets=tuple(
            FacetDiagnostics(
                facet=facets[number],
                values=labels.sizes[number],
                items=int((labels.codes[:, number] >= 0).sum()),
                rank=ranks[number],
                variance_share=variances.facets[number],
            )
            for number in kept
        ),
        interaction_share=variances.interaction,
        residual_share=variances.residual,
        additive_r2=variances.additive,
        angles=tuple(
            FacetAngle(facets[one], facets[other], smallest_angle(common[one], common[other]))
            for one, other in combinations(kept, 2)
        ),
        rest_rank=rest.shape[1],
        relevance=settings.relevance,
        separation=settings.separation,
        shrinkage=selection.shrinkage,
        score=selection.score,
    )


def _unfitted(message: str) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"there is nothing to fit a factored space to: {message}",
        reason="SPACE_UNFITTED",
        remedy="Label items with at least two values of a facet.",
    )
