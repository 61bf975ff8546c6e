"""A composed query and its hits, block by block."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tashihiki.v1 import composition_pb2
from tashihiki_server.space.base import Block, Composed
from tashihiki_server.vocabulary import Vocabulary


def block_shares(
    blocks: Sequence[Block], composed: Composed, hits: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Compares gallery vectors (hits, dimension) with a query, block by block.

    Returns:
        (hits, blocks, 2): the cosine within the block, 0 where either is empty; and the
        contribution, which sums over the blocks to the hit's similarity.
    """
    vector = composed.vector.astype(np.float64)
    starts = [block.start for block in blocks]
    products = np.add.reduceat(hits * vector, starts, axis=1)
    squares = np.add.reduceat(hits * hits, starts, axis=1)
    squares *= np.add.reduceat(vector * vector, starts)
    shares = np.empty((*products.shape, 2))
    # Where either is empty the product is 0.
    cosines = products / np.sqrt(np.maximum(squares, np.finfo(np.float64).tiny))
    np.minimum(np.maximum(cosines, -1.0), 1.0, out=shares[..., 0])
    np.multiply(products, composed.scale, out=shares[..., 1])
    return shares


def block_messages(
    blocks: Sequence[Block], composed: Composed, vocabulary: Vocabulary
) -> list[composition_pb2.ComposedBlock]:
    """The blocks of a query, how much each weighs and what filled it."""
    starts = [block.start for block in blocks]
    norms = np.sqrt(np.add.reduceat(composed.vector.astype(np.float64) ** 2, starts)).tolist()
    filled = np.logical_or.reduceat(composed.parts != 0, starts, axis=1).T.tolist()
    total = sum(norms)
    return [
        composition_pb2.ComposedBlock(
            facet=vocabulary.facet_name(block.facet) if block.facet else "",
            weight=norm / total,
            terms=[number for number, fills in enumerate(terms) if fills],
        )
        for block, norm, terms in zip(blocks, norms, filled, strict=True)
    ]
