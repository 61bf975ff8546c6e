"""Requests that were carried out, with their answers, so that they can be sent again."""

from __future__ import annotations

import sqlite3
import zlib
from typing import NamedTuple

from tashihiki.errors import InvalidArgumentError
from tashihiki_server.catalogue.base import WriteRequest
from tashihiki_server.catalogue.checksums import Tally, request_checksum
from tashihiki_server.catalogue.failures import DamageError
from tashihiki_server.catalogue.ledger import Ledger

REMEMBERED_SECONDS = 86_400.0
REMEMBERED_REQUESTS = 100_000
# More than one a write, so that what has grown old goes.
_FORGOTTEN_AT_ONCE = 4


class _Stored(NamedTuple):
    number: int
    id: str
    digest: bytes
    time: float
    answer: bytes
    checksum: int


def recall(db: sqlite3.Connection, request: WriteRequest, now: float) -> bytes | None:
    """The answer to a request; None where it is not remembered, or no longer.

    Args:
        db: to ask.
        request: that came.
        now: seconds since the epoch.

    Raises:
        InvalidArgumentError: REQUEST_ID_REUSED.
        DamageError: when the answer has changed.
    """
    stored = _find(db, request.id)
    if stored is None or _is_old(stored, _last(db), now):
        return None
    if stored.digest != request.digest:
        raise reused(request)
    try:
        return zlib.decompress(stored.answer)
    except zlib.error as error:
        raise DamageError(f"the answer to the request {request.id!r} is no answer") from error


def remember(
    db: sqlite3.Connection, ledger: Ledger, request: WriteRequest, answer: bytes, now: float
) -> None:
    """Keeps an answer, and forgets some that have grown old.

    Args:
        db: within a transaction.
        ledger: of the transaction.
        request: that is being carried out.
        answer: to it.
        now: seconds since the epoch.

    Raises:
        InvalidArgumentError: REQUEST_ID_REUSED when it is remembered already.
    """
    last = _last(db)
    before = _find(db, request.id)
    if before is not None:
        if not _is_old(before, last, now):
            raise reused(request)
        _forget(db, ledger, before)
    for row in db.execute(
        "SELECT * FROM requests ORDER BY number LIMIT ?", (_FORGOTTEN_AT_ONCE,)
    ).fetchall():
        if _is_old(oldest := _Stored._make(row), last + 1, now):
            _forget(db, ledger, oldest)
    # Answers are lists of consecutive etags, which shrink to a tenth.
    row = (last + 1, request.id, request.digest, now, zlib.compress(answer, 1))
    checksum = request_checksum(*row)
    db.execute("INSERT INTO requests VALUES (?, ?, ?, ?, ?, ?)", (*row, checksum))
    ledger.requests.add(checksum)


def forget_all(db: sqlite3.Connection, ledger: Ledger) -> None:
    """Forgets every request, within a transaction of the caller's."""
    db.execute("DELETE FROM requests")
    ledger.requests = Tally()


def reused(request: WriteRequest) -> InvalidArgumentError:
    """The error for an id that stood for another request."""
    return InvalidArgumentError(
        f"the request id {request.id!r} stood for another request",
        reason="REQUEST_ID_REUSED",
        field="request_id",
        remedy="Give every request an id of its own.",
    )


def _find(db: sqlite3.Connection, identifier: str) -> _Stored | None:
    row = db.execute(
        "SELECT * FROM requests INDEXED BY requests_by_id WHERE id = ?", (identifier,)
    ).fetchone()
    if row is None:
        return None
    stored = _Stored._make(row)
    if request_checksum(*stored[:5]) != stored.checksum:
        raise DamageError(f"the answer to the request {identifier!r} has changed")
    return stored


def _last(db: sqlite3.Connection) -> int:
    return int(db.execute("SELECT max(number) FROM requests").fetchone()[0] or 0)


def _is_old(stored: _Stored, last: int, now: float) -> bool:
    return stored.number <= last - REMEMBERED_REQUESTS or stored.time < now - REMEMBERED_SECONDS


def _forget(db: sqlite3.Connection, ledger: Ledger, stored: _Stored) -> None:
    db.execute("DELETE FROM requests WHERE number = ?", (stored.number,))
    ledger.requests.remove(stored.checksum)
