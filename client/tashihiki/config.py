"""How a client reaches its server."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TLSConfig:
    """An encrypted connection. All certificates and keys are PEM.

    Attributes:
        root_certificates: whom to trust; the system's authorities when None.
        certificate_chain: the client's own certificate, for mutual TLS.
        private_key: the key of `certificate_chain`.
        server_name: the name to expect in the server's certificate, when it differs from
            the address.
    """

    root_certificates: bytes | None = None
    certificate_chain: bytes | None = None
    private_key: bytes | None = None
    server_name: str | None = None

    def __post_init__(self) -> None:
        if (self.certificate_chain is None) != (self.private_key is None):
            raise ValueError("certificate_chain and private_key come together")


@dataclass(frozen=True)
class RetryConfig:
    """Retries of calls that failed with UNAVAILABLE, or that a busy server refused.

    A refusal names the delay after which to come again, which is kept, with up to half of it added
    at random; of the attributes only `max_attempts` counts there. No other failure is retried.

    Attributes:
        max_attempts: the first attempt included; 1 to 5 (gRPC's own ceiling), 1 for no retry.
        initial_backoff: seconds before the second attempt, with a random share taken off.
        max_backoff: seconds that a wait grows to at most.
        multiplier: how much longer each wait is than the one before.
    """

    max_attempts: int = 4
    initial_backoff: float = 0.1
    max_backoff: float = 2.0
    multiplier: float = 2.0

    def __post_init__(self) -> None:
        if not 1 <= self.max_attempts <= 5:
            raise ValueError("max_attempts is 1 to 5")
        if not (0 < self.initial_backoff <= self.max_backoff and self.multiplier > 0):
            raise ValueError("0 < initial_backoff <= max_backoff and multiplier > 0 must hold")


@dataclass(frozen=True)
class KeepAliveConfig:
    """Pings on a connection with calls under way, to notice a peer that is gone.

    Attributes:
        interval: seconds between pings.
        timeout: seconds to wait for the answer.
    """

    interval: float = 60.0
    timeout: float = 20.0
