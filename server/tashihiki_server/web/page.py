"""The page beside the service, in the same event loop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Generator

import uvicorn

from tashihiki import AsyncClient
from tashihiki.errors import TashihikiError
from tashihiki_server.images import ImageLimits
from tashihiki_server.web.address import PageAddress, listen, parse_address
from tashihiki_server.web.application import page_application

logger = logging.getLogger(__name__)
_GRACE_SECONDS = 2


class _Uvicorn(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        # The service handles the signals, and then stops the page.
        yield


class GalleryPage:
    """Serves the page on a socket until it is closed; what befalls it is only logged."""

    def __init__(self, listener: socket.socket, limits: ImageLimits | None = None) -> None:
        """Takes the socket over.

        Args:
            listener: that listens already.
            limits: on the pictures that people search with.
        """
        self._listener = listener
        self._limits = limits
        host, port = listener.getsockname()[:2]
        self._address = PageAddress(host, port)
        self._server: _Uvicorn | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        """Where a browser finds it."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self._address.host, self._address.host)
        return f"http://{PageAddress(host, self._address.port)}/"

    def start(self, service: str) -> None:
        """Begins to serve; needs a running loop.

        Args:
            service: host and port of the service.
        """
        self._task = asyncio.create_task(self._serve(service))

    async def close(self) -> None:
        """Lets answers under way finish, for two seconds at most."""
        if self._server is not None:
            self._server.should_exit = True
        if self._task is not None:
            await self._task
        self._listener.close()

    async def _serve(self, service: str) -> None:
        try:
            async with AsyncClient(service) as client:
                self._server = _Uvicorn(
                    uvicorn.Config(
                        page_application(
                            client,
                            limits=self._limits,
                            loopback_only=self._address.is_loopback,
                        ),
                        log_config=None,
                        log_level="warning",
                        access_log=False,
                        server_header=False,
                        ws="none",
                        loop="none",
                        timeout_graceful_shutdown=_GRACE_SECONDS,
                    )
                )
                await self._server.serve(sockets=[self._listener])
        except Exception:
            logger.exception("the gallery page has stopped; searches go on over gRPC")


def open_page(where: str, limits: ImageLimits | None = None) -> GalleryPage | None:
    """The page at `HOST:PORT`, or None: for `off`, or with a warning where it cannot listen.

    Raises:
        FailedPreconditionError: ADDRESS_INVALID.
    """
    if where.strip().casefold() == "off":
        return None
    address = parse_address(where)
    try:
        return GalleryPage(listen(address), limits)
    except TashihikiError as error:
        # The page is a convenience: searches are served without it.
        logger.warning("%s", error)
        return None
