"""The seam to the durable store: the truth from which everything else is derived."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from tashihiki_server.space.base import Vectors


@dataclass(frozen=True)
class ItemRecord:
    """An item as it is written.

    Attributes:
        id: the caller's.
        attributes: facet to value, spelt as the caller spelt them.
        metadata: anything that JSON can hold.
        embedding: (d,), of unit length; None keeps the one that the item has.
        thumbnail: a small JPEG, or b""; kept when `embedding` is None.
    """

    id: str
    attributes: dict[str, str]
    metadata: dict[str, Any] = field(default_factory=dict)
    embedding: Vectors | None = None
    thumbnail: bytes = b""


@dataclass(frozen=True)
class StoredItem:
    """An item as it is read back; times are seconds since the epoch."""

    id: str
    version: int
    attributes: dict[str, str]
    metadata: dict[str, Any]
    create_time: float
    update_time: float
    thumbnail: bytes = b""


@dataclass(frozen=True)
class StoredEmbedding:
    """What the derived structures need of an item.

    Attributes:
        id: the item's.
        version: changes with every write, never repeats within a collection.
        attributes: facet to value.
        embedding: (d,).
    """

    id: str
    version: int
    attributes: dict[str, str]
    embedding: Vectors


@dataclass(frozen=True)
class StoredVector:
    """An item's embedding (d,) and the version that it was read at."""

    version: int
    embedding: Vectors


class Catalogue(Protocol):
    """The items of one collection. Every write is durable when the call returns."""

    @property
    def generation(self) -> int:
        """Rises with every write and every publication of an index."""
        ...

    def upsert(self, records: Sequence[ItemRecord]) -> list[int]:
        """Writes all items or none; returns their versions.

        Raises:
            ResourceExhaustedError: DISK_FULL; nothing was written.
        """
        ...

    def delete(self, ids: Sequence[str]) -> None:
        """Deletes the items; ids that are not there are passed over."""
        ...

    def advance_generation(self) -> int:
        """Counts a publication; returns the new generation."""
        ...

    def items(self, ids: Sequence[str], *, thumbnails: bool = False) -> dict[str, StoredItem]:
        """The items with these ids, those that are there."""
        ...

    def ids_after(self, identifier: str, limit: int) -> list[str]:
        """Up to `limit` ids greater than this one, in order."""
        ...

    def embeddings(self) -> Iterator[StoredEmbedding]:
        """Every item, in the order of ids.

        Beside writes each item is as it was at some time meanwhile; versions tell which is which.
        """
        ...

    def vectors(self, ids: Sequence[str]) -> dict[str, StoredVector]:
        """The embeddings of the items with these ids, those that are there."""
        ...

    def close(self) -> None:
        """Lets go of the files."""
        ...
