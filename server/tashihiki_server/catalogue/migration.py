"""Catalogues of the first release into the tables of this one."""

from __future__ import annotations

import json
import sqlite3

from tashihiki_server.catalogue.checksums import (
    embedding_checksum,
    item_checksum,
    thumbnail_checksum,
)
from tashihiki_server.catalogue.failures import DamageError
from tashihiki_server.catalogue.ledger import Ledger, new_lineage
from tashihiki_server.catalogue.rows import canonical
from tashihiki_server.catalogue.schema import create_schema, schema_version, table_names

FIRST_TABLES = {"counters", "items", "embeddings", "thumbnails"}
_OLD = {"items": "old_items", "embeddings": "old_embeddings", "thumbnails": "old_thumbnails"}
_CHUNK = 1000


def is_first(db: sqlite3.Connection) -> bool:
    """Whether the tables are those of the first release."""
    return schema_version(db) == 0 and table_names(db) == FIRST_TABLES


def count_first(db: sqlite3.Connection) -> int:
    """How many items a catalogue of the first release has; it has no checksums to compare.

    Raises:
        DamageError: when `migrate` would miss something.
    """
    lacking = db.execute(
        "SELECT id FROM items WHERE key NOT IN (SELECT key FROM embeddings) LIMIT 1"
    ).fetchone()
    if lacking is not None:
        raise _without_embedding(lacking[0])
    return int(db.execute("SELECT count(*) FROM items").fetchone()[0])


def _without_embedding(identifier: str) -> DamageError:
    return DamageError(f"the item {identifier!r} has no embedding")


def migrate(db: sqlite3.Connection) -> None:
    """Moves everything, within a transaction of the caller's.

    Raises:
        DamageError: when something is missing.
    """
    for table, old in _OLD.items():
        db.execute(f"ALTER TABLE {table} RENAME TO {old}")
    counters = dict(db.execute("SELECT name, value FROM counters").fetchall())
    ledger = Ledger(counters["generation"], counters["version"], lineage=new_lineage())
    create_schema(db, ledger)
    after = -1
    while rows := db.execute(
        "SELECT i.key, id, version, attributes, metadata, create_time, update_time, encoder,"
        " vector, jpeg FROM old_items i LEFT JOIN old_embeddings e ON e.key = i.key"
        " LEFT JOIN old_thumbnails t ON t.key = i.key WHERE i.key > ? ORDER BY i.key LIMIT ?",
        (after, _CHUNK),
    ).fetchall():
        for key, identifier, version, attributes, metadata, created, updated, *rest in rows:
            encoder, vector, jpeg = rest
            if vector is None:
                raise _without_embedding(identifier)
            # No SHA-256 is known, so the next upsert of the picture encodes it.
            row = (
                key,
                identifier,
                version,
                canonical(json.loads(attributes)),
                canonical(json.loads(metadata)),
                b"",
                created,
                updated,
                thumbnail_checksum(jpeg),
            )
            checksum = item_checksum(*row)
            db.execute("INSERT INTO items VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", (*row, checksum))
            ledger.items.add(checksum)
            number = ledger.number(encoder)
            checksum = embedding_checksum(number, key, vector)
            db.execute(
                "INSERT INTO embeddings (encoder, key, checksum, vector) VALUES (?, ?, ?, ?)",
                (number, key, checksum, vector),
            )
            ledger.encoders[encoder].embeddings.add(checksum)
            if jpeg:
                db.execute("INSERT INTO thumbnails VALUES (?, ?)", (key, jpeg))
        after = rows[-1][0]
    for old in ("counters", *reversed(_OLD.values())):
        db.execute(f"DROP TABLE {old}")
    ledger.write(db)
