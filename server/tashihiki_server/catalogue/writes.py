"""Items into the tables and out of them, with the ledger kept in step."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence

from tashihiki.errors import AbortedError, NotFoundError
from tashihiki_server.catalogue.base import ItemRecord
from tashihiki_server.catalogue.checksums import (
    NO_THUMBNAIL,
    embedding_checksum,
    item_checksum,
    thumbnail_checksum,
)
from tashihiki_server.catalogue.ledger import Ledger
from tashihiki_server.catalogue.rows import (
    COLUMNS,
    WITH_EMBEDDINGS,
    ItemRow,
    canonical,
    checked_item,
    packed,
    select,
)
from tashihiki_server.space.base import Vectors


class ItemWrites:
    """The writes of one transaction."""

    def __init__(
        self, db: sqlite3.Connection, ledger: Ledger, encoder: str, dimension: int, now: float
    ) -> None:
        """Prepares for writes.

        Args:
            db: within a transaction.
            ledger: of the transaction.
            encoder: fingerprint of the encoder that the embeddings are of.
            dimension: of the embeddings.
            now: seconds since the epoch.
        """
        self._db = db
        self._ledger = ledger
        self._encoder = ledger.number(encoder)
        self._embeddings = ledger.encoders[encoder].embeddings
        self._dimension = dimension
        self._now = now

    def upsert(self, records: Sequence[ItemRecord]) -> list[int]:
        """See `Catalogue.upsert`.

        Raises:
            NotFoundError: UNKNOWN_ITEM.
            AbortedError: PICTURE_CHANGED.
            DamageError: for an item that has changed since it was written.
        """
        stored = self._stored([record.id for record in records])
        key = self._db.execute("SELECT max(key) FROM items").fetchone()[0] or 0
        versions, replaced = [], []
        for record in records:
            row, checksum = stored.get(record.id, (None, None))
            _check_embedding(record, row, self._dimension)
            if row is None:
                key += 1
            written = self._fresh(record, key, row)
            vector = None if record.embedding is None else packed(record.embedding)
            if row is not None and self._unchanged(row, written, checksum, vector, record):
                versions.append(row.version)
                continue
            self._write_item(row, written)
            if vector is not None:
                self._write_vector(written.key, checksum, vector)
                self._write_thumbnail(row, written, record.thumbnail)
                if row is not None:
                    replaced.append(row.key)
            versions.append(written.version)
        for other in self._ledger.encoders.values():
            if other.number != self._encoder:
                self._delete_embeddings(other.number, replaced)
        return versions

    def _stored(self, ids: Sequence[str]) -> dict[str, tuple[ItemRow, int | None]]:
        query = f"SELECT {COLUMNS}, e.checksum FROM {WITH_EMBEDDINGS} WHERE i.id IN ({{ids}})"
        rows = (
            (checked_item(columns), columns[10])
            for columns in select(self._db, query, [self._encoder], ids)
        )
        return {row.id: (row, checksum) for row, checksum in rows}

    def _fresh(self, record: ItemRecord, key: int, row: ItemRow | None) -> ItemRow:
        """The item as it is to be, under the next version, without its checksum."""
        kept = record.embedding is None
        return ItemRow(
            row.key if row else key,
            record.id,
            self._ledger.version + 1,
            canonical(record.attributes),
            canonical(record.metadata),
            row.image_sha256 if row and kept else record.image_sha256,
            row.create_time if row else self._now,
            self._now,
            row.thumbnail if row and kept else thumbnail_checksum(record.thumbnail),
            0,
        )

    def _unchanged(
        self,
        row: ItemRow,
        written: ItemRow,
        checksum: int | None,
        vector: bytes | None,
        record: ItemRecord,
    ) -> bool:
        same = (
            row.attributes == written.attributes
            and row.metadata == written.metadata
            and row.image_sha256 == written.image_sha256
            and row.thumbnail == written.thumbnail
        )
        if not same or vector is None:
            return same
        if checksum != embedding_checksum(self._encoder, row.key, vector):
            return False
        found = self._db.execute(
            "SELECT vector FROM embeddings WHERE encoder = ? AND key = ?", (self._encoder, row.key)
        ).fetchone()
        if found is None or found[0] != vector:
            return False
        # Only what is kept tells whether it is as it was written.
        kept = self._db.execute("SELECT jpeg FROM thumbnails WHERE key = ?", (row.key,)).fetchone()
        return (kept[0] if kept else b"") == record.thumbnail

    def _write_item(self, row: ItemRow | None, written: ItemRow) -> None:
        checksum = item_checksum(*written[:9])
        values = (*written[:9], checksum)
        if row is None:
            self._db.execute("INSERT INTO items VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", values)
        else:
            self._ledger.items.remove(row.checksum)
            self._db.execute(
                "UPDATE items SET version = ?, attributes = ?, metadata = ?, image_sha256 = ?,"
                " update_time = ?, thumbnail = ?, checksum = ? WHERE key = ?",
                (*values[2:6], *values[7:], row.key),
            )
        self._ledger.items.add(checksum)
        self._ledger.version = written.version

    def _write_vector(self, key: int, before: int | None, vector: bytes) -> None:
        checksum = embedding_checksum(self._encoder, key, vector)
        if before is None:
            self._db.execute(
                "INSERT INTO embeddings (encoder, key, checksum, vector) VALUES (?, ?, ?, ?)",
                (self._encoder, key, checksum, vector),
            )
        else:
            self._embeddings.remove(before)
            self._db.execute(
                "UPDATE embeddings SET checksum = ?, vector = ? WHERE encoder = ? AND key = ?",
                (checksum, vector, self._encoder, key),
            )
        self._embeddings.add(checksum)

    def _write_thumbnail(self, row: ItemRow | None, written: ItemRow, jpeg: bytes) -> None:
        if written.thumbnail != NO_THUMBNAIL:
            self._db.execute("INSERT OR REPLACE INTO thumbnails VALUES (?, ?)", (written.key, jpeg))
        elif row is not None and row.thumbnail != NO_THUMBNAIL:
            self._db.execute("DELETE FROM thumbnails WHERE key = ?", (written.key,))

    def delete(self, ids: Sequence[str]) -> None:
        """See `Catalogue.delete`."""
        query = "SELECT key, checksum FROM items WHERE id IN ({ids})"
        found = list(select(self._db, query, [], ids))
        keys = [(key,) for key, _ in found]
        for _, checksum in found:
            self._ledger.items.remove(checksum)
        for encoder in self._ledger.encoders.values():
            self._delete_embeddings(encoder.number, [key for key, _ in found])
        self._db.executemany("DELETE FROM thumbnails WHERE key = ?", keys)
        self._db.executemany("DELETE FROM items WHERE key = ?", keys)

    def _delete_embeddings(self, encoder: int, keys: Sequence[int]) -> None:
        (tally,) = [
            known.embeddings for known in self._ledger.encoders.values() if known.number == encoder
        ]
        query = (
            "SELECT place, checksum FROM embeddings INDEXED BY embeddings_by_item"
            " WHERE encoder = ? AND key IN ({ids})"
        )
        found = list(select(self._db, query, [encoder], keys))
        for _, checksum in found:
            tally.remove(checksum)
        places = [(place,) for place, _ in found]
        self._db.executemany("DELETE FROM embeddings WHERE place = ?", places)

    def add_embeddings(self, embeddings: Mapping[str, tuple[int, Vectors]]) -> None:
        """See `Catalogue.write_embeddings`."""
        for identifier, (row, checksum) in self._stored(list(embeddings)).items():
            version, embedding = embeddings[identifier]
            if row.version == version:
                self._write_vector(row.key, checksum, packed(embedding))

    def drop_some(self, limit: int) -> bool:
        """Deletes up to `limit` embeddings of the encoder; True when there are more."""
        keys = self._db.execute(
            "SELECT key FROM embeddings INDEXED BY embeddings_by_item WHERE encoder = ? LIMIT ?",
            (self._encoder, limit),
        ).fetchall()
        self._delete_embeddings(self._encoder, [key for (key,) in keys])
        return len(keys) == limit


def _check_embedding(record: ItemRecord, row: ItemRow | None, dimension: int) -> None:
    if record.embedding is not None:
        if record.embedding.shape != (dimension,):
            raise ValueError(f"an embedding of shape {record.embedding.shape}, not ({dimension},)")
    elif record.image_sha256 and (row is None or row.image_sha256 != record.image_sha256):
        raise picture_changed(record.id)
    elif row is None:
        raise NotFoundError(
            f"no item {record.id!r}",
            reason="UNKNOWN_ITEM",
            field="items",
            remedy="An item that is new needs an image or a vector.",
        )


def picture_changed(identifier: str) -> AbortedError:
    """The error for a picture that is no longer the item's."""
    return AbortedError(
        f"the picture of {identifier!r} was replaced meanwhile",
        reason="PICTURE_CHANGED",
        field="items",
        remedy="Send the request again.",
    )
