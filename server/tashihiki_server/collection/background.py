"""Work that must not keep a caller waiting."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor, wait

logger = logging.getLogger(__name__)

RETRY_SECONDS = 30.0


class Background:
    """One thread each for prototypes, index builds and fits, shared by collections."""

    def __init__(self) -> None:
        self.prototypes = ThreadPoolExecutor(1, thread_name_prefix="prototypes")
        self.builds = ThreadPoolExecutor(1, thread_name_prefix="builds")
        self.fits = ThreadPoolExecutor(1, thread_name_prefix="fits")

    def close(self) -> None:
        """Ends after the work under way; what waits is dropped."""
        for executor in (self.prototypes, self.builds, self.fits):
            executor.shutdown(cancel_futures=True)


class Task:
    """Work of one kind for one collection, never under way twice at once."""

    def __init__(
        self,
        executor: Executor,
        lock: threading.RLock,
        *,
        due: Callable[[], bool],
        work: Callable[[], float | None],
        patience: Callable[[], float] = lambda: 0.0,
    ) -> None:
        """Makes a task that nobody has ordered yet.

        Args:
            executor: whose thread works.
            lock: that `due` is asked under.
            due: whether there is something to do.
            work: does it; returns for how many seconds to rest before the next time, or None
                after a failure, which is tried again after RETRY_SECONDS.
            patience: for how many seconds to wait before what is due is looked at again; 0 to
                begin.
        """
        self._executor = executor
        self._lock = lock
        self._due = due
        self._work = work
        self._patience = patience
        self._future: Future[None] | None = None
        self._resting: threading.Timer | None = None
        self._closed = False

    @property
    def ordered(self) -> bool:
        """Whether it waits for its thread or is under way."""
        return self._future is not None

    def consider(self) -> None:
        """Orders the work if it is due, once it has rested and has waited long enough."""
        with self._lock:
            if self._resting is None and self._future is None and self._due():
                if seconds := self._patience():
                    self._rest(seconds)
                else:
                    self.order()

    def order(self) -> None:
        """Orders the work at once, unless it is ordered already."""
        with self._lock:
            if self._future is None and not self._closed:
                try:
                    self._future = self._executor.submit(self._run)
                except RuntimeError:
                    logger.debug("nothing is begun while the process shuts down")

    def _run(self) -> None:
        rest = None
        try:
            rest = self._work()
        except Exception:
            logger.exception("work in the background failed")
        finally:
            with self._lock:
                self._future = None
                self._rest(RETRY_SECONDS if rest is None else rest)
                self.consider()

    def _rest(self, seconds: float) -> None:
        if self._resting is not None:
            self._resting.cancel()
            self._resting = None
        if seconds and not self._closed:
            self._resting = threading.Timer(seconds, self._rested)
            self._resting.daemon = True
            self._resting.start()

    def _rested(self) -> None:
        with self._lock:
            self._resting = None
            self.consider()

    def wait(self) -> None:
        """Waits for the end of what is ordered now."""
        if (future := self._future) is not None:
            wait([future])

    def close(self) -> None:
        """Orders nothing more; what is under way is not waited for."""
        with self._lock:
            self._closed = True
            self._rest(0)
            # What still waits behind another collection's work is dropped.
            if self._future is not None and self._future.cancel():
                self._future = None
