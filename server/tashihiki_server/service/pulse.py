"""How far an event loop is behind with what it has to do."""

from __future__ import annotations

import asyncio

_PERIOD = 0.02
# Of calls that are answered on the loop: about as many as a dozen callers send at once.
CALM_SECONDS = 0.05


class Pulse:
    """Asks the loop for a beat every so often, and sees how late it comes.

    It belongs to one event loop.
    """

    def __init__(self) -> None:
        """Does not beat yet."""
        self._late = 0.0
        self._next: asyncio.TimerHandle | None = None

    @property
    def calm(self) -> bool:
        """Whether the last beat came in time, so that the loop can take on short work itself."""
        return self._late < CALM_SECONDS

    def start(self) -> None:
        """Begins to beat on the running loop."""
        loop = asyncio.get_running_loop()
        self._beat(loop, loop.time())

    def _beat(self, loop: asyncio.AbstractEventLoop, due: float) -> None:
        now = loop.time()
        self._late = now - due
        self._next = loop.call_at(now + _PERIOD, self._beat, loop, now + _PERIOD)

    def stop(self) -> None:
        """Beats no more."""
        if self._next is not None:
            self._next.cancel()
