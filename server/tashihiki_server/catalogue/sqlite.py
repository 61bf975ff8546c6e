"""The catalogue in SQLite: write-ahead log, every commit synced to the disk."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from tashihiki_server.catalogue.base import (
    ItemRecord,
    StoredEmbedding,
    StoredItem,
    StoredLabels,
    StoredVector,
    WriteRequest,
)
from tashihiki_server.catalogue.checksums import NO_THUMBNAIL, Tally, thumbnail_checksum
from tashihiki_server.catalogue.connections import Connections
from tashihiki_server.catalogue.failures import (
    DamagedPictureError,
    DamageError,
    damaged,
    translated,
    unreadable,
)
from tashihiki_server.catalogue.ledger import Ledger, new_lineage, read_ledger
from tashihiki_server.catalogue.migration import is_first, migrate
from tashihiki_server.catalogue.requests import forget_all, recall, remember
from tashihiki_server.catalogue.rows import (
    CHUNK,
    COLUMNS,
    WITH_EMBEDDINGS,
    ItemRow,
    checked_item,
    checked_vector,
    parsed,
    select,
    unpacked,
    without_embedding,
)
from tashihiki_server.catalogue.schema import (
    SCHEMA_VERSION,
    check_schema,
    create_schema,
    schema_version,
)
from tashihiki_server.catalogue.tallies import embeddings_tally, lacking, requests_tally
from tashihiki_server.catalogue.witness import WITNESS_FILE, Witness
from tashihiki_server.catalogue.writes import ItemWrites
from tashihiki_server.durable import sync
from tashihiki_server.space.base import Vectors

logger = logging.getLogger(__name__)

_LABELS_AT_ONCE = 2000
_DROPPED_AT_ONCE = 1000
_COPIED_PAGES = 1024
_RECLAIMED_PAGES = 512
# Left for the next writes: giving a page back costs the move of another.
_FREE_SHARE = 0.1
_LACKING = (
    "NOT EXISTS (SELECT 1 FROM embeddings e INDEXED BY embeddings_by_item"
    " WHERE e.encoder = ? AND e.key = items.key)"
)


@dataclass
class _Transaction:
    db: sqlite3.Connection
    ledger: Ledger
    changed: bool = True


class SqliteCatalogue:
    """One file; see `Catalogue`. Reads run beside each other and beside a write.

    What the file has lost is noticed by `labels`, so whoever opens it reads them first.
    """

    def __init__(
        self,
        path: Path,
        *,
        encoder: str,
        dimension: int,
        incomplete: bool = False,
        read_only: bool = False,
    ) -> None:
        """Opens the file, or makes it. Another catalogue of this process may have it open.

        Args:
            path: of the database.
            encoder: fingerprint of the encoder whose embeddings are read and written.
            dimension: of the embeddings.
            incomplete: whether items may lack an embedding of it, until `expect_complete`; they are
                passed over.
            read_only: whether nothing is made, mended or written; the file is then one that
                `unwritten` gave.

        Raises:
            FailedPreconditionError: CATALOGUE_DAMAGED or CATALOGUE_UNREADABLE.
            ResourceExhaustedError: DISK_FULL.
        """
        self._read_only = read_only
        self._path = path
        self._encoder = encoder
        self._dimension = dimension
        self._incomplete = incomplete
        self._connections = Connections(path, read_only=read_only)
        self._write_lock = threading.Lock()
        self._witness = Witness(path.with_name(WITNESS_FILE))
        # Every item before has an embedding, by encoder; the ledger tells whether that is so.
        self._embedded_before: dict[str, int] = {}
        # Keys and versions of the items whose damaged thumbnails the log has told of.
        self._told: set[tuple[int, int]] = set()
        try:
            with translated(path):
                self._writer = self._open()
                # First: another catalogue may write, and notes last what it has written.
                witnessed = self._witness.read()
                self._compare_witness(read_ledger(self._writer), witnessed)
        except BaseException:
            self.close()
            raise

    # Opening

    def _open(self) -> sqlite3.Connection:
        new = not self._path.exists()
        if new and (self._read_only or self._witness.exists):
            raise damaged(self._path, f"{self._path.name} is missing")
        # SQLite would take an empty file for a new database, and drop the log beside it.
        if not new and not self._path.stat().st_size:
            raise damaged(self._path, f"{self._path.name} is empty")
        db = self._connections.connect(new=new)
        if new:
            with _atomic(db):
                create_schema(db, Ledger(lineage=new_lineage()))
        elif is_first(db) and not self._read_only:
            self._migrate(db)
        elif schema_version(db) > SCHEMA_VERSION:
            raise unreadable(self._path, "it was written by a newer release")
        check_schema(db)
        return db

    def _migrate(self, db: sqlite3.Connection) -> None:
        logger.info("%s: the catalogue takes the form of this release", self._path.parent.name)
        with _atomic(db):
            migrate(db)
        try:
            # So that it can be shrunk later.
            db.execute("PRAGMA auto_vacuum = INCREMENTAL")
            db.execute("VACUUM")
        except sqlite3.Error as error:
            logger.warning("%s cannot be rearranged: %s", self._path, error)

    def _compare_witness(self, ledger: Ledger, witnessed: int | None) -> None:
        self._generation, self._lineage = ledger.generation, ledger.lineage
        if witnessed is not None and witnessed > ledger.generation:
            raise damaged(
                self._path,
                f"its last {witnessed - ledger.generation} writes are missing; if an older copy was"
                f" put in its place on purpose, delete {WITNESS_FILE}",
            )
        if self._read_only:
            return
        noted = self._witness.exists
        # Without the note it may be an older copy: what it writes next is another history.
        if not ledger.lineage or (ledger.generation and not noted):
            self._renew_lineage()
        if witnessed is None:
            if noted:
                logger.warning(
                    "%s: %s cannot be read and is written again", self._path, WITNESS_FILE
                )
            self._witness.write(ledger.generation)

    def _renew_lineage(self) -> None:
        with _atomic(self._writer):
            ledger = read_ledger(self._writer)
            ledger.lineage = new_lineage()
            ledger.write(self._writer)
        self._lineage = ledger.lineage

    @property
    def generation(self) -> int:
        """Rises with every write and every publication of an index."""
        return self._generation

    @property
    def lineage(self) -> str:
        """See `Catalogue.lineage`."""
        return self._lineage

    def begin_history(self) -> None:
        """Parts a copy from what it is a copy of: a lineage of its own, no remembered requests.

        Raises:
            ResourceExhaustedError: DISK_FULL.
        """
        with self._transaction() as transaction:
            forget_all(transaction.db, transaction.ledger)
            transaction.ledger.lineage = new_lineage()
        self._lineage = transaction.ledger.lineage

    # Writes

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._write_lock, translated(self._path, writing=True):
            self._connections.check_open()
            yield self._writer

    @contextmanager
    def _transaction(self) -> Iterator[_Transaction]:
        """One that advances the generation, unless the block says that nothing changed."""
        with self._writing() as db:
            db.execute("BEGIN IMMEDIATE")
            try:
                transaction = _Transaction(db, read_ledger(db))
                yield transaction
                if not transaction.changed:
                    db.execute("ROLLBACK")
                    return
                transaction.ledger.generation += 1
                transaction.ledger.write(db)
                db.execute("COMMIT")
            except BaseException:
                if db.in_transaction:
                    db.execute("ROLLBACK")
                raise
            self._generation = transaction.ledger.generation
            self._witness.write(self._generation)

    def _writes(self, transaction: _Transaction, encoder: str, now: float) -> ItemWrites:
        return ItemWrites(transaction.db, transaction.ledger, encoder, self._dimension, now)

    def upsert(
        self,
        records: Sequence[ItemRecord],
        *,
        request: WriteRequest | None = None,
        answer: Callable[[list[int]], bytes] = lambda versions: b"",
    ) -> list[int]:
        """See `Catalogue.upsert`."""
        now = time.time()
        with self._transaction() as transaction:
            before = transaction.ledger.version
            versions = self._writes(transaction, self._encoder, now).upsert(records)
            if request is not None:
                content = answer(versions)
                remember(transaction.db, transaction.ledger, request, content, now)
            transaction.changed = request is not None or transaction.ledger.version > before
        return versions

    def delete(
        self,
        ids: Sequence[str],
        *,
        request: WriteRequest | None = None,
        answer: Callable[[], bytes] = lambda: b"",
    ) -> None:
        """See `Catalogue.delete`."""
        now = time.time()
        with self._transaction() as transaction:
            before = transaction.ledger.items.count
            self._writes(transaction, self._encoder, now).delete(ids)
            if request is not None:
                remember(transaction.db, transaction.ledger, request, answer(), now)
            transaction.changed = request is not None or transaction.ledger.items.count < before

    def remembered(self, request: WriteRequest) -> bytes | None:
        """See `Catalogue.remembered`."""
        with self._connections.moment() as db:
            return recall(db, request, time.time())

    def advance_generation(self) -> int:
        """See `Catalogue.advance_generation`."""
        with self._transaction():
            pass
        return self._generation

    # Reads

    def labels(self) -> Iterator[StoredLabels]:
        """See `Catalogue.labels`; one that `close` overtakes ends in UNKNOWN_COLLECTION.

        Raises:
            FailedPreconditionError: CATALOGUE_DAMAGED or CATALOGUE_UNREADABLE.
        """
        # On a connection of its own: other reads of this thread shall see later writes.
        with self._connections.in_use():
            db = self._connections.connect()
        try:
            yield from self._labels(db)
        finally:
            self._connections.disconnect(db)

    def _labels(self, db: sqlite3.Connection) -> Iterator[StoredLabels]:
        with self._connections.in_use():
            db.execute("BEGIN")
            ledger = read_ledger(db)
            known = ledger.encoders.get(self._encoder)
            wanted = known.embeddings if known else Tally()
            number = known.number if known else -1
            embeddings, keys = embeddings_tally(db, number)
            _compare("embeddings", embeddings, wanted)
            _compare("requests", requests_tally(db), ledger.requests)
            # Looked for one by one only where they are known to be missing.
            missing = set() if wanted.count == ledger.items.count else lacking(db, number)
            rows = db.execute(f"SELECT {COLUMNS} FROM items i INDEXED BY items_by_id ORDER BY i.id")
        items, last = Tally(), ""
        while True:
            with self._connections.in_use():
                found = []
                chunk = rows.fetchmany(_LABELS_AT_ONCE)
                for columns in chunk:
                    row = checked_item(columns)
                    if row.id <= last:
                        raise DamageError("its items are out of order")
                    items.add(row.checksum)
                    last = row.id
                    if row.key in missing:
                        if self._incomplete:
                            continue
                        raise without_embedding(row)
                    keys -= row.key
                    labels, metadata = parsed(row.attributes), parsed(row.metadata)
                    found.append(StoredLabels(row.id, row.version, labels, metadata))
            if not chunk:
                break
            yield from found
        with self._connections.in_use():
            _compare("items", items, ledger.items)
            if keys:
                raise DamageError("some embeddings are of other items")

    def items(
        self, ids: Sequence[str], *, thumbnails: bool = False, lenient: bool = False
    ) -> dict[str, StoredItem]:
        """See `Catalogue.items`."""
        found = {}
        for row, jpeg in self._rows(ids, thumbnails=thumbnails, lenient=lenient):
            found[row.id] = StoredItem(
                row.id,
                row.version,
                parsed(row.attributes),
                parsed(row.metadata),
                row.create_time,
                row.update_time,
                jpeg,
                row.image_sha256,
                self._lineage,
                len(row.metadata),
            )
        return found

    def _rows(
        self, ids: Sequence[str], *, thumbnails: bool, lenient: bool = False
    ) -> list[tuple[ItemRow, bytes]]:
        tables = "items i"
        jpeg = "NULL"
        if thumbnails:
            tables += " LEFT JOIN thumbnails t ON t.key = i.key"
            jpeg = "t.jpeg"
        query = f"SELECT {COLUMNS}, {jpeg} FROM {tables} WHERE i.id IN ({{ids}})"
        found = []
        with self._connections.reading() as db:
            for columns in select(db, query, [], ids):
                row, small = checked_item(columns), columns[10]
                if thumbnails and thumbnail_checksum(small) != row.thumbnail:
                    if not lenient:
                        raise DamagedPictureError(_lost_picture(row))
                    self._tell_of_lost_picture(row)
                    small = b""
                found.append((row, small or b""))
        return found

    def _tell_of_lost_picture(self, row: ItemRow) -> None:
        if (row.key, row.version) not in self._told:
            self._told.add((row.key, row.version))
            logger.error(
                "%s: %s, and is left out; send the item again with its photo",
                self._path.parent.name,
                _lost_picture(row),
            )

    def pictures(self, ids: Sequence[str]) -> dict[str, tuple[int, bytes]]:
        """See `Catalogue.pictures`."""
        return {row.id: (row.version, jpeg) for row, jpeg in self._rows(ids, thumbnails=True)}

    def ids_after(self, identifier: str, limit: int) -> list[str]:
        """See `Catalogue.ids_after`."""
        with self._connections.reading() as db:
            rows = db.execute(
                "SELECT id FROM items WHERE id > ? ORDER BY id LIMIT ?", (identifier, limit)
            )
            return [row[0] for row in rows]

    def embeddings(self, at_once: int = CHUNK) -> Iterator[StoredEmbedding]:
        """See `Catalogue.embeddings`; one that `close` overtakes ends in UNKNOWN_COLLECTION.

        Raises:
            FailedPreconditionError: CATALOGUE_DAMAGED or CATALOGUE_UNREADABLE.
        """
        # In chunks, since a query that is left open keeps the log from being written back.
        after = ""
        while chunk := self._embeddings_after(after, at_once):
            yield from chunk
            after = chunk[-1].id

    def _embeddings_after(self, identifier: str, limit: int) -> list[StoredEmbedding]:
        query = (
            f"SELECT {COLUMNS}, e.checksum, e.vector FROM {WITH_EMBEDDINGS}"
            f" WHERE i.id > ?{self._there} ORDER BY i.id LIMIT ?"
        )
        with self._connections.moment() as db:
            number = self._number(db)
            found = self._vectors(number, db.execute(query, (number, identifier, limit)))
            return [
                StoredEmbedding(row.id, row.version, parsed(row.attributes), vector)
                for row, vector in found
            ]

    def vectors(self, ids: Sequence[str]) -> dict[str, StoredVector]:
        """See `Catalogue.vectors`.

        Raises:
            FailedPreconditionError: CATALOGUE_DAMAGED or CATALOGUE_UNREADABLE.
        """
        query = (
            f"SELECT {COLUMNS}, e.checksum, e.vector FROM {WITH_EMBEDDINGS}"
            f" WHERE i.id IN ({{ids}}){self._there}"
        )
        with self._connections.moment() as db:
            number = self._number(db)
            found = self._vectors(number, select(db, query, [number], ids))
            return {row.id: StoredVector(row.version, vector) for row, vector in found}

    @property
    def _there(self) -> str:
        return " AND e.checksum IS NOT NULL" if self._incomplete else ""

    def _number(self, db: sqlite3.Connection) -> int:
        known = read_ledger(db).encoders.get(self._encoder)
        return known.number if known else -1

    def _vectors(self, number: int, rows: Iterable[Any]) -> Iterator[tuple[ItemRow, Vectors]]:
        for columns in rows:
            row = checked_item(columns)
            vector = checked_vector(row, number, columns[10], columns[11])
            if len(vector) != 4 * self._dimension:
                raise DamageError(f"the embedding of {row.id!r} is of another length")
            yield row, unpacked(vector)

    def identical_images(self) -> Iterator[list[str]]:
        """See `Catalogue.identical_images`."""
        with self._connections.reading() as db:
            rows = [
                checked_item(columns)
                for columns in db.execute(
                    f"SELECT {COLUMNS} FROM items i WHERE image_sha256 IN"
                    " (SELECT image_sha256 FROM items WHERE image_sha256 != x''"
                    " GROUP BY image_sha256 HAVING count(*) > 1) ORDER BY image_sha256, id"
                )
            ]
        for _, group in groupby(rows, key=lambda row: row.image_sha256):
            yield [row.id for row in group]

    def expect_complete(self, complete: bool) -> None:
        """See `Catalogue.expect_complete`."""
        self._incomplete = not complete

    # Embeddings of other encoders

    def without_embedding(self, encoder: str, limit: int) -> list[str]:
        """See `Catalogue.without_embedding`."""
        with self._connections.moment() as db:
            ledger = read_ledger(db)
            known = ledger.encoders.get(encoder)
            if known is not None and known.embeddings.count == ledger.items.count:
                return []
            number = known.number if known else -1
            # Where the search before ended, and from the start once too few are found there.
            for start in (self._embedded_before.get(encoder, 0), 0):
                found = db.execute(
                    f"SELECT key, id FROM items WHERE key >= ? AND {_LACKING} ORDER BY key LIMIT ?",
                    (start, number, limit),
                ).fetchall()
                if len(found) == limit:
                    break
            if found:
                self._embedded_before[encoder] = found[0][0]
            return [identifier for _, identifier in found]

    def without_picture(self, encoder: str, limit: int) -> tuple[int, list[str]]:
        """See `Catalogue.without_picture`."""
        with self._connections.reading() as db:
            known = read_ledger(db).encoders.get(encoder)
            where = f"FROM items WHERE thumbnail = {NO_THUMBNAIL} AND {_LACKING}"
            number = known.number if known else -1
            count = db.execute(f"SELECT count(*) {where}", (number,)).fetchone()[0]
            found = db.execute(f"SELECT id {where} ORDER BY id LIMIT ?", (number, limit))
            return count, [identifier for (identifier,) in found]

    def embedding_counts(self) -> dict[str, int]:
        """See `Catalogue.embedding_counts`."""
        with self._connections.reading() as db:
            encoders = read_ledger(db).encoders
            return {encoder: known.embeddings.count for encoder, known in encoders.items()}

    def write_embeddings(self, encoder: str, embeddings: Mapping[str, tuple[int, Vectors]]) -> None:
        """See `Catalogue.write_embeddings`."""
        self._check_other(encoder)
        with self._transaction() as transaction:
            self._writes(transaction, encoder, time.time()).add_embeddings(embeddings)

    def drop_embeddings(self, encoder: str) -> None:
        """See `Catalogue.drop_embeddings`."""
        self._check_other(encoder)
        more = True
        while more:
            with self._transaction() as transaction:
                known = encoder in transaction.ledger.encoders
                writes = self._writes(transaction, encoder, time.time())
                more = writes.drop_some(_DROPPED_AT_ONCE)
                if not more:
                    del transaction.ledger.encoders[encoder]
                transaction.changed = known

    def _check_other(self, encoder: str) -> None:
        if encoder == self._encoder:
            raise ValueError("the embeddings of the catalogue's own encoder are written by upsert")

    # Files

    def backup(self, target: Path, advanced: Callable[[float], None]) -> None:
        """See `Catalogue.backup`."""
        with self._connections.in_use(), translated(target, writing=True):
            source = self._connections.connect()
            try:
                # Within a transaction, so that writes do not make the copy begin again.
                source.execute("BEGIN")
                source.execute("SELECT 1 FROM ledger").fetchone()
                with closing(sqlite3.connect(target)) as copy:
                    copy.execute("PRAGMA synchronous = OFF")
                    source.backup(
                        copy,
                        pages=_COPIED_PAGES,
                        progress=lambda status, left, total: advanced(1 - left / max(total, 1)),
                    )
                sync(target)
                sync(target.parent)
            except BaseException:
                target.unlink(missing_ok=True)
                raise
            finally:
                self._connections.disconnect(source)

    def reclaim(self) -> bool:
        """See `Catalogue.reclaim`."""
        with self._writing() as db:
            pages = db.execute("PRAGMA page_count").fetchone()[0]
            free = db.execute("PRAGMA freelist_count").fetchone()[0]
            spare = int(pages * _FREE_SHARE)
            automatic = db.execute("PRAGMA auto_vacuum").fetchone()[0]
            step = min(_RECLAIMED_PAGES, free - spare)
            if step <= 0 or not automatic:
                return False
            # `execute` would end after the first page.
            db.executescript(f"PRAGMA incremental_vacuum({step})")
            if free - step > spare:
                return True
            # The file itself shrinks when the log is written back.
            db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
            return False

    def close(self) -> None:
        """See `Catalogue.close`; waits for calls under way."""
        with self._write_lock:
            self._connections.close()
            self._witness.close()


@contextmanager
def _atomic(db: sqlite3.Connection) -> Iterator[None]:
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def _lost_picture(row: ItemRow) -> str:
    return f"the picture of {row.id!r} has changed or is missing"


def _compare(what: str, found: Tally, wanted: Tally) -> None:
    if found != wanted:
        raise DamageError(f"{found.count} {what} are as they were, of {wanted.count}")
