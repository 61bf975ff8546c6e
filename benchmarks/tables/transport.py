"""Which gRPC server answers best: asyncio with worker threads, or the thread pool.

Both run the same work for every call (a fixed piece of numpy that lets the GIL go, about a
millisecond), in a process of their own; callers run in another. Health checks are asked while
the callers are at full load.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import statistics
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent import futures
from multiprocessing.connection import Connection

import grpc
import numpy as np
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from benchmarks.results import Table
from tashihiki.v1 import catalog_pb2, catalog_pb2_grpc

SECONDS = 3.0
ROUNDS = 3
SIZES = {"1 KB": 1_000, "200 KB": 200_000}
CALLERS = (1, 8)
THREADS = 6
_MATRIX = np.random.default_rng(0).random((800, 1280), dtype=np.float32)


def main(arguments: Sequence[str] = ()) -> list[Table]:
    """Calls a second, and the slowest health check in a hundred under load."""
    argparse.ArgumentParser("transport", description=__doc__).parse_args(arguments)
    servers = {"grpc.aio + threads": _serve_aio, "thread pool": _serve_threads}
    rows = []
    for size, length in SIZES.items():
        for callers in CALLERS:
            for name, found in _compare(servers, length, callers).items():
                rate, check = (statistics.median(part) for part in zip(*found, strict=True))
                rows.append([size, str(callers), name, f"{rate:.0f}", f"{1000 * check:.1f}"])
    header = ["request", "callers", "server", "calls/s", "health check p99, ms"]
    return [Table("transport", "Transport, medians of three turns", header, rows)]


def _compare(
    servers: Mapping[str, Callable[[Connection], None]], length: int, callers: int
) -> dict[str, list[tuple[float, float]]]:
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in servers}
    for _ in range(ROUNDS):
        for name, serve in servers.items():
            found[name].append(_measure(serve, length, callers))
    return found


def _measure(serve: Callable[[Connection], None], length: int, callers: int) -> tuple[float, float]:
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(theirs,))
    process.start()
    address = f"127.0.0.1:{ours.recv()}"
    try:
        return _load(address, length, callers)
    finally:
        process.terminate()
        process.join()


def _load(address: str, length: int, callers: int) -> tuple[float, float]:
    stop = time.perf_counter() + SECONDS
    counts = [0] * callers
    checks: list[float] = []
    request = catalog_pb2.EmbedRequest(images=[b"x" * length])

    def call(number: int) -> None:
        with grpc.insecure_channel(address, [("caller", number)]) as channel:
            stub = catalog_pb2_grpc.CatalogServiceStub(channel)
            while time.perf_counter() < stop:
                stub.Embed(request)
                counts[number] += 1

    def check() -> None:
        with grpc.insecure_channel(address) as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            while time.perf_counter() < stop:
                start = time.perf_counter()
                stub.Check(health_pb2.HealthCheckRequest())  # type: ignore[attr-defined]
                checks.append(time.perf_counter() - start)
                time.sleep(0.02)

    threads = [threading.Thread(target=call, args=(n,)) for n in range(callers)]
    threads.append(threading.Thread(target=check))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / SECONDS, float(np.quantile(checks, 0.99))


def _work() -> catalog_pb2.EmbedResponse:
    return catalog_pb2.EmbedResponse(encoder=str((_MATRIX @ _MATRIX[0]).argmax()))


def _serve_threads(pipe: Connection) -> None:
    class Servicer(catalog_pb2_grpc.CatalogServiceServicer):
        def Embed(self, request: object, context: object) -> catalog_pb2.EmbedResponse:
            return _work()

    server = grpc.server(futures.ThreadPoolExecutor(THREADS))
    catalog_pb2_grpc.add_CatalogServiceServicer_to_server(Servicer(), server)  # type: ignore[abstract]
    health_pb2_grpc.add_HealthServicer_to_server(health.HealthServicer(), server)
    pipe.send(server.add_insecure_port("127.0.0.1:0"))
    server.start()
    server.wait_for_termination()


def _serve_aio(pipe: Connection) -> None:
    asyncio.run(_serve_aio_forever(pipe))


async def _serve_aio_forever(pipe: Connection) -> None:
    executor = futures.ThreadPoolExecutor(THREADS)

    class Servicer(catalog_pb2_grpc.CatalogServiceServicer):
        async def Embed(self, request: object, context: object) -> catalog_pb2.EmbedResponse:
            return await asyncio.get_running_loop().run_in_executor(executor, _work)

    server = grpc.aio.server()
    catalog_pb2_grpc.add_CatalogServiceServicer_to_server(Servicer(), server)  # type: ignore[abstract]
    health_pb2_grpc.add_HealthServicer_to_server(health.aio.HealthServicer(), server)
    pipe.send(server.add_insecure_port("127.0.0.1:0"))
    await server.start()
    await server.wait_for_termination()
