"""Server addresses as people write them."""

from __future__ import annotations

import ipaddress
import os
import re

from tashihiki.errors import InvalidArgumentError

DEFAULT_PORT = 50051

_URL = re.compile(r"(https?|grpcs?)://", re.IGNORECASE)
_HOST = re.compile(r"[^:/,\[\]]+|\[[^\]]+\]")


def default_address() -> str:
    """Where the server is unless a caller says so."""
    return os.environ.get("TASHIHIKI_SERVER") or f"localhost:{DEFAULT_PORT}"


def complete_address(target: str) -> str:
    """`target` with our port when it has none, where gRPC would take 443.

    Raises:
        InvalidArgumentError: ADDRESS_INVALID for a URL.
    """
    if _URL.match(target):
        raise InvalidArgumentError(
            f"{target!r} is a URL", reason="ADDRESS_INVALID", remedy="Write host:port."
        )
    if _HOST.fullmatch(target):
        return f"{target}:{DEFAULT_PORT}"
    return f"[{target}]:{DEFAULT_PORT}" if _is_ipv6(target) else target


def _is_ipv6(target: str) -> bool:
    try:
        return ipaddress.ip_address(target).version == 6
    except ValueError:
        return False
