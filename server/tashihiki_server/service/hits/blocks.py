"""A composed query and its hits, block by block."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tashihiki.v1 import composition_pb2, search_pb2
from tashihiki_server.space.base import Block, Composed
from tashihiki_server.vocabulary import Vocabulary


@dataclass(frozen=True)
class BlockShares:
    """How hits compare with each block of a query.

    Attributes:
        similarities: (hits, blocks), the cosine within the block; 0 where either is empty.
        contributions: (hits, blocks); they sum over the blocks to the hit's similarity.
    """

    similarities: NDArray[np.float64]
    contributions: NDArray[np.float64]

    def messages(self, hit: int) -> list[search_pb2.BlockSimilarity]:
        """Those of one hit."""
        return [
            search_pb2.BlockSimilarity(similarity=similarity, contribution=contribution)
            for similarity, contribution in zip(
                self.similarities[hit].tolist(), self.contributions[hit].tolist(), strict=True
            )
        ]


def block_shares(
    blocks: Sequence[Block], composed: Composed, hits: NDArray[np.float64]
) -> BlockShares:
    """Compares gallery vectors (hits, dimension) with a query, block by block."""
    vector = composed.vector.astype(np.float64)
    starts = [block.start for block in blocks]
    products = np.add.reduceat(hits * vector, starts, axis=1)
    lengths = np.sqrt(np.add.reduceat(hits**2, starts, axis=1))
    lengths *= np.sqrt(np.add.reduceat(vector**2, starts))
    similarities = np.zeros_like(products)
    np.divide(products, lengths, out=similarities, where=lengths > 0)
    return BlockShares(np.clip(similarities, -1.0, 1.0), composed.scale * products)


def block_messages(
    blocks: Sequence[Block], composed: Composed, vocabulary: Vocabulary
) -> list[composition_pb2.ComposedBlock]:
    """The blocks of a query, how much each weighs and what filled it."""
    starts = [block.start for block in blocks]
    norms = np.sqrt(np.add.reduceat(composed.vector.astype(np.float64) ** 2, starts))
    filled = np.logical_or.reduceat(composed.parts != 0, starts, axis=1)
    total = float(norms.sum())
    return [
        composition_pb2.ComposedBlock(
            facet=vocabulary.facet_name(block.facet) if block.facet else "",
            weight=norm / total,
            terms=np.flatnonzero(filled[:, number]).tolist(),
        )
        for number, (block, norm) in enumerate(zip(blocks, norms.tolist(), strict=True))
    ]
