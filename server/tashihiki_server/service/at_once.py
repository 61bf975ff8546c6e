"""Which searches are over sooner than a thread has taken them on.

With the interpreter's one lock, handing a search to a thread and its answer back takes about as
long as looking its hits up, and threads that search at once get in each other's way.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tashihiki.v1 import search_pb2
from tashihiki_server.collection.collection import Collection, State
from tashihiki_server.collection.nearest import Patience
from tashihiki_server.collection.rows import RowNumbers
from tashihiki_server.index.calibration import COUNTS
from tashihiki_server.query.ast import (
    FacetValue,
    Group,
    ItemOperand,
    Operand,
    Term,
    WholeFacet,
    Word,
)
from tashihiki_server.space.base import Block
from tashihiki_server.vocabulary import Vocabulary

MAX_LIMIT = COUNTS[-1]
# Of a request: long names take long to compare.
MAX_BYTES = 1000
MAX_TERMS = 20
# Each may have to be read.
MAX_ITEMS = 2
# Of all hits: metadata is what takes longest to write into a message.
MAX_METADATA_BYTES = 32 * 2**10
# Of the look-up alone, as the index was measured; what surrounds it takes about a millisecond.
MAX_SECONDS = 0.002
# Of the rows that may be equal, all of which are compared once more before they are put in order.
MAX_COORDINATES = 500_000
# Where no index says how long rows take.
_SECONDS_PER_COORDINATE = 4e-10


def is_short(request: search_pb2.SearchRequest) -> bool:
    """Whether what a request asks for may keep everybody else waiting.

    A page's worth of hits is looked up once without a filter.
    """
    longer = (
        request.page_token
        or request.include_thumbnails
        or request.HasField("filter")
        or request.HasField("grouping")
        or request.HasField("diversity")
    )
    return not longer and request.ByteSize() <= MAX_BYTES and request.limit <= MAX_LIMIT


def are_short(terms: Sequence[Term], collection: Collection, this_item: str) -> bool:
    """Whether the terms of such a request are soon composed.

    Nothing is to be decoded or encoded, few items are to be read, and every name and id is known:
    which ones are like an unknown one takes long to find. A facet that is ignored has a block of
    its own; elsewhere the directions in which its values differ may have to be found.

    Args:
        terms: of the request.
        collection: that it is about.
        this_item: the item that is bound to that name, or "".
    """
    operands = list(_operands(terms))
    items = [operand for operand in operands if isinstance(operand, ItemOperand)]
    vocabulary, blocks = collection.vocabulary, collection.state.space.blocks
    return (
        len(operands) <= MAX_TERMS
        and len(items) <= MAX_ITEMS
        and all((this_item if one.id is None else one.id) in collection for one in items)
        and all(
            isinstance(operand, ItemOperand) or _is_known(operand, vocabulary, blocks)
            for operand in operands
        )
    )


def patience(state: State) -> Patience:
    """What a look-up of such a search may take."""
    dimension = state.space.dimension
    row_seconds = _SECONDS_PER_COORDINATE * dimension
    if state.index is not None and state.index.index is not None:
        row_seconds = state.index.calibration.row_seconds
    return Patience(MAX_SECONDS, row_seconds, MAX_COORDINATES // dimension)


def are_light(rows: RowNumbers, state: State) -> bool:
    """Whether the items of some rows are soon read and written into a message."""
    return bool(state.rows.metadata_sizes(rows).sum() <= MAX_METADATA_BYTES)


def _operands(terms: Sequence[Term]) -> Iterator[Operand]:
    for term in terms:
        if isinstance(term.operand, Group):
            yield from _operands(term.operand.terms)
        else:
            yield term.operand


def _is_known(operand: Operand, vocabulary: Vocabulary, blocks: Sequence[Block]) -> bool:
    if isinstance(operand, Word):
        known = vocabulary.occurrences(operand.text)
        return bool(known) or _has_block(operand.text, vocabulary, blocks)
    if isinstance(operand, FacetValue):
        facet = vocabulary.facet_or_none(operand.facet)
        return any(key.facet == facet for key in vocabulary.occurrences(operand.value))
    if isinstance(operand, WholeFacet):
        return _has_block(operand.facet, vocabulary, blocks)
    return False


def _has_block(facet: str, vocabulary: Vocabulary, blocks: Sequence[Block]) -> bool:
    folded = vocabulary.facet_or_none(facet)
    return folded is not None and any(block.facet == folded for block in blocks)
