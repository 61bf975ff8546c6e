"""The fake server: gRPC on a loopback port around services in memory."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping
from concurrent import futures
from importlib.metadata import entry_points
from types import TracebackType
from typing import Any, Protocol, TypeAlias

import grpc
from google.protobuf import wrappers_pb2
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from grpc_status import rpc_status

from tashihiki import _batches
from tashihiki._image import ImageSource, read_image
from tashihiki.catalog import Item
from tashihiki.errors import FailedPreconditionError, TashihikiError
from tashihiki.status import to_status
from tashihiki.testing.requests import Received, Requests
from tashihiki.v1 import catalog_pb2, discovery_pb2, maintenance_pb2, search_pb2

_CONTRACT = (search_pb2, catalog_pb2, discovery_pb2, maintenance_pb2)
_MAX_MESSAGE_BYTES = 64 * 2**20
_THREADS = 16
_BATCH = 1000
_SERVING = 1
_NO_DEADLINE = 1e9

_Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"


class _Services(Protocol):
    """What answers; see `tashihiki_server.fake`."""

    def answer(self, method: str, request: Message) -> Message: ...

    def load(self, collection: str, items: list[catalog_pb2.ItemInput]) -> None: ...

    def recognise(self, picture: bytes, attributes: Mapping[str, str]) -> None: ...


class FakeServer:
    """Answers clients in any language as a Tashihiki server does, without pictures being seen.

    Collections, items, labels, filters, expressions and errors are as on a real server. What
    pictures look like is made up: items are compared by their labels, so that `KR + HAPPY` finds
    those that have both first. Other calls fail with UNIMPLEMENTED, reason NOT_IN_FAKE.

        with FakeServer({"items": [Item("mug", attributes={"colour": "red"})]}) as server:
            client = Client(server.address)

    Attributes:
        address: host and port, which no other server has.
    """

    address: str

    def __init__(
        self, collections: Mapping[str, Iterable[Item]] | None = None, *, dimension: int = 64
    ) -> None:
        """Serves at once, until `close()` or the end of the `with` block.

        Args:
            collections: items by the name of their collection, as for `load`.
            dimension: the length of embeddings.

        Raises:
            FailedPreconditionError: TESTING_NOT_INSTALLED.
            TashihikiError: for an item that a server would refuse.
        """
        if dimension < 1:
            raise ValueError(f"dimension is at least 1, not {dimension}")
        self._services = _services(dimension)
        self._requests = Requests()
        for name, items in (collections or {}).items():
            self.load(name, items)
        self._server = grpc.server(
            futures.ThreadPoolExecutor(_THREADS, thread_name_prefix="fake-tashihiki"),
            options=[
                ("grpc.so_reuseport", 0),
                ("grpc.max_receive_message_length", _MAX_MESSAGE_BYTES),
                ("grpc.max_send_message_length", _MAX_MESSAGE_BYTES),
            ],
        )
        self._server.add_generic_rpc_handlers([*self._handlers(), _health()])
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()

    def __enter__(self) -> FakeServer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends the calls under way and hangs up; closing again does nothing."""
        self._server.stop(0).wait()

    def load(self, collection: str, items: Iterable[Item] = ()) -> None:
        """Adds items without a call; the collection is made if it is not there.

        Items need neither a picture nor a vector: their labels are enough.

        Args:
            collection: its name.
            items: the items; one that is there is replaced.

        Raises:
            TashihikiError: for an item that a server would refuse.
        """
        self._services.load(collection, [])
        for batch in _batches.item_batches(items, _BATCH, collect=False):
            self._services.load(collection, batch.messages)

    def recognise(self, picture: ImageSource, attributes: Mapping[str, str]) -> None:
        """Lets a picture that no item has show something when it is searched with.

        Otherwise a picture shows the labels of the item that has the same file, or else nothing
        that any item has in common with it.

        Args:
            picture: a path, bytes, a binary file or a PIL image.
            attributes: facet to value.

        Raises:
            InvalidArgumentError: as for a picture or attributes that a server would refuse.
        """
        self._services.recognise(read_image(picture), attributes)

    def fail_next(self, method: str, error: TashihikiError, *, times: int = 1) -> None:
        """Lets the next calls of a method fail, before anything is done.

            server.fail_next("Search", NotFoundError("gone", reason="UNKNOWN_COLLECTION"))

        Clients send a call that was UNAVAILABLE again; `times=4` is what the default
        `RetryConfig` does not outlast.

        Args:
            method: its name without the service, for example `UpsertItems`.
            error: the client raises one of the same class, reason, field, remedy and details.
            times: how many calls, retries included.
        """
        self._requests.fail_next(_known(method), error, _positive(times))

    def delay_next(self, method: str, seconds: float, *, times: int = 1) -> None:
        """Lets the next calls of a method take longer, for tests of deadlines.

        Args:
            method: its name without the service.
            seconds: before anything is done, and before a failure that is planned.
            times: how many calls, retries included.
        """
        self._requests.delay_next(_known(method), seconds, _positive(times))

    def received(self, method: str | None = None) -> tuple[Received, ...]:
        """The calls so far in the order in which they came, retries included; of one method.

        Health checks are not among them, nor what `load` did.
        """
        return self._requests.received(None if method is None else _known(method))

    def _handlers(self) -> Iterator[grpc.GenericRpcHandler]:
        for contract in _CONTRACT:
            for service in contract.DESCRIPTOR.services_by_name.values():
                methods = {method.name: self._handler(method) for method in service.methods}
                yield grpc.method_handlers_generic_handler(service.full_name, methods)

    def _handler(self, method: Any) -> _Handler:
        def call(request: Message, context: grpc.ServicerContext) -> Message:
            return self._answer(method.name, request, context)

        def stream(request: Message, context: grpc.ServicerContext) -> Iterator[Message]:
            yield self._answer(method.name, request, context)

        read = GetMessageClass(method.input_type).FromString
        write = GetMessageClass(method.output_type).SerializeToString
        if method.server_streaming:
            return grpc.unary_stream_rpc_method_handler(stream, read, write)
        return grpc.unary_unary_rpc_method_handler(call, read, write)

    def _answer(self, method: str, request: Message, context: grpc.ServicerContext) -> Message:
        received = Received(method, request, _time_remaining(context))
        seconds, error = self._requests.arrived(received)
        if seconds:
            self._wait(seconds, context)
        try:
            if error is not None:
                raise error
            return self._services.answer(method, request)
        except TashihikiError as failure:
            context.abort_with_status(rpc_status.to_status(to_status(failure)))
            raise

    def _wait(self, seconds: float, context: grpc.ServicerContext) -> None:
        # Neither a caller who has left nor `close` waits for the end of a delay.
        over = threading.Event()
        if context.add_callback(over.set):
            over.wait(seconds)


def _time_remaining(context: grpc.ServicerContext) -> float | None:
    # Without a deadline gRPC names one in the far future.
    seconds: float | None = context.time_remaining()
    return seconds if seconds is not None and seconds < _NO_DEADLINE else None


def _services(dimension: int) -> _Services:
    missing = "tashihiki_server"
    try:
        for entry in entry_points(group="tashihiki.testing", name="services"):
            services: _Services = entry.load()(dimension)
            return services
    except ModuleNotFoundError as error:
        missing = error.name or missing
    raise FailedPreconditionError(
        f"the fake server needs more than is installed ({missing})",
        reason="TESTING_NOT_INSTALLED",
        remedy="From the checkout: pip install -e '.[testing]'.",
    )


def _health() -> grpc.GenericRpcHandler:
    def check(request: Message, context: grpc.ServicerContext) -> Message:
        return wrappers_pb2.Int32Value(value=_SERVING)

    # These wrappers have the layout of HealthCheckRequest and HealthCheckResponse.
    handler = grpc.unary_unary_rpc_method_handler(
        check, wrappers_pb2.StringValue.FromString, wrappers_pb2.Int32Value.SerializeToString
    )
    return grpc.method_handlers_generic_handler("grpc.health.v1.Health", {"Check": handler})


def _known(method: str) -> str:
    names = [
        known.name
        for contract in _CONTRACT
        for service in contract.DESCRIPTOR.services_by_name.values()
        for known in service.methods
    ]
    if method not in names:
        raise ValueError(f"there is no method {method!r}; there are {', '.join(sorted(names))}")
    return method


def _positive(times: int) -> int:
    if times < 1:
        raise ValueError(f"times is at least 1, not {times}")
    return times
