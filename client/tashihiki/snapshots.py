"""Copies of collections in the server's data folder."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Snapshot:
    """A collection as it was at one moment.

    Attributes:
        collection: the collection that it is of.
        name: unique among the snapshots of the collection.
        create_time: when it was made (UTC).
        item_count: how many items it holds.
        size_bytes: of its files.
        encoder: fingerprint of the collection's encoder.
    """

    collection: str
    name: str
    create_time: datetime | None
    item_count: int
    size_bytes: int
    encoder: str
