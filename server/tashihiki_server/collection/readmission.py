"""Gives metadata paths that were left out of the columns one, once there is room again."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from tashihiki_server.catalogue.base import StoredItem, StoredLabels
from tashihiki_server.collection.columns import MetadataColumns
from tashihiki_server.collection.gallery import Gallery
from tashihiki_server.collection.rows import RowNumbers, RowsView

_CHUNK = 1000


def readmit(gallery: Gallery) -> None:
    """Reads the metadata again, where paths were left out that fit by now, and publishes.

    The lock is not held while the whole catalogue is read.

    Raises:
        TashihikiError: of the catalogue; the columns stay as they are.
    """
    with gallery.lock:
        rows = gallery.rows
        view = rows.view()
    columns = view.readmitting()
    if columns is None:
        return
    doubtful = _fill(columns, view, np.flatnonzero(view.alive), gallery.catalogue.labels())
    while True:
        with gallery.lock:
            if gallery.closed or gallery.rows is not rows:
                return
            seen, view = view.count, rows.view()
            later = np.flatnonzero(view.alive[seen:]) + seen
            if len(later) <= _CHUNK:
                doubtful += _fill_later(gallery, columns, view, later)
                # Rows that have died since are of no matter. A live one that the catalogue does
                # not know is of a gallery whose catalogue is ahead: its cells cannot be read.
                if not view.alive[doubtful].any():
                    rows.readmit(columns)
                    gallery.advance()
                return
        doubtful += _fill_later(gallery, columns, view, later)


def _fill_later(
    gallery: Gallery, columns: MetadataColumns, view: RowsView, rows: RowNumbers
) -> list[int]:
    columns.grow(view.capacity)
    doubtful: list[int] = []
    for start in range(0, len(rows), _CHUNK):
        chunk = rows[start : start + _CHUNK]
        items = gallery.catalogue.items(view.ids(chunk).tolist())
        doubtful += _fill(columns, view, chunk, items.values())
    return doubtful


def _fill(
    columns: MetadataColumns,
    view: RowsView,
    rows: RowNumbers,
    items: Iterable[StoredLabels | StoredItem],
) -> list[int]:
    """Puts the metadata of some rows; returns those that are of no item as it is stored."""
    waiting = dict(zip(view.ids(rows).tolist(), rows.tolist(), strict=True))
    for item in items:
        row = waiting.get(item.id)
        if row is not None and view.version(row) == item.version:
            columns.put(row, item.metadata)
            del waiting[item.id]
    return list(waiting.values())
