"""A real gRPC server on a loopback port that answers as a test tells it to."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent import futures
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from grpc_status import rpc_status

from tashihiki import TashihikiError
from tashihiki.status import to_status
from tashihiki.v1 import catalog_pb2, discovery_pb2, maintenance_pb2, search_pb2

Step = Message | Exception
# Of a method that streams, a sequence of messages that an error may end.
Answer = (
    Step
    | Sequence[Step]
    | Callable[[Any, grpc.ServicerContext], Message]
    | Callable[[Any, grpc.ServicerContext], Iterator[Message]]
)
CONTRACT = (search_pb2, catalog_pb2, discovery_pb2, maintenance_pb2)


@dataclass
class Received:
    """One call as the server saw it."""

    method: str
    request: Any
    time_remaining: float


@dataclass
class ScriptedServer:
    """Answers each method with its answers in turn; the last one stays."""

    calls: list[Received] = field(default_factory=list)
    _answers: dict[str, list[Answer]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._server = grpc.server(
            futures.ThreadPoolExecutor(8),
            options=[("grpc.max_receive_message_length", 64 << 20), ("grpc.so_reuseport", 0)],
        )
        for pb2 in CONTRACT:
            for service in pb2.DESCRIPTOR.services_by_name.values():
                self._server.add_generic_rpc_handlers((self._handler(service),))
        self.port = self._server.add_insecure_port("127.0.0.1:0")
        self.target = f"127.0.0.1:{self.port}"

    def start(self) -> None:
        self._server.start()

    def stop(self) -> None:
        self._server.stop(0).wait()

    def answer(self, method: str, *answers: Answer) -> None:
        self._answers[method] = list(answers)

    def received(self, method: str) -> list[Any]:
        return [call.request for call in self.calls if call.method == method]

    def _handler(self, service: Any) -> grpc.GenericRpcHandler:
        handlers: dict[str, grpc.RpcMethodHandler[Any, Any]] = {}
        for method in service.methods:
            serialisers: dict[str, Any] = {
                "request_deserializer": GetMessageClass(method.input_type).FromString,
                "response_serializer": lambda message: message.SerializeToString(),
            }
            handlers[method.name] = (
                grpc.unary_stream_rpc_method_handler(self._stream(method.name), **serialisers)
                if method.server_streaming
                else grpc.unary_unary_rpc_method_handler(
                    self._reply(method.name, GetMessageClass(method.output_type)), **serialisers
                )
            )
        return grpc.method_handlers_generic_handler(service.full_name, handlers)

    def _next(self, name: str, request: Any, context: grpc.ServicerContext, default: Any) -> Any:
        with self._lock:
            self.calls.append(Received(name, request, context.time_remaining()))
            script = self._answers.get(name, [default])
            return script.pop(0) if len(script) > 1 else script[0]

    def _reply(self, name: str, empty: type[Message]) -> Callable[[Any, Any], Message]:
        def reply(request: Any, context: grpc.ServicerContext) -> Message:
            answer = self._next(name, request, context, empty())
            return answer(request, context) if callable(answer) else _message(answer, context)

        return reply

    def _stream(self, name: str) -> Callable[[Any, Any], Iterator[Message]]:
        def stream(request: Any, context: grpc.ServicerContext) -> Iterator[Message]:
            answer = self._next(name, request, context, ())
            if callable(answer):
                yield from answer(request, context)
                return
            for step in (answer,) if isinstance(answer, Exception) else answer:
                yield _message(step, context)

        return stream


def _message(step: Step, context: grpc.ServicerContext) -> Message:
    if isinstance(step, TashihikiError):
        context.abort_with_status(rpc_status.to_status(to_status(step)))
    if isinstance(step, Exception):
        raise step
    return step
