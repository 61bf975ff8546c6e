"""How far a server is behind with what it has to do."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import Any

import grpc

from tashihiki.errors import ResourceExhaustedError
from tashihiki_server.service.admission import overloaded

_METHOD = "/tashihiki.Pulse/Call"
_BEAT_SECONDS = 0.02
_CALL_SECONDS = 0.05
# Of the event loop's lateness: about what a dozen callers' searches take that come at once.
CALM_SECONDS = 0.05
# Any machine stands still now and then; only where so many calls came meanwhile are there too many.
_FLOOD = 64
# Of the longest wait: from there on, some calls are refused.
_EARLY = 0.2


class Pulse(grpc.GenericRpcHandler):
    """Feels how late the event loop is, and how long a call waits before the loop sees it.

    Calls that the loop has not come to yet wait in gRPC, where nothing can be known of them. So the
    server calls itself, and what its own call waits, the others wait too; health checks have a
    queue of their own there. The longer the wait, the more calls are refused, so that it settles
    where the rest can be answered: random early detection (Floyd and Jacobson 1993), but evenly.
    It belongs to one loop.
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
        self._owed = 0.0
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
        early = _EARLY * self._max_wait
        if wait <= early or self._seen < _FLOOD:
            self._owed = 0.0
            return None
        self._owed += min((wait - early) / max(self._max_wait - early, 1e-9), 1.0)
        if self._owed < 1.0:
            return None
        self._owed -= 1.0
        return overloaded("more calls come than can be answered", wait)

    def service(
        self, handler_call_details: grpc.HandlerCallDetails
    ) -> grpc.RpcMethodHandler[bytes, bytes] | None:
        """Takes the server's own calls; it is to be added to the server like any service."""
        if handler_call_details.method != _METHOD:
            return None

        async def answer(request: bytes, context: object) -> bytes:
            return request

        return grpc.unary_unary_rpc_method_handler(answer)

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
            call: Any = channel.unary_unary(_METHOD)
            while True:
                self._called, self._seen = time.perf_counter(), 0
                # It is answered however late, and anything else is not this one's business.
                with suppress(grpc.RpcError):
                    await call(b"", wait_for_ready=True)
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
