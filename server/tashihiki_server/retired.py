"""Collections that others have taken the place of, until the calls that still use them end."""

from __future__ import annotations

import threading

from tashihiki_server.collection.collection import Collection

# Longer than any search takes; their memory and files are let go of then.
GRACE_SECONDS = 60.0


class RetiredCollections:
    """Closes each some time after it was put here. Safe to use from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._timers: dict[Collection, threading.Timer] = {}

    def put(self, collection: Collection) -> None:
        """Takes a collection over; does not wait for another that is being closed."""
        timer = threading.Timer(GRACE_SECONDS, self._close, [collection])
        timer.daemon = True
        self._timers[collection] = timer
        timer.start()

    def close(self, name: str = "") -> None:
        """Closes those of a name, or all, at once."""
        for collection in list(self._timers):
            if name in ("", collection.settings.name):
                self._close(collection)

    def _close(self, collection: Collection) -> None:
        # Under the lock, so that none is still open when `close` returns.
        with self._lock:
            if (timer := self._timers.pop(collection, None)) is not None:
                timer.cancel()
                collection.close()
