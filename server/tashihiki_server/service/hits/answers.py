"""Answers that are given again, for as long as the collection is as it was."""

from __future__ import annotations

import threading
import weakref
from dataclasses import dataclass, field

from cachetools import LRUCache

from tashihiki.v1 import search_pb2
from tashihiki_server.collection.collection import State
from tashihiki_server.query.pictures import carries_picture

MAX_BYTES = 16 * 2**20
# Of a request: what is larger holds a picture or many terms, and is hardly asked for twice.
MAX_REQUEST_BYTES = 1000
# Of a message in memory to its bytes on the way, and of what is kept beside it, roughly.
_MESSAGE_BYTES = 8
_OBJECT_BYTES = 500


@dataclass(frozen=True)
class _Given:
    state: weakref.ref[State]
    response: search_pb2.SearchResponse
    kept: int | None
    size: int


@dataclass
class Answers:
    """The latest answers by their requests. Safe to use from many threads.

    Every write, prototype, space or index makes a new state, and an answer is of one. It is
    never changed, since it may be on its way to somebody.
    """

    _given: LRUCache[bytes, _Given] = field(
        default_factory=lambda: LRUCache(MAX_BYTES, lambda given: given.size)
    )
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def find(
        self, asked: bytes, state: State
    ) -> tuple[search_pb2.SearchResponse, int | None] | None:
        """What was answered in this state, and the number of the query kept for more pages.

        Args:
            asked: see `repeatable`.
            state: to be answered in.
        """
        with self._lock:
            given = self._given.get(asked)
        if given is None or given.state() is not state:
            return None
        return given.response, given.kept

    def keep(
        self,
        asked: bytes,
        state: State,
        response: search_pb2.SearchResponse,
        kept: int | None,
    ) -> None:
        """Keeps an answer, in place of the longest unused ones.

        Args:
            asked: see `repeatable`.
            state: all of the answer is of it.
            response: the answer.
            kept: number of the query that is kept for more pages; None where there are none.
        """
        size = _OBJECT_BYTES + len(asked) + _MESSAGE_BYTES * response.ByteSize()
        if size <= MAX_BYTES:
            with self._lock:
                self._given[asked] = _Given(weakref.ref(state), response, kept, size)


def repeatable(request: search_pb2.SearchRequest) -> bytes | None:
    """A request as bytes, the same for equal ones; None where its answer is not kept."""
    # Timings are of one call, thumbnails fill the memory.
    once = request.include_timings or request.include_thumbnails or request.page_token
    if once or carries_picture(request.query):
        return None
    asked = request.SerializeToString(deterministic=True)
    return asked if len(asked) <= MAX_REQUEST_BYTES else None
