"""The embeddings behind a gallery, read when they are needed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tashihiki_server.catalogue.base import Catalogue
from tashihiki_server.collection.rows import RowsView
from tashihiki_server.deadline import check_deadline
from tashihiki_server.space.base import Vectors

_CHUNK = 500


class StoredEmbeddings:
    """The embeddings of rows as the catalogue has them now."""

    def __init__(self, catalogue: Catalogue, view: RowsView, dimension: int) -> None:
        """Reads from a catalogue.

        Args:
            catalogue: of the items.
            view: whose rows are asked for.
            dimension: of an embedding.
        """
        self._catalogue = catalogue
        self._view = view
        self._dimension = dimension

    def take(self, rows: NDArray[np.int64]) -> Vectors:
        """The embeddings of rows, (n, d), each of unit length; 0, like nothing, for items gone.

        Raises:
            DeadlineExceededError: DEADLINE_EXCEEDED.
        """
        taken = np.zeros((len(rows), self._dimension), dtype=np.float32)
        ids = self._view.ids(rows).tolist()
        for start in range(0, len(ids), _CHUNK):
            check_deadline()
            part = ids[start : start + _CHUNK]
            found = self._catalogue.vectors(part)
            for place, identifier in enumerate(part, start):
                if identifier in found:
                    taken[place] = found[identifier].embedding
        return taken
