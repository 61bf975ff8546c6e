"""A query that was understood and composed, as responses tell of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tashihiki.v1 import composition_pb2
from tashihiki_server.space.base import Block, Composed


@dataclass(frozen=True)
class ComposedQuery:
    """A query without its operands.

    Attributes:
        composed: the vector and its parts.
        blocks: of the space that composed it.
        terms: how they were understood.
        unresolved: those that were left out.
        block_messages: one for each block.
        item_ids: of the items among the operands.
    """

    composed: Composed
    blocks: Sequence[Block]
    terms: Sequence[composition_pb2.ResolvedTerm]
    unresolved: Sequence[composition_pb2.UnresolvedTerm]
    block_messages: Sequence[composition_pb2.ComposedBlock]
    item_ids: frozenset[str]
