"""Rows as they are stored: reading them, checking them, and the text that JSON becomes."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from tashihiki_server.catalogue.checksums import embedding_checksum, item_checksum
from tashihiki_server.catalogue.failures import DamageError
from tashihiki_server.space.base import Vectors

CHUNK = 500
_ENCODER = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, separators=(",", ":"), sort_keys=True
)
_DECODER = json.JSONDecoder()
# In the order of `ItemRow`, and of the arguments of `item_checksum`.
COLUMNS = (
    "i.key, i.id, i.version, i.attributes, i.metadata, i.image_sha256,"
    " i.create_time, i.update_time, i.thumbnail, i.checksum"
)
# LEFT, so that an item without its embedding is noticed and not passed over.
WITH_EMBEDDINGS = (
    "items i LEFT JOIN embeddings e INDEXED BY embeddings_by_item"
    " ON e.encoder = ? AND e.key = i.key"
)


class ItemRow(NamedTuple):
    """A row of `items`; attributes and metadata are JSON."""

    key: int
    id: str
    version: int
    attributes: str
    metadata: str
    image_sha256: bytes
    create_time: float
    update_time: float
    thumbnail: int
    checksum: int


def checked_item(columns: Sequence[Any]) -> ItemRow:
    """A row whose checksum holds.

    Raises:
        DamageError: when it does not.
    """
    if item_checksum(*columns[:9]) != columns[9]:
        raise DamageError(f"the item {columns[1]!r} has changed since it was written")
    return ItemRow._make(columns[:10])


def checked_vector(row: ItemRow, encoder: int, checksum: int | None, vector: object) -> bytes:
    """An embedding whose checksum holds.

    Args:
        row: of its item.
        encoder: number of its encoder.
        checksum: None where there is no embedding.
        vector: as it is stored.

    Raises:
        DamageError: when it does not, or there is none.
    """
    if checksum is None:
        raise without_embedding(row)
    if not isinstance(vector, bytes) or embedding_checksum(encoder, row.key, vector) != checksum:
        raise DamageError(f"the embedding of {row.id!r} has changed since it was written")
    return vector


def without_embedding(row: ItemRow) -> DamageError:
    """The error for an item whose embedding is missing."""
    return DamageError(f"the item {row.id!r} has no embedding of the collection's encoder")


def packed(embedding: Vectors) -> bytes:
    """A vector (d,) as it is stored."""
    return np.ascontiguousarray(embedding, dtype="<f4").tobytes()


def unpacked(stored: bytes) -> Vectors:
    """A stored vector, (d,)."""
    return np.frombuffer(stored, dtype="<f4")


def canonical(value: object) -> str:
    """JSON that is the same for the same content, whatever the order of its keys."""
    return _ENCODER.encode(value)


def parsed(stored: str) -> dict[str, Any]:
    """What `canonical` wrote.

    Raises:
        json.JSONDecodeError: for anything else.
    """
    value: dict[str, Any] = _DECODER.raw_decode(stored)[0]
    return value


def select(
    db: sqlite3.Connection, query: str, before: Sequence[Any], ids: Sequence[Any]
) -> Iterator[Any]:
    """The rows of a query for many ids, in parts that SQLite takes.

    Args:
        db: to ask.
        query: with `{ids}` for the list.
        before: values of the parameters before the list.
        ids: of the list.
    """
    for start in range(0, len(ids), CHUNK):
        chunk = ids[start : start + CHUNK]
        found = db.execute(query.format(ids=", ".join("?" * len(chunk))), [*before, *chunk])
        # At once: a query that is left half-way must not outlive its connection.
        yield from found.fetchall()
