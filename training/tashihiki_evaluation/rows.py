"""The rows of the report: ways to answer the same queries on the same embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tashihiki.errors import FailedPreconditionError, InvalidArgumentError
from tashihiki_evaluation.catalogue import MISSING, Codes, Indices, Labels
from tashihiki_evaluation.queries import Queries
from tashihiki_evaluation.query_by_example import Pool, QueryByExample
from tashihiki_server.space.base import (
    AttributeMode,
    AttributeSpace,
    AttributeTerm,
    EmbeddingTerm,
    IgnoreTerm,
    SpaceTerm,
    Vectors,
)
from tashihiki_server.space.factored import FactoredSpace, fit_factored
from tashihiki_server.space.posterior import best_first, named_attributes
from tashihiki_server.space.prototype import Prototypes
from tashihiki_server.space.sum import SumSpace
from tashihiki_server.vocabulary import AttributeKey

RERANKED = 100
_SMALL = 1e-12

RANDOM = "random"
PLAIN = "plain sum"
MEAN_SUBTRACTED = "mean-subtracted"
ADDITIVE = "additive effects"
FACTORED = "factored"
RERANK = "factored + re-rank"
BY_EXAMPLE = "by example"
BY_EXAMPLE_FACTORED = "by example, factored"
ROWS = {
    RANDOM: "Every picture gets a number drawn at random.",
    PLAIN: "The space `sum` as the server has it: medians and embeddings added and subtracted, "
    "negative coordinates set to 0, cosine.",
    MEAN_SUBTRACTED: "The same after subtracting the mean of the fitted pictures from every "
    "embedding; nothing is set to 0.",
    ADDITIVE: "Embeddings less the mean μ of an additive model (least squares over all facets, "
    "every combination weighted equally); a value is its effect, at unit length; cosine.",
    FACTORED: "The space `factored` as the server has it, by similarity alone.",
    RERANK: f"Its first {RERANKED} hits as the server re-ranks them: by the product, over facets, "
    "of the probability that the hit shows the value added, or not the value subtracted, or "
    "shares what the operand shows. The server does so by default where a query names a value.",
    BY_EXAMPLE: "No composition: the mean embedding of other pictures that answer the query, from "
    "the fitted half before combinations are held out; where it has none, of those in the "
    "gallery but for the picture that is scored and those identical to it. A query without other "
    "pictures is left out. It has seen what it looks for, but bounds nothing: the mean may be of "
    "few pictures, and nothing is re-ranked.",
    BY_EXAMPLE_FACTORED: "The same mean, block by block in the factored space, in the blocks of "
    "the facets that the query is about.",
}


@dataclass(frozen=True)
class Fitted:
    """A gallery and everything that was learnt from the fitted pictures alone.

    Attributes:
        sums: the rows that add embeddings, as they are or less a mean.
        factored: the factored space.
        examples: query by example, in the embeddings and in the factored space.
    """

    sums: dict[str, Searched]
    factored: Searched
    examples: dict[str, QueryByExample]

    def scores(self, queries: Queries, rng: np.random.Generator) -> dict[str, Vectors]:
        """All rows but the re-ranked one: (queries, gallery), higher is better.

        NaN where a query has no examples, −inf where the space refuses the query.
        """
        shape = (len(queries), len(self.factored.vectors))
        found: dict[str, Vectors] = {RANDOM: rng.random(shape, dtype=np.float32)}
        for row, searched in self.sums.items():
            found[row] = searched.scores(queries)
        found[FACTORED] = self.factored.scores(queries)
        for row, examples in self.examples.items():
            found[row] = examples.scores(queries)
        return found

    def reranked(self, queries: Queries, scores: Vectors) -> Vectors:
        """The factored row's scores with the best of each query in a new order."""
        most = min(RERANKED, scores.shape[1])
        found: Vectors = scores.copy()
        # Above every similarity.
        places = np.arange(most, 0, -1, dtype=np.float32) + 2
        for number, row in enumerate(scores):
            top = np.argpartition(-row, most - 1)[:most]
            # What is no hit stays none.
            top = top[np.isfinite(row[top])]
            if len(top):
                order = self.factored.order(queries, number, top, row[top])
                found[number, top[order]] = places[: len(top)]
        return found


@dataclass(frozen=True)
class Searched:
    """A space and the gallery in it.

    Attributes:
        space: with prototypes.
        facets: of the codes, folded names.
        keys: that have prototypes.
        operands: (pictures, d), what an image operand stands for in the space.
        vectors: (gallery, dimension).
    """

    space: AttributeSpace
    facets: tuple[str, ...]
    keys: tuple[AttributeKey, ...]
    operands: Vectors
    vectors: Vectors

    def scores(self, queries: Queries) -> Vectors:
        """(queries, gallery): the similarity that a search sorts by."""
        composed = np.zeros((len(queries), self.vectors.shape[1]), dtype=np.float32)
        refused = np.zeros(len(queries), dtype=bool)
        for number in range(len(queries)):
            try:
                composed[number] = self.space.compose(self._terms(queries, number)).vector
            except (InvalidArgumentError, FailedPreconditionError):
                # The server refuses what cancels out, or what it cannot tell apart: no hits.
                refused[number] = True
        found: Vectors = composed @ self.vectors.T
        found[refused] = -np.inf
        return found

    def _terms(self, queries: Queries, number: int) -> list[SpaceTerm]:
        terms: list[SpaceTerm] = []
        if queries.base[number] != MISSING:
            terms.append(EmbeddingTerm(1.0, self.operands[queries.base[number]]))
        for facet, name in enumerate(self.facets):
            if queries.ignored[number, facet]:
                terms.append(IgnoreTerm(name))
            for weight, column in ((1.0, queries.added), (-1.0, queries.subtracted)):
                if column[number, facet] != MISSING:
                    key = AttributeKey(name, int(column[number, facet]))
                    terms.append(AttributeTerm(weight, key))
        return terms

    def order(self, queries: Queries, number: int, hits: Indices, scores: Vectors) -> Indices:
        """The order in which a re-ranked search returns the hits (n,) of scores (n,)."""
        terms = self._terms(queries, number)
        if not named_attributes(terms):
            return np.argsort(-scores, kind="stable")
        composed = self.space.compose(terms, AttributeMode.REPLACE)
        agreements = self.space.agreement(terms, composed, self.vectors[hits])
        return best_first(agreements, scores)


def fit_rows(
    labels: Labels,
    group: Indices,
    embeddings: Vectors,
    fit: Indices,
    gallery: Indices,
    others: Indices,
) -> Fitted:
    """Learns every row from the pictures in `fit` and puts the gallery into its space.

    Args:
        labels: of all pictures.
        group: (pictures,), of identical ones.
        embeddings: (pictures, d).
        fit: positions of the only pictures whose embeddings and labels are learnt from.
        gallery: positions of the pictures to search.
        others: positions of the pictures that may be examples of a query.
    """
    known, codes = embeddings[fit], labels.codes[fit]
    dimension = embeddings.shape[1]
    plain = SumSpace(dimension, Prototypes())
    centred = SumSpace(dimension, Prototypes(), keep_negative=True)
    fitted = fit_factored(known, codes, labels.facets)
    mean, effects = additive_effects(known, codes, [len(values) for values in labels.values])
    less_mean = _less(embeddings, known.mean(axis=0))
    less_mu = _less(embeddings, mean)
    effect_keys = {
        AttributeKey(labels.facets[facet], code): effect
        for facet, column in enumerate(effects)
        for code, effect in column.items()
    }

    def searched(space: AttributeSpace, operands: Vectors, facets: Sequence[str]) -> Searched:
        medians = _medians(space, space.project(operands[fit]), codes, labels.facets, facets)
        return Searched(
            space.with_prototypes(Prototypes(medians)),
            labels.facets,
            tuple(medians),
            operands,
            space.project(operands[gallery]),
        )

    factored = searched(FactoredSpace(fitted), embeddings, fitted.facets)
    facet_blocks = [block for block in factored.space.blocks if block.facet]

    def pool(vectors: Vectors, photos: Indices) -> Pool:
        return Pool(vectors, labels.codes[photos], group[photos])

    return Fitted(
        sums={
            PLAIN: searched(plain, embeddings, labels.facets),
            MEAN_SUBTRACTED: searched(centred, less_mean, labels.facets),
            ADDITIVE: Searched(
                centred.with_prototypes(Prototypes(effect_keys)),
                labels.facets,
                tuple(effect_keys),
                less_mu,
                less_mu[gallery],
            ),
        },
        factored=factored,
        examples={
            BY_EXAMPLE: QueryByExample(
                pool(embeddings[gallery], gallery),
                pool(embeddings[others], others),
                plain.blocks,
                labels.facets,
            ),
            BY_EXAMPLE_FACTORED: QueryByExample(
                pool(factored.vectors, gallery),
                pool(factored.space.project(embeddings[others]), others),
                facet_blocks,
                labels.facets,
            ),
        },
    )


def _medians(
    space: AttributeSpace,
    vectors: Vectors,
    codes: Codes,
    names: Sequence[str],
    facets: Sequence[str],
) -> dict[AttributeKey, Vectors]:
    return {
        AttributeKey(name, int(code)): space.prototype(name, vectors[codes[:, number] == code])
        for number, name in enumerate(names)
        if name in facets
        for code in np.unique(codes[:, number])
        if code != MISSING
    }


def additive_effects(
    embeddings: Vectors, codes: Codes, counts: Sequence[int]
) -> tuple[Vectors, list[dict[int, Vectors]]]:
    """The mean and, facet by facet, each value's effect at unit length.

    Least squares of the mean embedding of every combination on indicators of its values, of
    minimum norm where the combinations do not tell effects apart; then centred in each facet.

    Args:
        embeddings: (n, d).
        codes: (n, facets).
        counts: number of values of every facet.
    """
    unique, inverse = np.unique(codes, axis=0, return_inverse=True)
    inverse = inverse.reshape(-1)
    means = np.zeros((len(unique), embeddings.shape[1]))
    np.add.at(means, inverse, embeddings)
    means /= np.bincount(inverse)[:, None]
    starts = np.concatenate([[1], 1 + np.cumsum(counts)])
    design = np.zeros((len(unique), starts[-1]))
    design[:, 0] = 1.0
    for facet, column in enumerate(unique.T):
        rows = np.flatnonzero(column != MISSING)
        design[rows, starts[facet] + column[rows]] = 1.0
    solution = np.linalg.lstsq(design, means, rcond=None)[0]
    mean = solution[0]
    effects: list[dict[int, Vectors]] = []
    for facet, start in enumerate(starts[:-1]):
        shown = np.unique(unique[:, facet])
        shown = shown[shown != MISSING]
        ours = solution[start + shown]
        centre = ours.mean(axis=0) if len(shown) else np.zeros_like(mean)
        mean = mean + centre
        effects.append(dict(zip(shown.tolist(), _unit(ours - centre), strict=True)))
    return mean.astype(np.float32), effects


def _less(embeddings: Vectors, mean: Vectors) -> Vectors:
    return _unit(embeddings - mean)


def _unit(vectors: NDArray[np.floating]) -> Vectors:
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: Vectors = (vectors / np.maximum(norms, _SMALL)).astype(np.float32)
    return unit
