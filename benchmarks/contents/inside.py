"""What a filled folder holds, as the server would search it: rows, and queries composed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.contents.filled_server import COLLECTION, Place
from tashihiki.v1 import search_pb2
from tashihiki_server.encoder.embedder import Embedder
from tashihiki_server.images import ImageLimits
from tashihiki_server.library import Library
from tashihiki_server.service.search import SearchApi
from tashihiki_server.space.base import Vectors


@dataclass(frozen=True)
class Inside:
    """The vectors of a collection.

    Attributes:
        ids: of the items.
        vectors: (n, d), theirs, in the coordinates of the space in force.
        composed: (q, d), of the queries, of unit length.
    """

    ids: Sequence[str]
    vectors: Vectors
    composed: Vectors


def look_inside(place: Place, requests: Sequence[search_pb2.SearchRequest]) -> Inside:
    """Opens a folder that no server has open, and closes it again."""
    library = Library(place.data, place.bundle)
    embedder = Embedder(ImageLimits(), 1)
    try:
        api = SearchApi(library, embedder)
        composed = [
            api.compose(
                search_pb2.ComposeRequest(collection=COLLECTION, query=request.query)
            ).vector.values
            for request in requests
        ]
        rows = library.collection(COLLECTION).state.rows
        alive = np.flatnonzero(rows.alive)
        return Inside(
            rows.ids(alive).tolist(),
            np.ascontiguousarray(rows.take(alive)),
            np.array(composed, dtype=np.float32),
        )
    finally:
        embedder.close()
        library.close()
