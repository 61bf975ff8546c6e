"""Connections to one database: one that writes, one for each thread that reads."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tashihiki.errors import NotFoundError
from tashihiki_server.catalogue.failures import translated

_LOG_BYTES = 64 << 20


def connect_read_only(path: Path) -> sqlite3.Connection:
    """A connection that writes nothing into the database or beside it, unless there is a log.

    Args:
        path: of a database that nobody writes to; with a log, of one that `unwritten` gave.
    """
    # Without a log nothing needs to be shared with other processes, so no file is made for it.
    alone = "" if has_log(path) else "&immutable=1"
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=ro{alone}",
        uri=True,
        isolation_level=None,
        check_same_thread=False,
    )


def log_path(path: Path) -> Path:
    """Where SQLite keeps the write-ahead log of a database."""
    return path.with_name(f"{path.name}-wal")


def has_log(path: Path) -> bool:
    """Whether there are writes in a log beside the database."""
    log = log_path(path)
    return log.exists() and log.stat().st_size > 0


class Connections:
    """Opened as they are needed, closed together."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        """Prepares for a database; opens nothing.

        Args:
            path: of the database.
            read_only: whether nothing is written; see `connect_read_only`.
        """
        self._read_only = read_only
        self._path = path
        self._local = threading.local()
        self._open: list[sqlite3.Connection] = []
        self._guard = threading.Condition()
        self._reads = 0
        self._closed = False

    def connect(self, *, new: bool = False) -> sqlite3.Connection:
        """A connection of the caller's own, closed with the others at the latest.

        Args:
            new: whether the database is being made, so that it can be shrunk later.
        """
        if self._read_only:
            connection = connect_read_only(self._path)
        else:
            connection = sqlite3.connect(
                self._path, isolation_level=None, check_same_thread=False, timeout=30
            )
            if new:
                connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute(f"PRAGMA journal_size_limit = {_LOG_BYTES}")
        connection.execute("PRAGMA cell_size_check = ON")
        with self._guard:
            self._open.append(connection)
        return connection

    def disconnect(self, connection: sqlite3.Connection) -> None:
        """Closes a connection that `connect` made; the caller is not using it."""
        with self._guard:
            if connection in self._open:
                self._open.remove(connection)
                connection.close()

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """The connection of this thread.

        Raises:
            NotFoundError: UNKNOWN_COLLECTION after `close`.
        """
        with self.in_use():
            if not hasattr(self._local, "connection"):
                self._local.connection = self.connect()
            yield self._local.connection

    @contextmanager
    def moment(self) -> Iterator[sqlite3.Connection]:
        """As `reading`; all that is read in the block is of one moment."""
        with self.reading() as db:
            db.execute("BEGIN")
            try:
                yield db
            finally:
                if db.in_transaction:
                    db.execute("ROLLBACK")

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Keeps connections open for the block; SQLite crashes when one is closed during a query.

        Raises:
            NotFoundError: UNKNOWN_COLLECTION after `close`.
        """
        with self._guard:
            self.check_open()
            self._reads += 1
        try:
            with translated(self._path):
                yield
        finally:
            with self._guard:
                self._reads -= 1
                self._guard.notify_all()

    def check_open(self) -> None:
        """Raises NotFoundError, UNKNOWN_COLLECTION, after `close`."""
        if self._closed:
            raise NotFoundError(
                f"the collection {self._path.parent.name!r} was deleted or closed meanwhile",
                reason="UNKNOWN_COLLECTION",
                field="collection",
            )

    def close(self) -> None:
        """Closes them all, after the calls under way."""
        with self._guard:
            self._closed = True
            self._guard.wait_for(lambda: not self._reads)
            for connection in self._open:
                connection.close()
            self._open.clear()
