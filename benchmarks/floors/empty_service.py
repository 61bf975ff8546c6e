"""A server on the same stack that does nothing: what a call costs at least.

`grpc.aio` and worker threads as in the real one; Search takes any request, as large as the real one
does, and answers an empty message from a thread.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing.connection import Connection

import grpc

from tashihiki.v1 import search_pb2, search_pb2_grpc
from tashihiki_server.service.server import SWITCH_SECONDS, ServerConfig


@contextmanager
def empty_service() -> Iterator[str]:
    """Its address, host and port; it runs in a process of its own until the block ends."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_run, args=(theirs,))
    process.start()
    try:
        yield f"127.0.0.1:{ours.recv()}"
    finally:
        process.terminate()
        process.join()


def _run(pipe: Connection) -> None:
    sys.setswitchinterval(SWITCH_SECONDS)
    asyncio.run(_serve(pipe))


async def _serve(pipe: Connection) -> None:
    config = ServerConfig()
    executor = ThreadPoolExecutor(config.threads)

    class Servicer(search_pb2_grpc.SearchServiceServicer):
        async def Search(self, request: object, context: object) -> search_pb2.SearchResponse:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(executor, search_pb2.SearchResponse)

    server = grpc.aio.server(
        options=[("grpc.max_receive_message_length", config.max_message_bytes)]
    )
    search_pb2_grpc.add_SearchServiceServicer_to_server(Servicer(), server)  # type: ignore[abstract]
    pipe.send(server.add_insecure_port("127.0.0.1:0"))
    await server.start()
    await server.wait_for_termination()
