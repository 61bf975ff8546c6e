"""Where the server listens, and whether somebody else does already."""

from __future__ import annotations

import errno
import socket

from tashihiki.errors import FailedPreconditionError

# With other errors gRPC may still find a way, such as IPv4 where there is no IPv6.
_FINAL = (errno.EADDRINUSE, errno.EADDRNOTAVAIL, errno.EACCES)
_REMEDY = "Write host:port, for example 127.0.0.1:50051."


def check_free(address: str) -> None:
    """Tries whether a server could listen there, before it takes long to start.

    Raises:
        FailedPreconditionError: ADDRESS_INVALID or ADDRESS_IN_USE.
    """
    host, port = host_and_port(address)
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        # Names with an empty or an overlong part are not even looked for.
        raise FailedPreconditionError(
            f"{address!r} is not an address to listen on: there is no host {host}",
            reason="ADDRESS_INVALID",
            field="address",
            remedy=_REMEDY,
        ) from error
    for family, kind, protocol, _, place in found:
        try:
            with socket.socket(family, kind, protocol) as trial:
                # What has just closed is no obstacle.
                trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                trial.bind(place)
                return
        except OSError as error:
            if error.errno not in _FINAL:
                return
    raise in_use(address)


def host_and_port(address: str) -> tuple[str, int]:
    """The parts of `host:port`, an IPv6 address without its brackets.

    Raises:
        FailedPreconditionError: ADDRESS_INVALID.
    """
    host, _, port = address.rpartition(":")
    # gRPC would take 443 for a missing port, and a port modulo 65,536.
    if not (host and port.isdecimal() and int(port) < 2**16):
        raise FailedPreconditionError(
            f"{address!r} is not an address to listen on",
            reason="ADDRESS_INVALID",
            field="address",
            remedy=_REMEDY,
        )
    return host.removeprefix("[").removesuffix("]"), int(port)


def in_use(address: str) -> FailedPreconditionError:
    """The error ADDRESS_IN_USE."""
    return FailedPreconditionError(
        f"the server cannot listen on {address}",
        reason="ADDRESS_IN_USE",
        field="address",
        remedy="Stop what listens there, or choose another address of this machine with --address.",
    )
