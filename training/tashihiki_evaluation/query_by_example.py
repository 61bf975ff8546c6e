"""Query by example: how well pictures are found by others that answer the same query."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tashihiki_evaluation.catalogue import MISSING, Codes, Indices
from tashihiki_evaluation.queries import Queries
from tashihiki_evaluation.relevance import relevance
from tashihiki_server.space.base import Block, Vectors

_SMALL = 1e-12


@dataclass(frozen=True)
class Pool:
    """Pictures: (pictures, d), (pictures, facets) and (pictures,), of identical ones."""

    vectors: Vectors
    codes: Codes
    group: Indices


@dataclass(frozen=True)
class QueryByExample:
    """Cosine to the mean of other pictures that answer a query: no composition at all.

    What it finds is no bound of what a composition finds. Its mean may be of a few pictures, or
    one, where a composition has all pictures of every value to go by; and in the embeddings no
    direction counts for less than another.

    The mean is of `others`; where none of them answers, it is of those in the gallery that do
    but, for each picture that is scored, without the picture itself and identical ones.

    Attributes:
        gallery: that is searched.
        others: pictures outside of the gallery.
        blocks: means and cosines are taken block by block, in the blocks of the facets that a
            query is about, and added up; a block without a facet counts for every query.
        facets: of the codes, folded names.
    """

    gallery: Pool
    others: Pool
    blocks: Sequence[Block]
    facets: Sequence[str]

    def scores(self, queries: Queries) -> Vectors:
        """(queries, gallery); rows of NaN where no other picture answers."""
        # Equal targets have equal rows: operands play no part.
        _, first, inverse = np.unique(
            queries.target, axis=0, return_index=True, return_inverse=True
        )
        targets = queries.chosen(first)
        among_others = relevance(targets, self.others.codes).right
        among_gallery = relevance(targets, self.gallery.codes).right
        found = np.zeros((len(targets), len(self.gallery.codes)), dtype=np.float32)
        answered = np.zeros(len(targets), dtype=bool)
        for block in self.blocks:
            used = self._used(targets, block)
            found[used] += self._block(block, among_others[used], among_gallery[used])
            answered |= used
        found[~answered] = np.nan
        scores: Vectors = found[inverse.reshape(-1)]
        return scores

    def _used(self, targets: Queries, block: Block) -> NDArray[np.bool_]:
        if not block.facet:
            return np.ones(len(targets), dtype=bool)
        facet = self.facets.index(block.facet)
        used: NDArray[np.bool_] = (targets.asked[:, facet] != MISSING) | (
            targets.unwanted[:, facet] != MISSING
        )
        return used

    def _block(
        self, block: Block, among_others: NDArray[np.bool_], among_gallery: NDArray[np.bool_]
    ) -> Vectors:
        part = slice(block.start, block.stop)
        gallery = _unit(self.gallery.vectors[:, part])
        outside = among_others.astype(np.float32) @ self.others.vectors[:, part]
        scores: Vectors = _unit(outside) @ gallery.T
        for row in np.flatnonzero(~among_others.any(axis=1)):
            members = np.flatnonzero(among_gallery[row])
            scores[row] = self._of_the_others(gallery, members)
        return scores

    def _of_the_others(self, gallery: Vectors, members: Indices) -> Vectors:
        """Every picture's cosine to the mean of the members, identical ones left out."""
        _, number = np.unique(self.gallery.group[members], return_inverse=True)
        number = number.reshape(-1)
        if not len(members) or number.max() == 0:
            return np.full(len(gallery), np.nan, dtype=np.float32)
        groups = np.zeros((number.max() + 1, gallery.shape[1]), dtype=np.float32)
        np.add.at(groups, number, gallery[members])
        total = groups.sum(axis=0)
        scores: Vectors = gallery @ _unit(total[None])[0]
        scores[members] = (_unit(total - groups)[number] * gallery[members]).sum(axis=1)
        return scores


def _unit(vectors: Vectors) -> Vectors:
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: Vectors = vectors / np.maximum(norms, _SMALL)
    return unit
