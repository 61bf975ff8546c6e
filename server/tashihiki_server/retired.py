"""Collections that others have taken the place of, until the calls that still use them end."""

from __future__ import annotations

import threading

from tashihiki_server.collection.collection import Collection
from tashihiki_server.frozen import give_back

# Longer than any search takes; their memory and files are let go of then.
GRACE_SECONDS = 60.0


class RetiredCollections:
    """Closes each some time after it was put here. Safe to use from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[int, tuple[Collection, threading.Timer]] = {}

    def put(self, collection: Collection) -> None:
        """Takes a collection over; does not wait for another that is being closed."""
        # By a number, since a thread's arguments stay until it ends.
        number = id(collection)
        timer = threading.Timer(GRACE_SECONDS, self._close, [number])
        timer.daemon = True
        self._waiting[number] = collection, timer
        timer.start()

    def close(self, name: str = "") -> None:
        """Closes those of a name, or all, at once."""
        waiting = {number: kept.settings.name for number, (kept, _) in list(self._waiting.items())}
        for number, kept_name in waiting.items():
            if name in ("", kept_name):
                self._close(number)

    def _close(self, number: int) -> None:
        # Under the lock, so that none is still open when `close` returns.
        with self._lock:
            if number not in self._waiting:
                return
            collection, timer = self._waiting.pop(number)
            timer.cancel()
            collection.close()
        del collection
        give_back()
