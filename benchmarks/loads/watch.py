"""Looking at something now and then while something else goes on."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from types import TracebackType
from typing import TypeVar

_Watch = TypeVar("_Watch", bound="Watch")


class Watch(ABC):
    """Looks in the background for as long as its block lasts."""

    def __init__(self, every: float) -> None:
        """Looks first when the block begins, and then every so many seconds."""
        self._every = every
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    @abstractmethod
    def look(self) -> None:
        """Looks once."""

    def __enter__(self: _Watch) -> _Watch:
        # At once: what comes before a thread's first look would be lost.
        self.look()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(self._every):
            self.look()
