"""Searches as a server does in a collection with two labelled facets: in the factored space."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tashihiki.errors import InvalidArgumentError
from tashihiki_server.space.base import AttributeTerm
from tashihiki_server.space.factored import FactoredSpace, fit_factored
from tashihiki_server.space.prototype import Prototypes
from tashihiki_server.vocabulary import AttributeKey
from tashihiki_training.labels import MISSING, Codes
from tashihiki_training.prototypes import Vectors


@dataclass(frozen=True)
class FactoredSearch:
    """A factored space and the facets of the codes, in their order."""

    space: FactoredSpace
    facets: tuple[str, ...]

    def knows(self, combination: Codes) -> bool:
        """Whether every value of the combination (facets,) has a prototype in a block."""
        return all(key in self.space.prototypes.vectors for key in self._keys(combination))

    def compose(self, combination: Codes) -> Vectors:
        """The query for a combination (facets,) that is known: (dimension,)."""
        return self.space.compose(
            [AttributeTerm(1.0, key) for key in self._keys(combination)]
        ).vector

    def project(self, embeddings: Vectors) -> Vectors:
        """Embeddings (n, d) as gallery vectors (n, dimension)."""
        return self.space.project(embeddings)

    def _keys(self, combination: Codes) -> list[AttributeKey]:
        return [
            AttributeKey(facet, int(code))
            for facet, code in zip(self.facets, combination, strict=True)
            if code != MISSING
        ]


def fit_search(embeddings: Vectors, codes: Codes, facets: tuple[str, ...]) -> FactoredSearch | None:
    """Fits the space and its prototypes.

    Args:
        embeddings: (pictures, d).
        codes: (pictures, facets).
        facets: names.

    Returns:
        None where fewer than two facets have values to tell apart: a server then adds up
        embeddings as they are.
    """
    try:
        fit = fit_factored(embeddings, codes, facets)
    except InvalidArgumentError as error:
        if error.reason != "SPACE_UNFITTED":
            raise
        return None
    if len(fit.facets) < 2:
        return None
    space = FactoredSpace(fit)
    gallery = space.project(embeddings)
    vectors = {
        AttributeKey(facet, int(code)): space.prototype(facet, gallery[codes[:, number] == code])
        for number, facet in enumerate(facets)
        if facet in fit.facets
        for code in np.unique(codes[:, number])
        if code != MISSING
    }
    return FactoredSearch(space.with_prototypes(Prototypes(vectors)), facets)
