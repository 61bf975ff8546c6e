"""Sending a call again that a busy server refused, no sooner than the server asks."""

from __future__ import annotations

import random
import time

from tashihiki.errors import ResourceExhaustedError, TashihikiError

# Callers that were refused together must not come back together.
_SPREAD = 0.5


class Attempts:
    """The attempts at one call, all of them within its deadline.

    What was refused with a delay was not begun, so that any call may be sent again.
    """

    def __init__(self, most: int, timeout: float) -> None:
        """Allows the first one.

        Args:
            most: the first one included.
            timeout: seconds for all together.
        """
        self._left = most - 1
        self._end = time.monotonic() + timeout

    @property
    def remaining(self) -> float:
        """Seconds until the deadline, above 0."""
        return max(self._end - time.monotonic(), 0.001)

    def pause(self, error: TashihikiError) -> float | None:
        """Seconds to wait before another attempt; None when the error is the answer."""
        if not isinstance(error, ResourceExhaustedError) or error.retry_delay is None:
            return None
        pause = error.retry_delay * random.uniform(1.0, 1.0 + _SPREAD)
        if self._left <= 0 or pause >= self.remaining:
            return None
        self._left -= 1
        return pause
