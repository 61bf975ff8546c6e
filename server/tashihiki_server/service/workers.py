"""The threads of a service, and the calls that wait for one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from tashihiki.errors import ResourceExhaustedError
from tashihiki_server.service.admission import Admission

_Result = TypeVar("_Result")


@dataclass(eq=False)
class _Job(Generic[_Result]):
    """A piece of work; `running` is None while it waits."""

    method: str
    work: Callable[[], _Result]
    ended: asyncio.Future[Future[_Result]]
    running: Future[_Result] | None = None
    seconds: float = 0.0

    def run(self) -> _Result:
        begin = time.perf_counter()
        try:
            return self.work()
        finally:
            self.seconds = time.perf_counter() - begin


class Workers:
    """Runs work on threads, first come first served.

    What waits does so in the event loop, so that it can leave at any time.
    """

    def __init__(self, executor: ThreadPoolExecutor, threads: int, max_wait: float) -> None:
        """Uses threads.

        Args:
            executor: that has them.
            threads: how many.
            max_wait: seconds that new work may have to wait, as estimated.
        """
        self._executor = executor
        self._free = threads
        self._admission = Admission(threads, max_wait)
        # A dict keeps the order and lets go of any one at once.
        self._waiting: dict[_Job[Any], None] = {}

    def refusal(self) -> ResourceExhaustedError | None:
        """Why new work is not taken on now: OVERLOADED; None when it is."""
        return None if self._free else self._admission.refusal()

    async def run(
        self,
        method: str,
        work: Callable[[], _Result],
        *,
        admitted: bool = False,
        abandoned: Callable[[], None] = lambda: None,
    ) -> _Result:
        """Runs work on a thread and returns or raises what it does.

        Args:
            method: whose work it is; its duration is estimated by those before it.
            work: what to run. When the task is cancelled before it begins, it never does.
            admitted: whether it belongs to a call that was taken on already.
            abandoned: called when the task is cancelled, once the work does not run (any more).

        Raises:
            ResourceExhaustedError: OVERLOADED.
        """
        if not admitted and (refusal := self.refusal()):
            raise refusal
        job: _Job[_Result] = _Job(method, work, asyncio.get_running_loop().create_future())
        if self._free:
            self._start(job)
        else:
            self._waiting[job] = None
            self._admission.joined(method)
        try:
            ended = await job.ended
        except asyncio.CancelledError:
            self._abandon(job, abandoned)
            raise
        return ended.result()

    def soon(self, work: Callable[[], None]) -> None:
        """Runs short work that nobody waits for; in this thread when the threads have ended."""
        try:
            ran = self._executor.submit(work)
        except RuntimeError:
            work()
        else:
            # The end of the threads drops what they have not begun.
            ran.add_done_callback(lambda future: work() if future.cancelled() else None)

    def _start(self, job: _Job[Any]) -> None:
        loop = job.ended.get_loop()
        job.running = self._executor.submit(job.run)
        self._free -= 1
        job.running.add_done_callback(lambda _: loop.call_soon_threadsafe(self._end, job))

    def _end(self, job: _Job[Any]) -> None:
        assert job.running is not None
        self._free += 1
        if job.running.cancelled():
            job.ended.cancel()
        else:
            self._admission.took(job.method, job.seconds)
            if not job.ended.done():
                job.ended.set_result(job.running)
        if self._waiting:
            following = next(iter(self._waiting))
            self._leave(following)
            self._start(following)

    def _abandon(self, job: _Job[Any], abandoned: Callable[[], None]) -> None:
        if job.running is None:
            self._leave(job)
            abandoned()
        else:
            job.running.cancel()
            job.running.add_done_callback(lambda _: abandoned())

    def _leave(self, job: _Job[Any]) -> None:
        del self._waiting[job]
        self._admission.left(job.method)
