"""The tables, and whether a file has them as they were made."""

from __future__ import annotations

import sqlite3

from tashihiki_server.catalogue.failures import DamageError
from tashihiki_server.catalogue.ledger import Ledger

SCHEMA_VERSION = 2

# Checksums that are looked up stand in indexes, so that an index that disagrees with its table
# is noticed.
_STATEMENTS = {
    "ledger": "CREATE TABLE ledger (key INTEGER PRIMARY KEY, content TEXT NOT NULL,"
    " checksum INTEGER NOT NULL)",
    "items": "CREATE TABLE items (key INTEGER PRIMARY KEY, id TEXT NOT NULL,"
    " version INTEGER NOT NULL, attributes TEXT NOT NULL, metadata TEXT NOT NULL,"
    " image_sha256 BLOB NOT NULL, create_time REAL NOT NULL, update_time REAL NOT NULL,"
    " thumbnail INTEGER NOT NULL, checksum INTEGER NOT NULL)",
    "items_by_id": "CREATE UNIQUE INDEX items_by_id ON items (id)",
    "embeddings": "CREATE TABLE embeddings (place INTEGER PRIMARY KEY, encoder INTEGER NOT NULL,"
    " key INTEGER NOT NULL, checksum INTEGER NOT NULL, vector BLOB NOT NULL)",
    "embeddings_by_item": "CREATE UNIQUE INDEX embeddings_by_item ON embeddings"
    " (encoder, key, checksum)",
    "thumbnails": "CREATE TABLE thumbnails (key INTEGER PRIMARY KEY, jpeg BLOB NOT NULL)",
    "requests": "CREATE TABLE requests (number INTEGER PRIMARY KEY, id TEXT NOT NULL,"
    " digest BLOB NOT NULL, time REAL NOT NULL, answer BLOB NOT NULL, checksum INTEGER NOT NULL)",
    "requests_by_id": "CREATE UNIQUE INDEX requests_by_id ON requests (id, checksum)",
}


def create_schema(db: sqlite3.Connection, ledger: Ledger) -> None:
    """Makes the tables, within a transaction of the caller's.

    Args:
        db: that has none of them.
        ledger: that is written.
    """
    for statement in _STATEMENTS.values():
        db.execute(statement)
    ledger.write(db)
    db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def check_schema(db: sqlite3.Connection) -> None:
    """Compares the tables with those that `create_schema` makes.

    Raises:
        DamageError: when they differ.
    """
    found = db.execute("SELECT name, sql FROM sqlite_master").fetchall()
    if dict(found) != _STATEMENTS:
        raise DamageError("its tables are not those that were made")


def schema_version(db: sqlite3.Connection) -> int:
    """The version of the tables; 0 where there are none, and in the first release."""
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def table_names(db: sqlite3.Connection) -> set[str]:
    """The tables of a database."""
    return {row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
