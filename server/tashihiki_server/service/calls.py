"""Runs the methods of an API on threads, so that the event loop is never blocked."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeAlias, TypeVar

import grpc
from google.protobuf.message import Message
from google.rpc import status_pb2
from grpc_status import rpc_status

from tashihiki.errors import InternalError, ResourceExhaustedError, TashihikiError
from tashihiki.status import to_status
from tashihiki_server.deadline import check_deadline, deadline

logger = logging.getLogger(__name__)

_Request = TypeVar("_Request")
_Response = TypeVar("_Response", bound=Message)
_Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


class Calls:
    """Servicers of APIs whose methods take a request and return a response or generate them."""

    def __init__(self, executor: ThreadPoolExecutor, max_bytes: int) -> None:
        """Runs calls.

        Args:
            executor: whose threads run the methods.
            max_bytes: of one response.
        """
        self._executor = executor
        self._max_bytes = max_bytes

    def servicer(self, api: object, service: Any) -> Any:
        """A servicer whose CamelCase methods call the API's snake_case ones.

        The method of a server-streaming RPC is a generator. It runs from one response to the next,
        maybe on another thread each time, and only when the caller has room for one more; so it
        must hold no lock and no read of a catalogue while it yields. It is closed when the caller
        leaves.
        """
        methods = {}
        for method in service.methods:
            wrap = self._stream if method.server_streaming else self._single
            methods[method.name] = staticmethod(wrap(getattr(api, _snake(method.name))))
        return type(service.name, (), methods)()

    def _single(
        self, work: Callable[[_Request], _Response]
    ) -> Callable[[_Request, _Context], Awaitable[_Response]]:
        async def call(request: _Request, context: _Context) -> _Response:
            waited = _Waited(context)

            def run() -> _Response:
                with waited.on():
                    return self._bounded(work(request))

            try:
                return await asyncio.wrap_future(self._executor.submit(run))
            except asyncio.CancelledError:
                waited.no_more()
                raise
            except Exception as error:
                status = _status(error)
            await context.abort_with_status(rpc_status.to_status(status))
            raise AssertionError("abort_with_status does not return")

        return call

    def _stream(
        self, work: Callable[[_Request], Iterator[_Response]]
    ) -> Callable[[_Request, _Context], Awaitable[None]]:
        async def call(request: _Request, context: _Context) -> None:
            waited = _Waited(context)
            responses = _begun_later(work, request)

            def step() -> _Response | None:
                with waited.on():
                    response = next(responses, None)
                    return None if response is None else self._bounded(response)

            running: Future[_Response | None] = Future()
            running.cancel()
            try:
                while True:
                    running = self._executor.submit(step)
                    response = await asyncio.wrap_future(running)
                    if response is None:
                        return
                    # Done when the transport has taken it, which a slow reader delays.
                    await context.write(response)
            except asyncio.CancelledError:
                waited.no_more()
                raise
            except Exception as error:
                status = _status(error)
            finally:
                running.add_done_callback(lambda _: self._close(responses))
            await context.abort_with_status(rpc_status.to_status(status))

        return call

    def _close(self, responses: Generator[_Response, None, None]) -> None:
        try:
            self._executor.submit(_closed, responses)
        except RuntimeError:  # The server has stopped.
            _closed(responses)

    def _bounded(self, response: _Response) -> _Response:
        size = response.ByteSize()
        if size > self._max_bytes:
            raise ResourceExhaustedError(
                f"the answer has {size} bytes, over the limit of {self._max_bytes}",
                reason="RESPONSE_TOO_LARGE",
                remedy="Ask for fewer hits or items at a time, or for less of each.",
            )
        return response


class _Waited:
    """Whether the caller still waits."""

    def __init__(self, context: _Context) -> None:
        self._context = context
        self._gone = threading.Event()

    def no_more(self) -> None:
        self._gone.set()

    @contextmanager
    def on(self) -> Iterator[None]:
        """Work for the caller, which ends at the next check once nobody waits."""
        with deadline(self._remaining):
            check_deadline()
            yield

    def _remaining(self) -> float | None:
        return 0.0 if self._gone.is_set() else self._context.time_remaining()


def _begun_later(
    work: Callable[[_Request], Iterator[_Response]], request: _Request
) -> Generator[_Response, None, None]:
    yield from work(request)


def _closed(responses: Generator[_Response, None, None]) -> None:
    try:
        responses.close()
    except Exception:
        logger.exception("a call failed when its caller had left")


def _status(error: Exception) -> status_pb2.Status:
    if isinstance(error, TashihikiError):
        return to_status(error)
    logger.error("a call failed", exc_info=error)
    return to_status(
        InternalError(
            "the server failed in a way that it did not expect",
            reason="INTERNAL",
            remedy="Its log has the cause; please report it.",
        )
    )


def _snake(name: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_")
