"""Pages of a search: what is kept of a query, and the tokens that name a place in its answer."""

from __future__ import annotations

import base64
import binascii
import hashlib
import math
import secrets
import struct
import threading
import weakref
from collections import OrderedDict
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from tashihiki.errors import FailedPreconditionError, InvalidArgumentError
from tashihiki.v1 import search_pb2
from tashihiki_server.collection.collection import Collection
from tashihiki_server.collection.following import Place
from tashihiki_server.query.pictures import abridge
from tashihiki_server.service.hits.composed_query import ComposedQuery

MAX_QUERIES = 10_000
MAX_BYTES = 64 * 2**20

# Of a kept query beside its texts, and of an item of a head beside its id, roughly.
_QUERY_BYTES = 4096
_ITEM_BYTES = 200
_CHECKSUM = 8
_HEADER = struct.Struct(">8sQI?d")


@dataclass(frozen=True)
class Head:
    """The first candidates of a query in the order of the first page.

    Attributes:
        ids: n of them.
        similarities: (n,), cosines to the composed vector.
        posteriors: (n,), NaN where not re-ranked.
    """

    ids: tuple[str, ...]
    similarities: NDArray[np.float64]
    posteriors: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class KeptQuery:
    """What the pages after the first need of it.

    Nothing is resolved, composed or re-ranked again, so that neither an operand nor a prototype
    that changes meanwhile moves what is still to come.

    Attributes:
        collection: that was searched.
        identity: of what made its gallery vectors.
        digest: of the request; see `request_digest`.
        query: composed.
        head: ranked.
    """

    collection: weakref.ref[Collection]
    identity: str
    digest: bytes
    query: ComposedQuery
    head: Head

    @property
    def number(self) -> int:
        """A hash, of this process, of what was asked and what was found: 64 bits."""
        head = self.head
        arrays = (self.query.composed.vector, head.similarities, head.posteriors)
        contents = (self.digest, *(array.tobytes() for array in arrays), head.ids)
        return hash(contents) % 2**64

    @cached_property
    def size(self) -> int:
        """Bytes of memory, roughly."""
        composed = self.query.composed
        arrays = composed.parts.nbytes + composed.vector.nbytes
        messages = (*self.query.terms, *self.query.unresolved, *self.query.block_messages)
        texts = sum(message.ByteSize() for message in messages)
        texts += sum(map(len, self.query.item_ids)) + sum(map(len, self.head.ids))
        return _QUERY_BYTES + arrays + texts + _ITEM_BYTES * len(self.head)


@dataclass(frozen=True)
class Position:
    """Where a page begins.

    Attributes:
        shown: places of the head that are behind.
        after: the last item before the page, beyond the head; None within it.
    """

    shown: int
    after: Place | None = None


@dataclass
class KeptQueries:
    """The latest queries that have more pages. Safe to use from many threads."""

    _queries: OrderedDict[int, KeptQuery] = field(default_factory=OrderedDict)
    _bytes: int = 0
    _process: bytes = field(default_factory=lambda: secrets.token_bytes(8))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def keep(self, query: KeptQuery) -> int:
        """Keeps a query, in place of the longest unused ones; returns its number.

        Queries that are alike in all have one number, and so their answers one token.
        """
        number = query.number
        with self._lock:
            if (before := self._queries.pop(number, None)) is not None:
                self._bytes -= before.size
            self._queries[number] = query
            self._bytes += query.size
            while len(self._queries) > MAX_QUERIES or self._bytes > MAX_BYTES:
                self._bytes -= self._queries.popitem(last=False)[1].size
        return number

    def renew(self, number: int) -> bool:
        """Whether a query is still kept; as if it had just been asked for."""
        with self._lock:
            if number in self._queries:
                self._queries.move_to_end(number)
                return True
        return False

    def token(self, number: int, position: Position) -> str:
        """The token of a page of a kept query."""
        after = position.after
        similarity = 0.0 if after is None else after.similarity
        body = _HEADER.pack(self._process, number, position.shown, after is not None, similarity)
        if after is not None:
            body += after.id.encode()
        return base64.urlsafe_b64encode(_checksum(body) + body).decode()

    def find(self, token: str, digest: bytes) -> tuple[int, KeptQuery, Position]:
        """The query that a token belongs to, its number, and where the page begins.

        Raises:
            InvalidArgumentError: PAGE_TOKEN_INVALID.
            FailedPreconditionError: PAGE_TOKEN_EXPIRED.
        """
        process, number, position = _read(token)
        with self._lock:
            kept = self._queries.get(number) if process == self._process else None
            if kept is None:
                raise expired()
            self._queries.move_to_end(number)
        if kept.digest != digest or position.shown > len(kept.head):
            raise _invalid("the page token is of another request")
        return number, kept, position


def request_digest(request: search_pb2.SearchRequest) -> bytes:
    """A hash of all that must stay the same from page to page."""
    same = search_pb2.SearchRequest()
    same.CopyFrom(request)
    same.ClearField("limit")
    same.ClearField("page_token")
    abridge(same.query)
    return hashlib.blake2b(same.SerializeToString(deterministic=True), digest_size=16).digest()


def expired() -> FailedPreconditionError:
    """The error for a token whose query is not kept any more."""
    return FailedPreconditionError(
        "the page token has expired: the space was fitted again, the server restarted, or many"
        " searches came after it",
        reason="PAGE_TOKEN_EXPIRED",
        field="page_token",
        remedy="Ask for the first page again.",
    )


def _read(token: str) -> tuple[bytes, int, Position]:
    try:
        content = base64.b64decode(token.encode(), altchars=b"-_", validate=True)
        checksum, body = content[:_CHECKSUM], content[_CHECKSUM:]
        process, number, shown, beyond, similarity = _HEADER.unpack(body[: _HEADER.size])
        identifier = body[_HEADER.size :].decode()
    except (ValueError, binascii.Error, struct.error):
        raise _invalid("this is no page token") from None
    # One token has one spelling, though base64 would read others.
    spelled = base64.urlsafe_b64encode(content).decode() == token
    if checksum != _checksum(body) or not spelled or not math.isfinite(similarity):
        raise _invalid("this is no page token")
    return process, number, Position(shown, Place(similarity, identifier) if beyond else None)


def _checksum(body: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=_CHECKSUM).digest()


def _invalid(message: str) -> InvalidArgumentError:
    return InvalidArgumentError(
        message,
        reason="PAGE_TOKEN_INVALID",
        field="page_token",
        remedy="Use next_page_token as it was returned, in the same request but for limit.",
    )
