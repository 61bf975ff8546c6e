"""The catalogue in SQLite: write-ahead log, every commit synced to the disk."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from tashihiki.errors import (
    FailedPreconditionError,
    NotFoundError,
    ResourceExhaustedError,
    TashihikiError,
)
from tashihiki_server.catalogue.base import ItemRecord, StoredEmbedding, StoredItem, StoredVector
from tashihiki_server.space.base import Vectors

_SCHEMA = """
CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO counters VALUES ('generation', 0), ('version', 0);
CREATE TABLE items (
    key INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    attributes TEXT NOT NULL,
    metadata TEXT NOT NULL,
    create_time REAL NOT NULL,
    update_time REAL NOT NULL
);
CREATE TABLE embeddings (
    key INTEGER PRIMARY KEY REFERENCES items ON DELETE CASCADE,
    version INTEGER NOT NULL,
    encoder TEXT NOT NULL,
    vector BLOB NOT NULL
);
CREATE TABLE thumbnails (
    key INTEGER PRIMARY KEY REFERENCES items ON DELETE CASCADE,
    jpeg BLOB NOT NULL
);
"""
_CHUNK = 500


class SqliteCatalogue:
    """One file; see `Catalogue`. Reads run beside each other and beside a write."""

    def __init__(self, path: Path, *, encoder: str, dimension: int) -> None:
        """Opens the file, or makes it.

        Args:
            path: of the database.
            encoder: fingerprint that every vector must come from.
            dimension: of the vectors.

        Raises:
            FailedPreconditionError: CATALOGUE_UNREADABLE.
        """
        self._path = path
        self._encoder = encoder
        self._dimension = dimension
        self._local = threading.local()
        self._connections: list[sqlite3.Connection] = []
        self._guard = threading.Condition()
        self._reads = 0
        self._closed = False
        self._write_lock = threading.Lock()
        with _translated(path):
            self._writer = self._connect()
            if not self._writer.execute("SELECT 1 FROM sqlite_master").fetchone():
                self._writer.executescript(f"BEGIN; {_SCHEMA} COMMIT;")
            row = self._writer.execute("SELECT value FROM counters WHERE name='generation'")
            self._generation: int = row.fetchone()[0]

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._path, isolation_level=None, check_same_thread=False, timeout=30
        )
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        with self._guard:
            self._connections.append(connection)
        return connection

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """The connection of this thread; SQLite crashes when it is closed during a query."""
        with self._guard:
            self._check_open()
            self._reads += 1
        try:
            with _translated(self._path):
                if not hasattr(self._local, "connection"):
                    self._local.connection = self._connect()
                yield self._local.connection
        finally:
            with self._guard:
                self._reads -= 1
                self._guard.notify_all()

    def _check_open(self) -> None:
        if self._closed:
            raise NotFoundError(
                f"the collection {self._path.parent.name!r} was deleted or closed meanwhile",
                reason="UNKNOWN_COLLECTION",
                field="collection",
            )

    @property
    def generation(self) -> int:
        """Rises with every write and every publication of an index."""
        return self._generation

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._write_lock, _translated(self._path):
            self._check_open()
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield self._writer
                advanced = self._next("generation")
                self._writer.execute("COMMIT")
            except BaseException:
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
                raise
            self._generation = advanced

    def _next(self, counter: str) -> int:
        row = self._writer.execute(
            "UPDATE counters SET value = value + 1 WHERE name = ? RETURNING value", (counter,)
        ).fetchone()
        return int(row[0])

    def upsert(self, records: Sequence[ItemRecord]) -> list[int]:
        """See `Catalogue.upsert`."""
        now = time.time()
        with self._transaction() as db:
            return [self._write(db, record, now) for record in records]

    def _write(self, db: sqlite3.Connection, record: ItemRecord, now: float) -> int:
        key = db.execute(
            "INSERT INTO items (id, attributes, metadata, create_time, update_time)"
            " VALUES (?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET attributes ="
            " excluded.attributes, metadata = excluded.metadata,"
            " update_time = excluded.update_time RETURNING key",
            (record.id, _dump(record.attributes), _dump(record.metadata), now, now),
        ).fetchone()[0]
        version = self._next("version")
        if record.embedding is None:
            db.execute("UPDATE embeddings SET version = ? WHERE key = ?", (version, key))
            return version
        vector = np.ascontiguousarray(record.embedding, dtype="<f4").tobytes()
        db.execute(
            "INSERT OR REPLACE INTO embeddings VALUES (?, ?, ?, ?)",
            (key, version, self._encoder, vector),
        )
        if record.thumbnail:
            db.execute("INSERT OR REPLACE INTO thumbnails VALUES (?, ?)", (key, record.thumbnail))
        else:
            db.execute("DELETE FROM thumbnails WHERE key = ?", (key,))
        return version

    def delete(self, ids: Sequence[str]) -> None:
        """See `Catalogue.delete`."""
        with self._transaction() as db:
            db.executemany("DELETE FROM items WHERE id = ?", [(identifier,) for identifier in ids])

    def advance_generation(self) -> int:
        """See `Catalogue.advance_generation`."""
        with self._transaction():
            pass
        return self._generation

    def items(self, ids: Sequence[str], *, thumbnails: bool = False) -> dict[str, StoredItem]:
        """See `Catalogue.items`."""
        jpeg = "(SELECT jpeg FROM thumbnails t WHERE t.key = items.key)" if thumbnails else "NULL"
        found: dict[str, StoredItem] = {}
        with self._reading() as db:
            for start in range(0, len(ids), _CHUNK):
                chunk = list(ids[start : start + _CHUNK])
                marks = ", ".join("?" * len(chunk))
                rows = db.execute(
                    f"SELECT id, version, attributes, metadata, create_time, update_time, {jpeg}"
                    f" FROM items JOIN embeddings USING (key) WHERE id IN ({marks})",
                    chunk,
                )
                for identifier, version, attributes, metadata, created, updated, small in rows:
                    found[identifier] = StoredItem(
                        identifier,
                        version,
                        json.loads(attributes),
                        json.loads(metadata),
                        created,
                        updated,
                        small or b"",
                    )
        return found

    def ids_after(self, identifier: str, limit: int) -> list[str]:
        """See `Catalogue.ids_after`."""
        with self._reading() as db:
            rows = db.execute(
                "SELECT id FROM items WHERE id > ? ORDER BY id LIMIT ?", (identifier, limit)
            )
            return [row[0] for row in rows]

    def embeddings(self) -> Iterator[StoredEmbedding]:
        """See `Catalogue.embeddings`; one that `close` overtakes ends in UNKNOWN_COLLECTION.

        Raises:
            FailedPreconditionError: CATALOGUE_UNREADABLE, also for a vector of another encoder.
        """
        # In chunks, since a query that is left open keeps the log from being written back.
        after = ""
        while chunk := self._embeddings_after(after):
            yield from chunk
            after = chunk[-1].id

    def _embeddings_after(self, identifier: str) -> list[StoredEmbedding]:
        with self._reading() as db:
            rows = db.execute(
                "SELECT id, version, attributes, vector, encoder"
                " FROM items JOIN embeddings USING (key) WHERE id > ? ORDER BY id LIMIT ?",
                (identifier, _CHUNK),
            )
            return [
                StoredEmbedding(
                    found, version, json.loads(attributes), self._vector(found, encoder, vector)
                )
                for found, version, attributes, vector, encoder in rows
            ]

    def vectors(self, ids: Sequence[str]) -> dict[str, StoredVector]:
        """See `Catalogue.vectors`.

        Raises:
            FailedPreconditionError: CATALOGUE_UNREADABLE, also for a vector of another encoder.
        """
        found: dict[str, StoredVector] = {}
        with self._reading() as db:
            for start in range(0, len(ids), _CHUNK):
                chunk = list(ids[start : start + _CHUNK])
                marks = ", ".join("?" * len(chunk))
                rows = db.execute(
                    "SELECT id, version, vector, encoder"
                    f" FROM items JOIN embeddings USING (key) WHERE id IN ({marks})",
                    chunk,
                )
                for identifier, version, vector, encoder in rows:
                    embedding = self._vector(identifier, encoder, vector)
                    found[identifier] = StoredVector(version, embedding)
        return found

    def _vector(self, identifier: str, encoder: str, stored: bytes) -> Vectors:
        if encoder != self._encoder or len(stored) != 4 * self._dimension:
            raise sqlite3.DatabaseError(f"the vector of {identifier!r} is foreign")
        return np.frombuffer(stored, dtype="<f4")

    def close(self) -> None:
        """See `Catalogue.close`; waits for calls under way."""
        with self._write_lock, self._guard:
            self._closed = True
            self._guard.wait_for(lambda: not self._reads)
            for connection in self._connections:
                connection.close()
            self._connections.clear()


def _dump(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, json.JSONDecodeError) as error:
        raise _translate(error, path) from error


def _translate(error: Exception, path: Path) -> TashihikiError:
    # Python 3.10 tells no error codes, so the messages must do.
    text = str(error)
    full = "disk is full" in text or "disk I/O error" in text
    if full:
        return ResourceExhaustedError(
            f"the disk that holds {path.parent.name} takes no more: {error}",
            reason="DISK_FULL",
            remedy="Make room and send the request again; nothing of it was written.",
        )
    return FailedPreconditionError(
        f"the catalogue {path.parent.name} cannot be used: {error}",
        reason="CATALOGUE_UNREADABLE",
        remedy="Check the permissions of the data folder, or restore it from a backup.",
    )
