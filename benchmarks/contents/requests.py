"""Searches for the items of a filled server."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.contents.filled_server import COLLECTION, Filling
from benchmarks.contents.generated_items import Kind, pair_expressions
from tashihiki.v1 import composition_pb2, search_pb2

LIMIT = 10
# More pairs than a small cache of answers would hold.
_COLOURS, _SHAPES = 40, 30


def text_filling(items: int, dimension: int) -> Filling:
    """Items for queries of two attributes."""
    return Filling(items, Kind(dimension, _COLOURS, _SHAPES), "factored")


def text_requests(kind: Kind) -> list[search_pb2.SearchRequest]:
    """A search for every pair of a colour and a shape."""
    return [
        search_pb2.SearchRequest(
            collection=COLLECTION, query=composition_pb2.Query(expression=pair), limit=LIMIT
        )
        for pair in pair_expressions(kind)
    ]


def unrepeated(
    requests: Sequence[search_pb2.SearchRequest], least: int = 4800
) -> list[search_pb2.SearchRequest]:
    """At least so many, no two alike: the same ones, each time with another minimum similarity.

    There is nothing below it. A server that gives answers again has none for these, as long as it
    remembers fewer.
    """
    made = []
    for number in range(-(-least // len(requests))):
        for request in requests:
            made.append(search_pb2.SearchRequest(min_similarity=1e-6 * number - 1.0))
            made[-1].MergeFrom(request)
    return made


def image_requests(files: Sequence[bytes]) -> list[search_pb2.SearchRequest]:
    """A search for each photo."""
    return [
        search_pb2.SearchRequest(
            collection=COLLECTION,
            query=composition_pb2.Query(
                composition=composition_pb2.Composition(terms=[composition_pb2.Term(image=file)])
            ),
            limit=LIMIT,
        )
        for file in files
    ]
