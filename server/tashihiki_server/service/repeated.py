"""Writes that may be sent again: what tells them apart, and one at a time of each."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeAlias

from tashihiki.errors import InvalidArgumentError
from tashihiki.v1 import catalog_pb2
from tashihiki_server.catalogue.base import WriteRequest
from tashihiki_server.deadline import check_deadline

MAX_REQUEST_ID_BYTES = 128
_POLL_SECONDS = 0.1

_Write: TypeAlias = catalog_pb2.UpsertItemsRequest | catalog_pb2.DeleteItemsRequest


def check_request_id(identifier: str) -> None:
    """Refuses ids that are too long; "" is none.

    Raises:
        InvalidArgumentError: REQUEST_ID_INVALID.
    """
    if len(identifier.encode()) > MAX_REQUEST_ID_BYTES:
        raise InvalidArgumentError(
            f"a request id of {len(identifier.encode())} bytes",
            reason="REQUEST_ID_INVALID",
            field="request_id",
            remedy=f"Use 1 to {MAX_REQUEST_ID_BYTES} bytes, a UUID for example.",
        )


def write_request(message: _Write) -> WriteRequest | None:
    """The identity of a write; None where it has no id.

    Raises:
        InvalidArgumentError: REQUEST_ID_INVALID.
    """
    check_request_id(message.request_id)
    if not message.request_id:
        return None
    digest = hashlib.sha256(message.DESCRIPTOR.full_name.encode())
    digest.update(message.SerializeToString(deterministic=True))
    return WriteRequest(message.request_id, digest.digest())


class OneAtATime:
    """Lets a request that is sent again wait for the one that is under way."""

    def __init__(self) -> None:
        self._under_way: set[tuple[str, str]] = set()
        self._changed = threading.Condition()

    @contextmanager
    def alone(self, collection: str, request: WriteRequest | None) -> Iterator[None]:
        """Runs the block while no other with the same id runs; at once where there is none.

        Raises:
            DeadlineExceededError: DEADLINE_EXCEEDED.
        """
        if request is None:
            yield
            return
        key = (collection, request.id)
        with self._changed:
            while key in self._under_way:
                check_deadline()
                self._changed.wait(_POLL_SECONDS)
            self._under_way.add(key)
        try:
            yield
        finally:
            with self._changed:
                self._under_way.remove(key)
                self._changed.notify_all()
