"""Health checks while something else goes on."""

from __future__ import annotations

import threading
import time
from types import TracebackType

import grpc
import numpy as np
from grpc_health.v1 import health_pb2, health_pb2_grpc

EVERY_SECONDS = 0.05
TIMEOUT = 10.0


class HealthWatch:
    """Asks in the background for as long as its block lasts."""

    def __init__(self, address: str) -> None:
        """Asks the server at an address, over a connection of its own."""
        self._address = address
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._seconds: list[float] = []
        self.failed = 0

    @property
    def p99(self) -> float:
        """Seconds within which 99 of 100 checks were answered; a failed one counts too."""
        return float(np.quantile(self._seconds or [0.0], 0.99))

    @property
    def count(self) -> int:
        """How many were asked."""
        return len(self._seconds)

    def __enter__(self) -> HealthWatch:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        with grpc.insecure_channel(self._address, [("caller", "health")]) as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            while not self._over.wait(EVERY_SECONDS):
                start = time.perf_counter()
                try:
                    stub.Check(health_pb2.HealthCheckRequest(), timeout=TIMEOUT)  # type: ignore[attr-defined]
                except grpc.RpcError:
                    self.failed += 1
                self._seconds.append(time.perf_counter() - start)
