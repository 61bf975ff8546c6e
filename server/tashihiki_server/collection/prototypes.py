"""Keeps prototypes current: few members at once, many in the background."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Executor

from tashihiki_server.collection.background import Task
from tashihiki_server.collection.gallery import Gallery
from tashihiki_server.collection.rows import RowsView
from tashihiki_server.space.base import AttributeSpace, Vectors
from tashihiki_server.space.prototype import Prototypes
from tashihiki_server.vocabulary import AttributeKey

# Prototypes with more members in all are brought up to date in the background.
INLINE_MEMBERS = 2000


class PrototypeRefresh:
    """The prototypes of a gallery. Its lock is held to call anything but `task`'s methods."""

    def __init__(self, gallery: Gallery, executor: Executor) -> None:
        self._gallery = gallery
        self._stale: set[AttributeKey] = set()
        self._computing: AttributeKey | None = None
        self.task = Task(executor, gallery.lock, due=self._due, work=self._refresh_stale)

    @property
    def stale(self) -> int:
        """How many are being brought up to date."""
        return len(self._stale)

    def refresh(self, keys: Iterable[AttributeKey]) -> None:
        """Takes notice that the members of these values have changed; publishes nothing."""
        keys = set(keys)
        if not keys:
            return
        vocabulary = self._gallery.vocabulary
        # The medians of few members cost less than a caller would notice.
        ready = {key for key in keys if key not in self._gallery.prototypes.vectors}
        if sum(vocabulary.count(key) for key in keys) <= INLINE_MEMBERS:
            ready = keys
        vanished = {key for key in keys if not vocabulary.count(key)}
        self._compute(ready | vanished)
        if self._computing in keys:
            self._computing = None  # What is being computed is out of date.
        self._stale |= keys - ready - vanished
        self._stale -= ready | vanished
        self.task.consider()

    def replace(self, prototypes: Prototypes, changed: Iterable[AttributeKey]) -> None:
        """Takes over those of another space; publishes nothing.

        Args:
            prototypes: that are current, but for
            changed: values.
        """
        self._gallery.prototypes = prototypes
        self._stale.clear()
        self._computing = None
        self.refresh(changed)

    def _compute(self, keys: set[AttributeKey]) -> None:
        rows, space = self._gallery.rows.view(), self._gallery.space
        self._gallery.prototypes = self._gallery.prototypes.replaced(
            {key: prototype_of(key, rows, space) for key in keys}
        )

    def _due(self) -> bool:
        return bool(self._stale)

    def _refresh_stale(self) -> float | None:
        gallery = self._gallery
        while True:
            with gallery.lock:
                if not self._stale or gallery.closed:
                    return 0.0
                key = min(self._stale, key=gallery.vocabulary.count)
                self._computing = key
                rows, space = gallery.rows.view(), gallery.space
            vector = prototype_of(key, rows, space)
            with gallery.lock:
                if self._computing == key:
                    self._computing = None
                    self._stale.discard(key)
                    gallery.prototypes = gallery.prototypes.replaced({key: vector})
                    gallery.advance()


def prototype_of(key: AttributeKey, rows: RowsView, space: AttributeSpace) -> Vectors | None:
    """The prototype (dimension,) of a value among rows of the space; None without members."""
    members = rows.members(key)
    return space.prototype(key.facet, rows.vectors[members]) if len(members) else None
