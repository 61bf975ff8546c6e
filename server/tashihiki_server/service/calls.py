"""Runs the methods of an API on threads, so that the event loop is not blocked for long."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Generator, Iterator, Mapping
from functools import lru_cache
from typing import Any, TypeAlias, TypeVar, cast

import grpc
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.rpc import status_pb2
from grpc_status import rpc_status

from tashihiki.errors import InternalError, ResourceExhaustedError, TashihikiError
from tashihiki.status import to_status
from tashihiki.v1 import search_pb2
from tashihiki_server.deadline import check_deadline, deadline
from tashihiki_server.service.pulse import Pulse
from tashihiki_server.service.workers import Workers
from tashihiki_server.stopwatch import Stopwatch, running

logger = logging.getLogger(__name__)

_Request = TypeVar("_Request")
_Response = TypeVar("_Response", bound=Message)
_Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
_MethodHandler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"


class Calls:
    """Services by APIs whose methods take a request and return a response or generate them."""

    def __init__(self, workers: Workers, pulse: Pulse, max_bytes: int) -> None:
        """Runs calls.

        Args:
            workers: who run the methods.
            pulse: of the event loop.
            max_bytes: of one response.
        """
        self._workers = workers
        self._pulse = pulse
        self._max_bytes = max_bytes

    def handler(self, api: object, service: Any) -> grpc.GenericRpcHandler:
        """Answers a service's CamelCase methods with the API's snake_case ones.

        The method of a server-streaming RPC is a generator. It runs from one response to the next,
        maybe on another thread each time, and only when the caller has room for one more; so it
        must hold no lock and no read of a catalogue while it yields. It is closed when the caller
        leaves.

        A method may have a companion, `search_at_once` for `search`, that answers what is short and
        returns None for the rest. It runs on the event loop, while that keeps up.

        Where a request asks for timings, a stopwatch runs and the response has them.
        """
        methods: dict[str, _MethodHandler] = {}
        for method in service.methods:
            work = getattr(api, _snake(method.name))
            if method.server_streaming:
                make, call = grpc.unary_stream_rpc_method_handler, self._stream(method.name, work)
            else:
                make = grpc.unary_unary_rpc_method_handler
                at_once = getattr(api, f"{_snake(method.name)}_at_once", None)
                timeable = "include_timings" in method.input_type.fields_by_name
                call = self._single(method.name, work, at_once, timeable)
            methods[f"/{service.full_name}/{method.name}"] = make(
                call,
                request_deserializer=GetMessageClass(method.input_type).FromString,
                response_serializer=GetMessageClass(method.output_type).SerializeToString,
            )
        return _Handler(methods, self._refusal)

    def _single(
        self,
        name: str,
        work: Callable[[Any], _Response],
        at_once: Callable[[Any], _Response | None] | None,
        timeable: bool,
    ) -> Callable[[Any, _Context], Awaitable[_Response]]:
        async def call(request: Any, context: _Context) -> _Response:
            arrived = time.perf_counter()
            waited = _Waited(context)

            def answer(how: Callable[[Any], _Response | None]) -> _Response | None:
                with deadline(waited.remaining):
                    check_deadline()
                    if timeable and request.include_timings:
                        response = _timed(how, request, arrived)
                    else:
                        response = how(request)
                    return None if response is None else self._bounded(response)

            def run() -> _Response:
                response = answer(work)
                assert response is not None
                return response

            try:
                if at_once is not None and self._pulse.calm:
                    response = answer(at_once)
                    if response is not None:
                        return response
                return await self._workers.run(name, run)
            except asyncio.CancelledError:
                waited.no_more()
                raise
            except Exception as error:
                status = _status(error)
            await context.abort_with_status(rpc_status.to_status(status))
            raise AssertionError("abort_with_status does not return")

        return call

    def _stream(
        self, name: str, work: Callable[[_Request], Iterator[_Response]]
    ) -> Callable[[_Request, _Context], Awaitable[None]]:
        async def call(request: _Request, context: _Context) -> None:
            waited = _Waited(context)
            responses = _begun_later(work, request)

            def step() -> _Response | None:
                with deadline(waited.remaining):
                    check_deadline()
                    response = next(responses, None)
                    return None if response is None else self._bounded(response)

            def close() -> None:
                self._workers.soon(lambda: _closed(responses))

            admitted = False
            try:
                while True:
                    response = await self._workers.run(
                        name, step, admitted=admitted, abandoned=close
                    )
                    admitted = True
                    if response is None:
                        return
                    try:
                        # Done when the transport has taken it, which a slow reader delays.
                        await context.write(response)
                    except asyncio.CancelledError:
                        close()
                        raise
            except asyncio.CancelledError:
                waited.no_more()
                raise
            except Exception as error:
                close()
                status = _status(error)
            await context.abort_with_status(rpc_status.to_status(status))

        return call

    def _refusal(self) -> ResourceExhaustedError | None:
        return self._pulse.refusal() or self._workers.refusal()

    def _bounded(self, response: _Response) -> _Response:
        size = response.ByteSize()
        if size > self._max_bytes:
            raise ResourceExhaustedError(
                f"the answer has {size} bytes, over the limit of {self._max_bytes}",
                reason="RESPONSE_TOO_LARGE",
                remedy="Ask for fewer hits or items at a time, or for less of each.",
            )
        return response


class _Handler(grpc.GenericRpcHandler):
    """Finds the handler of a call; while the service is overloaded, one that refuses it."""

    def __init__(
        self,
        methods: Mapping[str, _MethodHandler],
        refusal: Callable[[], ResourceExhaustedError | None],
    ) -> None:
        self._methods = methods
        self._refusal = refusal

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> _MethodHandler | None:
        found = self._methods.get(handler_call_details.method)
        refusal = None if found is None else self._refusal()
        if refusal is None:
            return found
        delay = None if refusal.retry_delay is None else round(refusal.retry_delay, 2)
        return _refusing(refusal.message, refusal.reason, refusal.remedy, delay)


# Who has more to refuse than to answer must be quick about it.
@lru_cache(maxsize=100)
def _refusing(message: str, reason: str, remedy: str, retry_delay: float | None) -> _MethodHandler:
    refusal = ResourceExhaustedError(message, reason=reason, remedy=remedy, retry_delay=retry_delay)
    status = rpc_status.to_status(to_status(refusal))

    async def refuse(_: object, context: _Context) -> None:
        await context.abort_with_status(status)

    # One that takes a stream of requests need not read any.
    return grpc.stream_unary_rpc_method_handler(refuse)


class _Waited:
    """Whether the caller still waits; work for one who does not ends at its next check."""

    def __init__(self, context: _Context) -> None:
        self._context = context
        self._gone = False

    def no_more(self) -> None:
        self._gone = True

    def remaining(self) -> float | None:
        return 0.0 if self._gone else self._context.time_remaining()


def _timed(
    work: Callable[[Any], _Response | None], request: Any, arrived: float
) -> _Response | None:
    watch = Stopwatch(arrived)
    watch.lap("queue")
    with running(watch):
        response = work(request)
    if response is None:
        return None
    stages = [
        search_pb2.Stage(name=name, seconds=seconds) for name, seconds in watch.stages.items()
    ]
    timings = search_pb2.Timings(total_seconds=watch.total, stages=stages)
    cast(Any, response).timings.CopyFrom(timings)
    return response


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
