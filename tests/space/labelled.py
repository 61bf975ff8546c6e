"""Labelled embeddings, drawn, and what spaces make of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tashihiki_server.space.base import AttributeSpace, AttributeTerm, Vectors
from tashihiki_server.space.factored import FactoredSpace, FitSettings, fit_factored
from tashihiki_server.space.prototype import Prototypes
from tashihiki_server.vocabulary import AttributeKey

Codes = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Labelled:
    """Embeddings (n, d) and the numbers of their values (n, F)."""

    embeddings: Vectors
    labels: Codes
    facets: tuple[str, ...]

    def only(self, rows: NDArray[np.bool_] | Codes) -> Labelled:
        """Some of the items."""
        return Labelled(self.embeddings[rows], self.labels[rows], self.facets)


def drawn(
    count: int = 400,
    dimension: int = 32,
    sizes: Sequence[int] = (5, 4),
    *,
    strengths: Sequence[float] = (1.0, 0.4),
    noise: float = 0.1,
    mean: float = 3.0,
    seed: int = 0,
) -> Labelled:
    """Additive effects of different strengths and coloured noise about a large mean, unscaled."""
    random = np.random.default_rng(seed)
    labels = np.stack([random.integers(0, size, count) for size in sizes], axis=1)
    rows = mean * np.ones((count, dimension))
    for facet, (size, strength) in enumerate(zip(sizes, strengths, strict=True)):
        rows += strength * random.normal(size=(size, dimension))[labels[:, facet]]
    colours = np.exp(random.normal(size=dimension))
    rows += noise * colours * random.normal(size=rows.shape)
    facets = tuple(f"facet{number}" for number in range(len(sizes)))
    return Labelled(rows.astype(np.float32), labels, facets)


def prototypes(space: AttributeSpace, data: Labelled) -> Prototypes:
    """A prototype for every value that an item has."""
    vectors = space.project(data.embeddings)
    found = {}
    for number, facet in enumerate(data.facets):
        for code in np.unique(data.labels[:, number]):
            if code >= 0:
                members = vectors[data.labels[:, number] == code]
                found[AttributeKey(facet, int(code))] = space.prototype(facet, members)
    return Prototypes(found)


def fitted(data: Labelled, settings: FitSettings | None = None) -> FactoredSpace:
    """A factored space with prototypes."""
    fit = fit_factored(data.embeddings, data.labels, data.facets, settings or FitSettings())
    return FactoredSpace(fit, prototypes(FactoredSpace(fit), data))


def attributes(data: Labelled, codes: Sequence[int]) -> list[AttributeTerm]:
    """A value of every facet."""
    pairs = zip(data.facets, codes, strict=True)
    return [AttributeTerm(1.0, AttributeKey(facet, int(code))) for facet, code in pairs]


def first_hits(space: AttributeSpace, gallery: Labelled, combinations: Codes) -> float:
    """How often the first hit has all the values asked for."""
    vectors = space.project(gallery.embeddings)
    right = [
        bool((gallery.labels[(vectors @ query).argmax()] == codes).all())
        for codes in combinations
        for query in [space.compose(attributes(gallery, codes)).vector]
    ]
    return float(np.mean(right))


def probabilities(space: AttributeSpace, vectors: Vectors, keys: Sequence[AttributeKey]) -> Floats:
    """(n, keys): how probably each item shows each attribute."""
    asked = [[AttributeTerm(1.0, key)] for key in keys]
    logarithms = [space.agreement(terms, space.compose(terms), vectors) for terms in asked]
    return np.exp(np.stack(logarithms, axis=1))
