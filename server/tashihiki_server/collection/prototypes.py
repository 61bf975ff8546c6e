"""Keeps prototypes current: few members at once, many in the background."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from concurrent.futures import Executor

from tashihiki_server.collection.background import Task
from tashihiki_server.collection.gallery import Gallery
from tashihiki_server.collection.rows import RowsView
from tashihiki_server.space.base import AttributeSpace, Vectors
from tashihiki_server.space.prototype import Prototypes
from tashihiki_server.vocabulary import AttributeKey

# Prototypes whose members have more coordinates in all are brought up to date in the background.
INLINE_COORDINATES = 500_000
# How long a prototype that is ready may wait for others, so that they are published together.
PUBLISH_SECONDS = 0.5
# A pass is followed by so many times its duration without one, however much is written: it takes a
# processor, and the medians of many members move slowly.
REST = 4.0


class PrototypeRefresh:
    """The prototypes of a gallery. Its lock is held to call anything but `task`'s methods."""

    def __init__(self, gallery: Gallery, executor: Executor) -> None:
        self._gallery = gallery
        self._stale: set[AttributeKey] = set()
        self._computing: set[AttributeKey] = set()
        self.task = Task(executor, gallery.lock, due=self._due, work=self._refresh_stale)

    @property
    def stale(self) -> int:
        """How many are being brought up to date."""
        return len(self._stale)

    @property
    def current(self) -> set[AttributeKey]:
        """The values whose prototypes are those of their members now."""
        return set(self._gallery.prototypes.vectors) - self._stale

    def refresh(self, keys: Iterable[AttributeKey]) -> None:
        """Takes notice that the members of these values have changed; publishes nothing."""
        keys = set(keys)
        if not keys:
            return
        vocabulary = self._gallery.vocabulary
        # The medians of few members cost less than a caller would notice.
        ready = {key for key in keys if key not in self._gallery.prototypes.vectors}
        members = sum(vocabulary.count(key) for key in keys)
        if members * self._gallery.space.dimension <= INLINE_COORDINATES:
            ready = keys
        vanished = {key for key in keys if not vocabulary.count(key)}
        self._compute(ready | vanished)
        self._computing -= keys  # What is being computed is out of date.
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
        self._computing.clear()
        self.refresh(changed)

    def _compute(self, keys: set[AttributeKey]) -> None:
        rows, space = self._gallery.rows.view(), self._gallery.space
        self._gallery.prototypes = self._gallery.prototypes.replaced(
            {key: prototype_of(key, rows, space) for key in keys}
        )

    def _due(self) -> bool:
        return bool(self._stale)

    def _refresh_stale(self) -> float | None:
        start = time.monotonic()
        ready: dict[AttributeKey, Vectors | None] = {}
        published = start
        while True:
            key, rows, space = self._next(ready)
            if key is None or time.monotonic() - published > PUBLISH_SECONDS:
                self._publish(ready)
                published = time.monotonic()
            if key is None:
                return REST * (time.monotonic() - start)
            ready[key] = prototype_of(key, rows, space)
            with self._gallery.lock:
                # What was written meanwhile may have made it old, or its space.
                if key not in self._computing:
                    del ready[key]

    def _next(
        self, ready: Mapping[AttributeKey, Vectors | None]
    ) -> tuple[AttributeKey | None, RowsView, AttributeSpace]:
        gallery = self._gallery
        with gallery.lock:
            waiting = self._stale - ready.keys()
            key = None
            if waiting and not gallery.closed:
                key = min(waiting, key=gallery.vocabulary.count)
                self._computing.add(key)
            return key, gallery.rows.view(), gallery.space

    def _publish(self, ready: dict[AttributeKey, Vectors | None]) -> None:
        gallery = self._gallery
        with gallery.lock:
            sound = {key: vector for key, vector in ready.items() if key in self._computing}
            ready.clear()
            self._computing.difference_update(sound)
            self._stale.difference_update(sound)
            if sound and not gallery.closed:
                gallery.prototypes = gallery.prototypes.replaced(sound)
                gallery.advance()


def prototype_of(key: AttributeKey, rows: RowsView, space: AttributeSpace) -> Vectors | None:
    """The prototype (dimension,) of a value among rows of the space; None without members."""
    members = rows.members(key)
    return space.prototype(key.facet, rows.take(members)) if len(members) else None
