"""What load is put on: our service over gRPC, a rival over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import grpc
from google.rpc import error_details_pb2, status_pb2

from tashihiki.v1 import search_pb2

OK = "OK"
SEARCH = "/tashihiki.v1.SearchService/Search"


@dataclass(frozen=True)
class Answer:
    """How a call ended.

    Attributes:
        code: OK, or the status.
        hinted: whether the refusal said when to come again.
    """

    code: str
    hinted: bool = False


class Connection(Protocol):
    """One caller's, for calls one after the other or at once."""

    async def ask(self, number: int, timeout: float) -> Answer:
        """Makes a call; never raises for its failure."""
        ...

    async def close(self) -> None:
        """Ends it."""
        ...


class Target(Protocol):
    """Goes to processes that open connections."""

    def connect(self, number: int) -> Connection:
        """A connection that shares nothing with those of other numbers."""
        ...


@dataclass(frozen=True)
class GrpcTarget:
    """A SearchService.

    Attributes:
        address: host and port.
        requests: serialised SearchRequests, asked in turn.
    """

    address: str
    requests: Sequence[bytes]

    def connect(self, number: int) -> Connection:
        """See `Target.connect`."""
        requests = [search_pb2.SearchRequest.FromString(request) for request in self.requests]
        return _GrpcConnection(self.address, requests, number)


class _GrpcConnection:
    def __init__(
        self, address: str, requests: Sequence[search_pb2.SearchRequest], number: int
    ) -> None:
        # Channels of the same arguments would share one connection. No retries: refusals count.
        options = [("caller", number), ("grpc.enable_retries", 0)]
        self._channel = grpc.aio.insecure_channel(address, options)
        self._search = self._channel.unary_unary(
            SEARCH,
            request_serializer=search_pb2.SearchRequest.SerializeToString,
            response_deserializer=search_pb2.SearchResponse.FromString,
        )
        self._requests = requests

    async def ask(self, number: int, timeout: float) -> Answer:
        try:
            await self._search(self._requests[number % len(self._requests)], timeout=timeout)
        except grpc.aio.AioRpcError as error:
            return Answer(error.code().name, _has_hint(error))
        return Answer(OK)

    async def close(self) -> None:
        await self._channel.close()


def _has_hint(error: grpc.aio.AioRpcError) -> bool:
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin" and isinstance(value, bytes):
            details = status_pb2.Status.FromString(value).details
            return any(detail.Is(error_details_pb2.RetryInfo.DESCRIPTOR) for detail in details)
    return False


@dataclass(frozen=True)
class HttpTarget:
    """A rival that takes POST requests, without the cost of a client library, in its favour.

    Attributes:
        host: that it listens on.
        port: that it listens on.
        path: of all requests.
        bodies: posted in turn.
    """

    host: str
    port: int
    path: str
    bodies: Sequence[bytes]

    def connect(self, number: int) -> Connection:
        """See `Target.connect`."""
        return _HttpConnection(self, number)


class _HttpConnection:
    def __init__(self, target: HttpTarget, number: int) -> None:
        self._target = target
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, number: int, timeout: float) -> Answer:
        body = self._target.bodies[number % len(self._target.bodies)]
        try:
            status = await asyncio.wait_for(self._post(body), timeout)
        except (OSError, EOFError, ValueError, asyncio.TimeoutError) as error:
            return Answer(type(error).__name__)
        return Answer(OK if status == 200 else str(status))

    async def _post(self, body: bytes) -> int:
        if self._streams is None:
            self._streams = await asyncio.open_connection(self._target.host, self._target.port)
        reader, writer = self._streams
        head = f"POST {self._target.path} HTTP/1.1\r\nHost: rival\r\nContent-Length: {len(body)}"
        writer.write(f"{head}\r\nContent-Type: application/json\r\n\r\n".encode() + body)
        status, *fields = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").splitlines()
        sizes = [f.partition(":")[2] for f in fields if f.lower().startswith("content-length:")]
        await reader.readexactly(int(sizes[0]))
        return int(status.split()[1])

    async def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
