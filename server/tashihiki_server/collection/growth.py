"""Whether a collection still grows quickly, so that a first fit would miss most of its items."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

# Seconds without a write after which nothing more is expected.
QUIET = 1.0
# Where writes never rest: a collection that grows by no more than the share in so many seconds is
# as good as complete. A steady stream gets there in SPAN / SHARE seconds.
SPAN = 5.0
SHARE = 0.1


class Growth:
    """What the writes to a collection tell of those to come. Safe to use from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._under_way = 0
        self._latest = -math.inf
        self._seen: tuple[float, int] | None = None

    @contextmanager
    def writing(self) -> Iterator[None]:
        """A call that writes; its pictures may take a while to encode before."""
        with self._lock:
            self._under_way += 1
        try:
            yield
        finally:
            with self._lock:
                self._under_way -= 1

    def note(self) -> None:
        """Items were written or deleted."""
        with self._lock:
            self._latest = time.monotonic()

    def patience(self, items: int) -> float:
        """For how many seconds to wait before asking again; 0 where the growth has slowed down.

        Args:
            items: that the collection has now.
        """
        with self._lock:
            now = time.monotonic()
            if not self._under_way and now >= self._latest + QUIET:
                return 0.0
            since, before = self._seen = self._seen or (now, items)
            if now >= since + SPAN:
                if items <= (1 + SHARE) * before:
                    return 0.0
                since, _ = self._seen = now, items
            quiet = now + QUIET if self._under_way else self._latest + QUIET
            return min(quiet, since + SPAN) - now
