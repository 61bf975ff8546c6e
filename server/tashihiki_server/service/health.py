"""The standard health service, which tells the server's release too."""

from __future__ import annotations

import grpc
from grpc_health.v1 import health, health_pb2

from tashihiki.release import VERSION_KEY, installed_version


class HealthService(health.aio.HealthServicer):
    """Answers `grpc.health.v1`, with the release in the trailing metadata of a check."""

    def __init__(self) -> None:
        """Serves nothing yet."""
        super().__init__()
        self._release = ((VERSION_KEY, installed_version()),)

    async def Check(
        self,
        request: health_pb2.HealthCheckRequest,
        context: grpc.aio.ServicerContext[
            health_pb2.HealthCheckRequest, health_pb2.HealthCheckResponse
        ],
    ) -> health_pb2.HealthCheckResponse:
        """See the protocol."""
        context.set_trailing_metadata(self._release)
        return await super().Check(request, context)
