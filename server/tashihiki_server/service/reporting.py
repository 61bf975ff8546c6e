"""Long work that tells how far it is, as a generator of responses needs it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from typing import Generic, TypeVar

from tashihiki_server.deadline import check_deadline

_Result = TypeVar("_Result")

# How long a caller that has left may go unnoticed.
_CHECK_SECONDS = 0.1
# How much further the work must be to be told again.
_STEP = 0.01


def reported(
    work: Callable[[Callable[[float], None]], _Result],
) -> Generator[float, None, _Result]:
    """Runs work on a thread of its own.

    Args:
        work: given what to call with the share that is done; once the generator was closed, or
            its deadline has passed, that call raises and ends the work.

    Yields:
        The share that is done, whenever it has risen by a hundredth.

    Returns:
        What the work returned.

    Raises:
        DeadlineExceededError: DEADLINE_EXCEEDED; else what the work raises.
    """
    run = _Run(work)
    run.start()
    told = 0.0
    try:
        while not run.ended(_CHECK_SECONDS, told + _STEP):
            check_deadline()
            if run.share >= told + _STEP:
                told = run.share
                yield told
        return run.result()
    finally:
        run.abandon()


class _AbandonedError(Exception):
    """Nobody waits for the work any more."""


class _Run(Generic[_Result]):
    def __init__(self, work: Callable[[Callable[[float], None]], _Result]) -> None:
        self._work = work
        self._changed = threading.Condition()
        self._ended = self._abandoned = False
        self._outcome: list[_Result] = []
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="reported")
        self.share = 0.0

    def start(self) -> None:
        self._thread.start()

    def _run(self) -> None:
        try:
            self._outcome.append(self._work(self._advanced))
        except BaseException as error:
            self._error = error
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def _advanced(self, share: float) -> None:
        with self._changed:
            if self._abandoned:
                raise _AbandonedError
            self.share = share
            self._changed.notify_all()

    def ended(self, seconds: float, share: float) -> bool:
        """Waits for the end, or until this share is done, or so many seconds."""
        with self._changed:
            self._changed.wait_for(lambda: self._ended or self.share >= share, seconds)
            return self._ended

    def result(self) -> _Result:
        if self._error is not None:
            raise self._error
        return self._outcome[0]

    def abandon(self) -> None:
        with self._changed:
            self._abandoned = True
        self._thread.join()
