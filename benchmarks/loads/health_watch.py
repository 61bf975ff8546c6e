"""Health checks while something else goes on."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Any

import grpc
import numpy as np
from grpc_health.v1 import health_pb2, health_pb2_grpc

from benchmarks.loads.watch import Watch

EVERY_SECONDS = 0.05
TIMEOUT = 10.0


class HealthWatch(Watch):
    """Asks in the background for as long as its block lasts."""

    def __init__(self, address: str) -> None:
        """Asks the server at an address, over a connection of its own."""
        super().__init__(EVERY_SECONDS)
        # Connects with the first call.
        self._channel = grpc.insecure_channel(address, [("caller", "health")])
        self._stub: Any = health_pb2_grpc.HealthStub(self._channel)
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

    def look(self) -> None:
        """Asks once."""
        start = time.perf_counter()
        try:
            self._stub.Check(health_pb2.HealthCheckRequest(), timeout=TIMEOUT)
        except grpc.RpcError:
            self.failed += 1
        self._seconds.append(time.perf_counter() - start)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        super().__exit__(kind, error, trace)
        self._channel.close()
