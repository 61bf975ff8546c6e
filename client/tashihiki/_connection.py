"""Runs calls over a channel: deadlines, typed errors, closing."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Generator
from typing import Any, TypeVar

import grpc
from google.protobuf.message import Message

from tashihiki import status
from tashihiki._address import complete_address
from tashihiki._calls import Call
from tashihiki._channel import ChannelOptions, channel_options, credentials
from tashihiki._overload import Attempts
from tashihiki._pointing import pointed
from tashihiki.config import KeepAliveConfig, RetryConfig, TLSConfig
from tashihiki.errors import (
    DeadlineExceededError,
    FailedPreconditionError,
    TashihikiError,
    UnavailableError,
)

Result = TypeVar("Result")

# Of calls that go over a whole collection, in seconds.
LONG_TIMEOUT = 3600.0


class Settings:
    """What both kinds of connection are opened with."""

    def __init__(
        self,
        target: str,
        timeout: float,
        tls: TLSConfig | None,
        retry: RetryConfig,
        keep_alive: KeepAliveConfig,
        wait_for_ready: bool,
        options: ChannelOptions,
    ) -> None:
        if not target:
            raise ValueError("target is host:port")
        self.target = complete_address(target)
        self.timeout = checked_timeout(timeout)
        self.wait_for_ready = wait_for_ready
        self.max_attempts = retry.max_attempts
        self.credentials = None if tls is None else credentials(tls)
        self.options = channel_options(retry, keep_alive, tls, options)

    def attempts(self, timeout: float | None) -> Attempts:
        """Those at one call, within its own timeout or the client's."""
        seconds = self.timeout if timeout is None else checked_timeout(timeout)
        return Attempts(self.max_attempts, seconds)

    def failure(self, error: grpc.RpcError, request: Message) -> TashihikiError:
        """The typed error, with a remedy where the server could give none."""
        typed = pointed(status.from_rpc_error(error), request)
        if typed.reason == grpc.StatusCode.UNAVAILABLE.name and not typed.remedy:
            return _unreachable(self.target, typed.message)
        elif isinstance(typed, DeadlineExceededError) and not typed.remedy:
            typed.remedy = "Allow more time with timeout=."
        return typed


class Connection:
    """A channel for threads."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._closed = threading.Event()
        target, options = settings.target, settings.options
        self._channel = (
            grpc.insecure_channel(target, options)
            if settings.credentials is None
            else grpc.secure_channel(target, settings.credentials, options)
        )

    def run(self, call: Call[Result], timeout: float | None) -> Result:
        """Performs one call."""
        attempts = self._settings.attempts(timeout)
        while True:
            self._check_open()
            try:
                response = _method(self._channel, call)(
                    call.request,
                    timeout=attempts.remaining,
                    wait_for_ready=self._settings.wait_for_ready,
                )
            except grpc.RpcError as error:
                self._pause(attempts, error, call.request)
            except ValueError as error:
                # gRPC's answer when another thread closes the channel at this moment.
                if self._closed.is_set():
                    raise client_closed() from error
                raise
            else:
                return call.read(response)

    def stream(self, call: Call[Result], timeout: float | None) -> Generator[Result, None, None]:
        """The answers to one call as they come; the call is cancelled when nobody reads on.

        A call that fails before its first answer is repeated as any other.
        """
        attempts = self._settings.attempts(timeout)
        answered = False
        while True:
            self._check_open()
            try:
                responses = _streaming_method(self._channel, call)(
                    call.request,
                    timeout=attempts.remaining,
                    wait_for_ready=self._settings.wait_for_ready,
                )
            except ValueError as error:
                if self._closed.is_set():
                    raise client_closed() from error
                raise
            try:
                for response in responses:
                    answered = True
                    yield call.read(response)
                return
            except grpc.RpcError as error:
                if answered:
                    raise self._settings.failure(error, call.request) from error
                self._pause(attempts, error, call.request)
            finally:
                responses.cancel()

    def _check_open(self) -> None:
        if self._closed.is_set():
            raise client_closed()

    def _pause(self, attempts: Attempts, error: grpc.RpcError, request: Message) -> None:
        """Waits until the call may be sent again, or raises what it failed with."""
        failure = self._settings.failure(error, request)
        seconds = attempts.pause(failure)
        if seconds is None:
            raise failure from error
        self._closed.wait(seconds)

    def close(self) -> None:
        """Cancels what is under way and hangs up."""
        self._closed.set()
        self._channel.close()


class AsyncConnection:
    """A channel for one event loop at a time, opened by the first call."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._closed = False
        self._channel: grpc.aio.Channel | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def run(self, call: Call[Result], timeout: float | None) -> Result:
        """Performs one call."""
        attempts = self._settings.attempts(timeout)
        while True:
            try:
                response = await _method(self._open(), call)(
                    call.request,
                    timeout=attempts.remaining,
                    wait_for_ready=self._settings.wait_for_ready,
                )
            except grpc.RpcError as error:
                await self._pause(attempts, error, call.request)
            else:
                return call.read(response)

    async def stream(
        self, call: Call[Result], timeout: float | None
    ) -> AsyncGenerator[Result, None]:
        """The answers to one call as they come; the call is cancelled when nobody reads on.

        A call that fails before its first answer is repeated as any other.
        """
        attempts = self._settings.attempts(timeout)
        answered = False
        while True:
            responses = _streaming_method(self._open(), call)(
                call.request,
                timeout=attempts.remaining,
                wait_for_ready=self._settings.wait_for_ready,
            )
            try:
                async for response in responses:
                    answered = True
                    yield call.read(response)
                return
            except grpc.RpcError as error:
                if answered:
                    raise self._settings.failure(error, call.request) from error
                await self._pause(attempts, error, call.request)
            finally:
                responses.cancel()

    async def _pause(self, attempts: Attempts, error: grpc.RpcError, request: Message) -> None:
        """Waits until the call may be sent again, or raises what it failed with."""
        failure = self._settings.failure(error, request)
        seconds = attempts.pause(failure)
        if seconds is None:
            raise failure from error
        await asyncio.sleep(seconds)

    async def close(self) -> None:
        """Cancels what is under way and hangs up."""
        self._closed = True
        if self._channel is not None and self._loop is asyncio.get_running_loop():
            await self._channel.close()
        self._channel = None

    def _open(self) -> grpc.aio.Channel:
        if self._closed:
            raise client_closed()
        loop = asyncio.get_running_loop()
        if self._loop is not None and self._loop is not loop and not self._loop.is_closed():
            raise FailedPreconditionError(
                "This client is in use by another event loop.",
                reason="WRONG_EVENT_LOOP",
                remedy="Make one AsyncClient per event loop.",
            )
        # A channel belongs to the loop it was made in, which may have ended since.
        if self._channel is None or self._loop is not loop:
            self._channel, self._loop = self._new_channel(), loop
        return self._channel

    def _new_channel(self) -> grpc.aio.Channel:
        target, options = self._settings.target, self._settings.options
        if self._settings.credentials is None:
            return grpc.aio.insecure_channel(target, options)
        return grpc.aio.secure_channel(target, self._settings.credentials, options)


def checked_timeout(timeout: float) -> float:
    """`timeout` when it is a number of seconds above 0, which NaN is not."""
    if not 0 < timeout < float("inf"):
        raise ValueError(f"a timeout is a finite number of seconds above 0, not {timeout!r}")
    return timeout


def _unreachable(target: str, cause: str) -> UnavailableError:
    return UnavailableError(
        f"cannot reach {target} ({_short_cause(cause)})",
        reason="UNAVAILABLE",
        remedy="Start a server with `tashihiki serve`, or make the client with another address.",
        details={"cause": cause},
    )


def _short_cause(cause: str) -> str:
    known = {
        "connection refused": "connection refused",
        "domain name not found": "no such host",
        "handshake": "TLS handshake failed",
        "timed out": "timed out",
        "timeout": "timed out",
    }
    folded = cause.casefold()
    return next((short for sign, short in known.items() if sign in folded), cause)


def client_closed() -> FailedPreconditionError:
    """The error for calls after close()."""
    return FailedPreconditionError(
        "The client is closed.", reason="CLIENT_CLOSED", remedy="Make a new client."
    )


def _method(channel: grpc.Channel | grpc.aio.Channel, call: Call[Any]) -> Any:
    return channel.unary_unary(
        call.path,
        request_serializer=type(call.request).SerializeToString,
        response_deserializer=call.response_type.FromString,
    )


def _streaming_method(channel: grpc.Channel | grpc.aio.Channel, call: Call[Any]) -> Any:
    return channel.unary_stream(
        call.path,
        request_serializer=type(call.request).SerializeToString,
        response_deserializer=call.response_type.FromString,
    )
