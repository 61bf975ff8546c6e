"""How far a server is behind with what it has to do."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress
from typing import Any

import grpc

from tashihiki.errors import ResourceExhaustedError
from tashihiki_server.service.admission import overloaded

logger = logging.getLogger(__name__)

_METHOD = "/tashihiki.Pulse/Call"
_BEAT_SECONDS = 0.02
_CALL_SECONDS = 0.05
# Of the event loop's lateness: about what a dozen callers' searches take that come at once.
CALM_SECONDS = 0.05
# Any machine stands still now and then; only where so many calls came meanwhile are there too many.
_FLOOD = 64
# Of the longest wait: from there on, some calls are refused.
_EARLY = 0.2
# What a call to itself may take where nobody waits.
_IDLE_SECONDS = 0.02
# Nobody waits longer than that for an answer, and the server does not for its own.
_PATIENCE_SECONDS = 10.0


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
        self._reached = False
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
        early = max(_EARLY * self._max_wait, _IDLE_SECONDS)
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
        # A proxy is for the way to others.
        options = [("grpc.enable_http_proxy", 0)]
        async with grpc.aio.insecure_channel(address, options) as channel:
            call: Any = channel.unary_unary(_METHOD)
            while True:
                begin = time.perf_counter()
                # Where the server cannot reach itself nothing is known of how long calls wait.
                self._called, self._seen = begin if self._reached else None, 0
                try:
                    await call(b"", timeout=_PATIENCE_SECONDS)
                    self._waited, self._reached = time.perf_counter() - begin, True
                except grpc.RpcError as error:
                    # Once it has reached itself, it is only late.
                    late = self._reached and error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
                    self._waited, self._reached = _PATIENCE_SECONDS if late else 0.0, late
                    logger.warning("the server's call to itself failed: %s", error.code())
                self._called = None
                await asyncio.sleep(_CALL_SECONDS if self._reached else _PATIENCE_SECONDS)

    async def stop(self) -> None:
        """Beats no more."""
        if self._next is not None:
            self._next.cancel()
        if self._calls is not None:
            self._calls.cancel()
            with suppress(asyncio.CancelledError):
                await self._calls
