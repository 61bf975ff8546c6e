"""gRPC channels: message sizes, keep-alive, load balancing and retries."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import grpc

from tashihiki.config import KeepAliveConfig, RetryConfig, TLSConfig

MAX_MESSAGE_BYTES = 64 * 1024 * 1024

ChannelOptions = Sequence[tuple[str, Any]]


def channel_options(
    retry: RetryConfig, keep_alive: KeepAliveConfig, tls: TLSConfig | None, extra: ChannelOptions
) -> list[tuple[str, Any]]:
    """The channel arguments; those in `extra` replace ours of the same name."""
    options: list[tuple[str, Any]] = [
        ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
        ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
        # gRPC gives up retrying a request that outgrows this buffer, 256 KiB by default.
        ("grpc.per_rpc_retry_buffer_size", MAX_MESSAGE_BYTES),
        ("grpc.service_config", service_config(retry)),
        ("grpc.keepalive_time_ms", round(keep_alive.interval * 1000)),
        ("grpc.keepalive_timeout_ms", round(keep_alive.timeout * 1000)),
        # A server that restarts must be found again within the retries' waits.
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.min_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 5000),
    ]
    if tls is not None and tls.server_name is not None:
        options.append(("grpc.ssl_target_name_override", tls.server_name))
    # gRPC itself takes the first of two values.
    return list(dict([*options, *extra]).items())


def service_config(retry: RetryConfig) -> str:
    """Round robin over the addresses of the name, and retries of UNAVAILABLE."""
    config: dict[str, Any] = {"loadBalancingConfig": [{"round_robin": {}}]}
    if retry.max_attempts > 1:
        policy = {
            "maxAttempts": retry.max_attempts,
            "initialBackoff": f"{retry.initial_backoff:.3f}s",
            "maxBackoff": f"{retry.max_backoff:.3f}s",
            "backoffMultiplier": retry.multiplier,
            "retryableStatusCodes": ["UNAVAILABLE"],
        }
        config["methodConfig"] = [{"name": [{}], "retryPolicy": policy}]
    return json.dumps(config)


def credentials(tls: TLSConfig) -> grpc.ChannelCredentials:
    """The channel credentials of `tls`."""
    return grpc.ssl_channel_credentials(
        tls.root_certificates, tls.private_key, tls.certificate_chain
    )
