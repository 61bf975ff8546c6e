"""How far a server is behind with what it has to do."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tashihiki.errors import ResourceExhaustedError
from tashihiki_server.service.admission import overloaded

_BEAT_SECONDS = 0.02
_CALL_SECONDS = 0.1
# Of the event loop's lateness: about what a dozen callers' searches take that come at once.
CALM_SECONDS = 0.05
# Any machine stands still now and then; only where so many calls came meanwhile are there too many.
_FLOOD = 64


class Pulse:
    """Feels how late the event loop is, and how long a call waits before the loop sees it.

    Calls that the loop has not come to yet wait in gRPC, where nothing can be known of them. So the
    server calls itself, and what its own call waits, the others wait too. It belongs to one loop.
    """

    def __init__(self, max_wait: float) -> None:
        """Does not beat yet.

        Args:
            max_wait: seconds that a call may wait before the loop sees it.
        """
        self._max_wait = max_wait
        self._late = 0.0
        self._waited = 0.0
        self._called: float | None = None
        self._seen = 0
        self._next: asyncio.TimerHandle | None = None
        self._calls: asyncio.Task[None] | None = None

    @property
    def calm(self) -> bool:
        """Whether the last beat came in time, so that the loop can take on short work itself."""
        return self._late < CALM_SECONDS

    def refusal(self) -> ResourceExhaustedError | None:
        """Why a call that comes now is not taken on: OVERLOADED; None when it is.

        It is to be asked once for each call.
        """
        self._seen += 1
        wait = self._waited
        if self._called is not None:
            wait = max(wait, time.perf_counter() - self._called)
        if wait <= self._max_wait or self._seen < _FLOOD:
            return None
        return overloaded("more calls come than can be read", wait)

    def start(self, address: str) -> None:
        """Begins to beat on the running loop.

        Args:
            address: of the server, host and port.
        """
        loop = asyncio.get_running_loop()
        self._beat(loop, loop.time())
        self._calls = loop.create_task(self._call(address))

    def _beat(self, loop: asyncio.AbstractEventLoop, due: float) -> None:
        now = loop.time()
        self._late = now - due
        self._next = loop.call_at(now + _BEAT_SECONDS, self._beat, loop, now + _BEAT_SECONDS)

    async def _call(self, address: str) -> None:
        async with grpc.aio.insecure_channel(address) as channel:
            stub: Any = health_pb2_grpc.HealthStub(channel)
            request = health_pb2.HealthCheckRequest()
            while True:
                self._called, self._seen = time.perf_counter(), 0
                # It is answered however late, and anything else is not this one's business.
                with suppress(grpc.RpcError):
                    await stub.Check(request, wait_for_ready=True)
                self._waited = time.perf_counter() - self._called
                self._called = None
                await asyncio.sleep(_CALL_SECONDS)

    async def stop(self) -> None:
        """Beats no more."""
        if self._next is not None:
            self._next.cancel()
        if self._calls is not None:
            self._calls.cancel()
            with suppress(asyncio.CancelledError):
                await self._calls
