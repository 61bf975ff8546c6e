"""Items that were read lately, in memory for as long as they are as they were."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from cachetools import LRUCache

from tashihiki_server.catalogue.base import StoredItem, StoredVector
from tashihiki_server.collection.gallery import Gallery
from tashihiki_server.space.base import Vectors

MAX_ITEM_BYTES = 8 * 2**20
MAX_EMBEDDING_BYTES = 8 * 2**20
# Of an item or embedding beside its contents, roughly.
_OBJECT_BYTES = 500
# Of metadata in memory to its JSON: empty lists are the worst.
_METADATA_BYTES = 20


class RecentItems:
    """Reads a gallery's items and embeddings. Safe to use from many threads.

    Those whose version in the gallery is still the one that was read are not read again.
    """

    def __init__(self, gallery: Gallery) -> None:
        self._gallery = gallery
        self._lock = threading.Lock()
        self._items: LRUCache[str, StoredItem] = LRUCache(MAX_ITEM_BYTES, _item_bytes)
        self._vectors: LRUCache[str, StoredVector] = LRUCache(MAX_EMBEDDING_BYTES, _vector_bytes)

    def items(self, ids: Sequence[str]) -> dict[str, StoredItem]:
        """The items with these ids, those that are there, without their thumbnails."""
        rows = self._gallery.rows
        found, missing = {}, []
        with self._lock:
            for identifier in ids:
                version = rows.version(identifier)
                item = self._items.get(identifier)
                if item is not None and item.version == version:
                    found[identifier] = item
                elif version is not None:
                    missing.append(identifier)
        if missing:
            read = self._gallery.catalogue.items(missing)
            found |= read
            with self._lock:
                for identifier, item in read.items():
                    if _item_bytes(item) <= MAX_ITEM_BYTES:
                        self._items[identifier] = item
        return found

    def embedding(self, identifier: str) -> Vectors | None:
        """The embedding of an item, (d,); None where there is none."""
        version = self._gallery.rows.version(identifier)
        with self._lock:
            stored = self._vectors.get(identifier)
        if stored is None or stored.version != version:
            stored = self._gallery.catalogue.vectors([identifier]).get(identifier)
            if stored is None:
                return None
            with self._lock:
                self._vectors[identifier] = stored
        return stored.embedding


def _item_bytes(item: StoredItem) -> int:
    labels = sum(len(facet) + len(value) for facet, value in item.attributes.items())
    return _OBJECT_BYTES + labels + _METADATA_BYTES * item.metadata_bytes


def _vector_bytes(stored: StoredVector) -> int:
    return _OBJECT_BYTES + stored.embedding.nbytes
