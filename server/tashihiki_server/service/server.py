"""The gRPC server: the services, health and reflection."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from threadpoolctl import threadpool_limits

from tashihiki.v1 import catalog_pb2, discovery_pb2, maintenance_pb2, search_pb2
from tashihiki_server.encoder.embedder import Embedder
from tashihiki_server.frozen import freeze
from tashihiki_server.images import ImageLimits
from tashihiki_server.library import Library
from tashihiki_server.service.calls import Calls
from tashihiki_server.service.catalog import CatalogApi
from tashihiki_server.service.discovery import DiscoveryApi
from tashihiki_server.service.health import HealthService
from tashihiki_server.service.listening import host_and_port, in_use
from tashihiki_server.service.maintenance import MaintenanceApi
from tashihiki_server.service.pulse import Pulse
from tashihiki_server.service.search import SearchApi
from tashihiki_server.service.workers import Workers

logger = logging.getLogger(__name__)

_SEARCH = search_pb2.DESCRIPTOR.services_by_name["SearchService"]
_CATALOG = catalog_pb2.DESCRIPTOR.services_by_name["CatalogService"]
_DISCOVERY = discovery_pb2.DESCRIPTOR.services_by_name["DiscoveryService"]
_MAINTENANCE = maintenance_pb2.DESCRIPTOR.services_by_name["MaintenanceService"]
# Python's default is fifty times as long.
SWITCH_SECONDS = 0.0001
_SERVICES = (_SEARCH, _CATALOG, _DISCOVERY, _MAINTENANCE)


@dataclass(frozen=True)
class ServerConfig:
    """How the server listens and what it accepts.

    Attributes:
        address: host and port; port 0 takes a free one.
        grace: seconds that calls under way get when the server stops.
        max_message_bytes: of a request or response.
        limits: on pictures.
        threads: calls of a service answered at once; health checks need none of them.
        max_wait: seconds that a call may have to wait for a thread, as estimated; where it is
            more, the call is refused at once, unless hardly any wait.
    """

    address: str = "127.0.0.1:50051"
    grace: float = 10.0
    max_message_bytes: int = 64 * 2**20
    limits: ImageLimits = field(default_factory=ImageLimits)
    threads: int = field(default_factory=lambda: 2 + 2 * len(os.sched_getaffinity(0)))
    max_wait: float = 0.5


async def serve(
    library: Library,
    config: ServerConfig,
    *,
    ready: Callable[[int], None] = lambda port: None,
    stopped: Callable[[], Awaitable[None]] | None = None,
) -> None:
    """Serves until it is told to stop, then lets calls under way finish.

    Args:
        library: what is served.
        config: how.
        ready: told the port once the server answers.
        stopped: returns when the server is to stop; by default on SIGTERM or SIGINT, and a
            second one then ends the process at once.

    Raises:
        FailedPreconditionError: ADDRESS_INVALID or ADDRESS_IN_USE.
    """
    # A search lets go of the interpreter many times; others shall soon give it back.
    sys.setswitchinterval(SWITCH_SECONDS)
    # Searches run beside each other; threads within each would only wait for one another.
    threadpool_limits(1, user_api="blas")
    embedder = Embedder(config.limits, len(os.sched_getaffinity(0)))
    # Each service has its own threads: writes that wait for each other must not hold up searches.
    executors = {
        service: ThreadPoolExecutor(config.threads, thread_name_prefix=service.name)
        for service in _SERVICES
    }
    server = _server(config)
    pulse = Pulse(config.max_wait)
    calls = {
        service: Calls(
            Workers(executor, config.threads, config.max_wait), pulse, config.max_message_bytes
        )
        for service, executor in executors.items()
    }
    health_servicer = _register(server, library, embedder, calls)
    server.add_generic_rpc_handlers((pulse,))
    try:
        port = _bind(server, config.address)
        await server.start()
        pulse.start(_reached(config.address, port))
        await _set_serving(health_servicer)
        # Before anybody is told that it serves, and may tell it to stop.
        stop = asyncio.ensure_future((stopped or _stop_signal)())
        await asyncio.sleep(0)
        # Most of what is open now stays.
        freeze()
        ready(port)
        await stop
        logger.info("stopping: calls under way get %.0f s", config.grace)
        await health_servicer.enter_graceful_shutdown()
        await pulse.stop()
        await server.stop(config.grace)
    finally:
        gc.unfreeze()
        await pulse.stop()
        # In this order a call that outlived the grace ends with the picture it is at.
        embedder.close()
        for executor in executors.values():
            executor.shutdown(cancel_futures=True)


def _server(config: ServerConfig) -> grpc.aio.Server:
    return grpc.aio.server(
        options=[
            # Two servers would otherwise share a port without a word.
            ("grpc.so_reuseport", 0),
            ("grpc.max_receive_message_length", config.max_message_bytes),
            ("grpc.max_send_message_length", config.max_message_bytes),
            # Clients behind a NAT keep idle connections open with a ping a minute.
            ("grpc.http2.min_ping_interval_without_data_ms", 30_000),
            ("grpc.keepalive_permit_without_calls", 1),
            # Beyond these gRPC would cancel calls by itself, without a word of when to come again.
            ("grpc.server.max_pending_requests", 100_000),
            ("grpc.server.max_pending_requests_hard_limit", 200_000),
        ]
    )


def _register(
    server: grpc.aio.Server, library: Library, embedder: Embedder, calls: Mapping[Any, Calls]
) -> HealthService:
    for api, service in (
        (SearchApi, _SEARCH),
        (CatalogApi, _CATALOG),
        (DiscoveryApi, _DISCOVERY),
        (MaintenanceApi, _MAINTENANCE),
    ):
        handler = calls[service].handler(api(library, embedder), service)
        server.add_generic_rpc_handlers((handler,))
    health_servicer = HealthService()
    health_pb2_grpc.add_HealthServicer_to_server(health_servicer, server)
    names = [service.full_name for service in _SERVICES]
    names += [health.SERVICE_NAME, reflection.SERVICE_NAME]
    reflection.enable_server_reflection(names, server)
    return health_servicer


async def _set_serving(servicer: HealthService) -> None:
    for name in (health.OVERALL_HEALTH, *(service.full_name for service in _SERVICES)):
        await servicer.set(name, health_pb2.HealthCheckResponse.SERVING)


def _bind(server: grpc.aio.Server, address: str) -> int:
    host_and_port(address)
    try:
        port = server.add_insecure_port(address)
    except RuntimeError:
        port = 0
    if not port:
        raise in_use(address)
    return port


def _reached(address: str, port: int) -> str:
    """Where this machine reaches a server that listens on an address."""
    host = address.rpartition(":")[0]
    # Where there is no IPv6 gRPC takes [::] for all of IPv4.
    loopback = {"0.0.0.0": "127.0.0.1", "[::]": "localhost"}
    return f"{loopback.get(host, host)}:{port}"


async def _stop_signal() -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await stop.wait()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.remove_signal_handler(number)
        signal.signal(number, signal.SIG_DFL)
