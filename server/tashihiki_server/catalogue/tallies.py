"""What the indexes hold, to be compared with the ledger without reading the tables."""

from __future__ import annotations

import sqlite3

from tashihiki_server.catalogue.checksums import Tally


def embeddings_tally(db: sqlite3.Connection, encoder: int) -> tuple[Tally, int]:
    """The embeddings of an encoder, and the sum of their items' keys.

    Args:
        db: to ask.
        encoder: the encoder's number.
    """
    count, total, keys = db.execute(
        "SELECT count(*), coalesce(sum(checksum), 0), coalesce(sum(key), 0)"
        " FROM embeddings INDEXED BY embeddings_by_item WHERE encoder = ?",
        (encoder,),
    ).fetchone()
    return Tally(count, total), keys


def requests_tally(db: sqlite3.Connection) -> Tally:
    """The requests that are remembered."""
    row = db.execute(
        "SELECT count(*), coalesce(sum(checksum), 0) FROM requests INDEXED BY requests_by_id"
    ).fetchone()
    return Tally(*row)


def lacking(db: sqlite3.Connection, encoder: int) -> set[int]:
    """The keys of the items that have no embedding of an encoder.

    Args:
        db: to ask.
        encoder: the encoder's number.
    """
    rows = db.execute(
        "SELECT key FROM items WHERE NOT EXISTS (SELECT 1 FROM embeddings e"
        " INDEXED BY embeddings_by_item WHERE e.encoder = ? AND e.key = items.key)",
        (encoder,),
    )
    return {row[0] for row in rows}
