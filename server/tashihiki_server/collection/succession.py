"""A collection that takes over from another over the same catalogue, and the one it follows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from tashihiki_server.catalogue.base import StoredItem, StoredVector
from tashihiki_server.collection.gallery import Gallery
from tashihiki_server.collection.rows import Row
from tashihiki_server.collection.writing import Changed, attribute_keys, counted_out
from tashihiki_server.vocabulary import AttributeKey

_CHUNK = 1000


class WriteLog:
    """Notes which items of a gallery are written. Its lock is held to call the methods."""

    def __init__(self) -> None:
        self._ids: set[str] | None = None

    def begin(self) -> None:
        """From now on."""
        self._ids = set()

    def note(self, ids: Iterable[str]) -> None:
        """Takes notice of a write or deletion."""
        if self._ids is not None:
            self._ids.update(ids)

    def taken(self) -> list[str]:
        """The ids that were noted since this was last asked."""
        found, self._ids = self._ids or set(), set()
        return sorted(found)

    def end(self) -> None:
        """Notes nothing any more."""
        self._ids = None


def absorb(gallery: Gallery, ids: Sequence[str], changed: Changed) -> None:
    """Takes over what another collection has written to or deleted from the same file.

    Items without an embedding of this gallery's encoder are left as they are here.

    Args:
        gallery: whose lock is held.
        ids: of the items.
        changed: told what has changed.
    """
    touched: set[AttributeKey] = set()
    written: list[str] = []
    changes = 0
    for start in range(0, len(ids), _CHUNK):
        chunk = ids[start : start + _CHUNK]
        items, stored = gallery.catalogue.items(chunk), gallery.catalogue.vectors(chunk)
        for identifier in chunk:
            before = gallery.rows.find(identifier)
            codes = _absorbed(gallery, before, items.get(identifier), stored.get(identifier))
            if codes is None:
                continue
            if identifier not in items:
                gallery.rows.remove(identifier)
            before_codes = counted_out(gallery, before)
            written.append(identifier)
            touched |= attribute_keys(codes) | attribute_keys(before_codes)
            changes += bool(codes or before_codes)
    changed(written, touched, changes)


def _absorbed(
    gallery: Gallery, before: Row | None, item: StoredItem | None, vector: StoredVector | None
) -> Mapping[str, int] | None:
    """The labels that an item has now; None where it is left as it is."""
    if item is None:
        return {}
    # Read at two moments: what was written between them is named again.
    if vector is None or vector.version != item.version:
        return None
    if before is not None and before.version == item.version:
        return None
    codes = gallery.vocabulary.add(item.attributes)
    row = gallery.space.project(vector.embedding[None])[0]
    gallery.rows.write(Row(item.id, item.version, codes, row, item.metadata))
    return codes
