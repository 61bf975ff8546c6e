"""Where the page listens."""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass

from tashihiki.errors import FailedPreconditionError

DEFAULT_ADDRESS = "127.0.0.1:8080"
_REMEDY = "Choose another with --gallery HOST:PORT, or leave the page out with --gallery off."


@dataclass(frozen=True)
class PageAddress:
    """A host and a port; port 0 takes a free one."""

    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine reaches it."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def parse_address(text: str) -> PageAddress:
    """Reads `HOST:PORT`; an IPv6 address stands in brackets.

    Raises:
        FailedPreconditionError: ADDRESS_INVALID.
    """
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not (host and port.isascii() and port.isdecimal() and int(port) < 2**16) or "/" in host:
        raise FailedPreconditionError(
            f"{text!r} is not an address for the gallery page",
            reason="ADDRESS_INVALID",
            field="gallery",
            remedy=f"Write host:port, for example {DEFAULT_ADDRESS}, or `off`.",
        )
    return PageAddress(host, int(port))


def listen(address: PageAddress) -> socket.socket:
    """A socket that listens there.

    Raises:
        FailedPreconditionError: ADDRESS_IN_USE, also where the address is not this machine's.
    """
    try:
        family = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((address.host, address.port), family=family, backlog=128)
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or error
        raise FailedPreconditionError(
            f"the gallery page cannot listen on {address}: {why}",
            reason="ADDRESS_IN_USE",
            field="gallery",
            remedy=_REMEDY,
        ) from error
