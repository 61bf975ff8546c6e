"""The real server in a thread, on a free port of the loopback interface."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import grpc

from tashihiki.v1 import catalog_pb2_grpc, search_pb2_grpc
from tashihiki_server.library import Library
from tashihiki_server.service.server import ServerConfig, serve

LOOPBACK = "127.0.0.1:0"
START_SECONDS = 30.0


@dataclass
class Served:
    """A running server and a channel to it.

    Attributes:
        library: what it serves.
        address: host and port.
        channel: to it, closed with it.
    """

    library: Library
    address: str
    channel: grpc.Channel
    search: search_pb2_grpc.SearchServiceStub = field(init=False)
    catalog: catalog_pb2_grpc.CatalogServiceStub = field(init=False)

    def __post_init__(self) -> None:
        self.search = search_pb2_grpc.SearchServiceStub(self.channel)
        self.catalog = catalog_pb2_grpc.CatalogServiceStub(self.channel)


class _Thread:
    """`serve` on an event loop of its own."""

    def __init__(self, library: Library, config: ServerConfig) -> None:
        self._library = library
        self._config = config
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="server")
        self.port = 0

    def start(self) -> None:
        self._thread.start()
        if not self._ready.wait(START_SECONDS):
            raise TimeoutError("the server did not start")
        if self._error is not None:
            self._thread.join()
            raise self._error

    def stop(self) -> None:
        if self._loop is not None and self._stop is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:
            self._error = error
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        await serve(self._library, self._config, ready=self._answers, stopped=self._stopped)

    async def _stopped(self) -> None:
        assert self._stop is not None
        await self._stop.wait()

    def _answers(self, port: int) -> None:
        self.port = port
        self._ready.set()


@contextmanager
def serving(library: Library, config: ServerConfig | None = None) -> Iterator[Served]:
    """Serves a library until the block ends; what `serve` raises, this raises."""
    thread = _Thread(library, config or ServerConfig(address=LOOPBACK, grace=2.0))
    thread.start()
    address = f"127.0.0.1:{thread.port}"
    options = [("grpc.max_receive_message_length", 64 * 2**20)]
    try:
        with grpc.insecure_channel(address, options=options) as channel:
            yield Served(library, address, channel)
    finally:
        thread.stop()
