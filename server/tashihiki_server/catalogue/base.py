"""The seam to the durable store: the truth from which everything else is derived."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
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
        image_sha256: SHA-256 of the picture's file, or b"". With `embedding` None it names the
            picture whose embedding is kept, and b"" keeps whichever there is.
        etag: that the item must have to be written; "" for any. A catalogue does not look at it.
    """

    id: str
    attributes: dict[str, str]
    metadata: dict[str, Any] = field(default_factory=dict)
    embedding: Vectors | None = None
    thumbnail: bytes = b""
    image_sha256: bytes = b""
    etag: str = ""


def etag_of(version: int, lineage: str) -> str:
    """The etag of an item: opaque to callers, never the same twice.

    Args:
        version: of the item.
        lineage: of its catalogue, since another history counts the same versions.
    """
    return f"{version:x}-{lineage}"


@dataclass(frozen=True)
class StoredItem:
    """An item as it is read back; times are seconds since the epoch.

    Attributes:
        metadata_bytes: of the metadata as it is stored.
    """

    id: str
    version: int
    attributes: dict[str, str]
    metadata: dict[str, Any]
    create_time: float
    update_time: float
    thumbnail: bytes = b""
    image_sha256: bytes = b""
    lineage: str = ""
    metadata_bytes: int = 0

    @property
    def etag(self) -> str:
        """Changes with every write of the item."""
        return etag_of(self.version, self.lineage)

    def shows(self, image_sha256: bytes) -> bool:
        """Whether its picture is that of this file and its thumbnail, read with it, is sound."""
        return self.image_sha256 == image_sha256 and bool(self.thumbnail)


@dataclass(frozen=True)
class StoredLabels:
    """An item without its embedding.

    Attributes:
        id: the item's.
        version: as in `StoredEmbedding`.
        attributes: facet to value.
        metadata: the caller's.
    """

    id: str
    version: int
    attributes: dict[str, str]
    metadata: dict[str, Any]


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


@dataclass(frozen=True)
class WriteRequest:
    """A write that may be sent again.

    Attributes:
        id: the caller's.
        digest: of all that the request asks for.
    """

    id: str
    digest: bytes


class Catalogue(Protocol):
    """The items of one collection. Every write is durable when the call returns.

    It is opened for one encoder, whose embeddings `upsert`, `embeddings` and `vectors` are of.
    Reading raises FailedPreconditionError, CATALOGUE_DAMAGED or CATALOGUE_UNREADABLE, for what is
    not as it was written.
    """

    @property
    def generation(self) -> int:
        """Rises with every write and every publication of an index."""
        ...

    @property
    def lineage(self) -> str:
        """Which history its versions and generations are of; random, 16 hexadecimal digits.

        What was derived under another lineage is of other items with the same numbers.
        """
        ...

    def upsert(
        self,
        records: Sequence[ItemRecord],
        *,
        request: WriteRequest | None = None,
        answer: Callable[[list[int]], bytes] = lambda versions: b"",
    ) -> list[int]:
        """Writes all items or none; returns their versions.

        An item of which nothing differs is not written and keeps its version, unless its
        thumbnail is damaged, which then is written again. A new embedding takes the place of
        those of all encoders.

        Args:
            records: the items, each id once.
            request: remembered with its answer in the same transaction.
            answer: told the versions before the transaction ends.

        Raises:
            NotFoundError: UNKNOWN_ITEM for a new item without an embedding.
            AbortedError: PICTURE_CHANGED for an item that does not have the picture whose
                embedding it is to keep.
            InvalidArgumentError: REQUEST_ID_REUSED for a request that is remembered.
            ResourceExhaustedError: DISK_FULL; nothing was written.
        """
        ...

    def delete(
        self,
        ids: Sequence[str],
        *,
        request: WriteRequest | None = None,
        answer: Callable[[], bytes] = lambda: b"",
    ) -> None:
        """Deletes the items; ids that are not there are passed over.

        Args:
            ids: of the items.
            request, answer: as in `upsert`.
        """
        ...

    def remembered(self, request: WriteRequest) -> bytes | None:
        """The answer to a request that was carried out, for a day and 100,000 requests.

        Raises:
            InvalidArgumentError: REQUEST_ID_REUSED when it asked for something else.
        """
        ...

    def advance_generation(self) -> int:
        """Counts a publication; returns the new generation."""
        ...

    def labels(self) -> Iterator[StoredLabels]:
        """Every item in the order of ids, as all of them were at one moment.

        Embeddings are not read, but that every item has one is checked, and at the end that no
        item is missing.
        """
        ...

    def items(
        self, ids: Sequence[str], *, thumbnails: bool = False, lenient: bool = False
    ) -> dict[str, StoredItem]:
        """The items with these ids, those that are there.

        Args:
            ids: of the items.
            thumbnails: whether they come with theirs.
            lenient: whether a thumbnail that is not as it was written is left out, with a line in
                the log, and is no error.
        """
        ...

    def ids_after(self, identifier: str, limit: int) -> list[str]:
        """Up to `limit` ids greater than this one, in order."""
        ...

    def embeddings(self, at_once: int = ...) -> Iterator[StoredEmbedding]:
        """Every item, in the order of ids.

        Beside writes each item is as it was at some time meanwhile; versions tell which is which.

        Args:
            at_once: how many are read between those that are returned.
        """
        ...

    def vectors(self, ids: Sequence[str]) -> dict[str, StoredVector]:
        """The embeddings of the items with these ids, those that are there."""
        ...

    def identical_images(self) -> Iterator[list[str]]:
        """The ids, in order, of every two or more items that were given the same file."""
        ...

    def expect_complete(self, complete: bool) -> None:
        """Says whether an item without an embedding is damaged, or passed over.

        It is passed over while another catalogue writes to the same file for another encoder.
        """
        ...

    def without_embedding(self, encoder: str, limit: int) -> list[str]:
        """Up to `limit` ids of items that lack an embedding of this encoder."""
        ...

    def without_picture(self, encoder: str, limit: int) -> tuple[int, list[str]]:
        """How many items lack an embedding of this encoder and a picture, and some of their ids."""
        ...

    def embedding_counts(self) -> dict[str, int]:
        """How many embeddings there are, by encoder."""
        ...

    def pictures(self, ids: Sequence[str]) -> dict[str, tuple[int, bytes]]:
        """Version and kept picture, b"" where there is none, of the items that are there."""
        ...

    def write_embeddings(self, encoder: str, embeddings: Mapping[str, tuple[int, Vectors]]) -> None:
        """Adds embeddings of another encoder, to the items that still have these versions.

        Args:
            encoder: fingerprint, not of the encoder that the catalogue is opened for.
            embeddings: version and embedding by id.

        Raises:
            ResourceExhaustedError: DISK_FULL; nothing was written.
        """
        ...

    def drop_embeddings(self, encoder: str) -> None:
        """Deletes every embedding of another encoder; cut short, it can be called again."""
        ...

    def backup(self, target: Path, advanced: Callable[[float], None]) -> None:
        """Copies the catalogue as it is at one moment, beside reads and writes.

        Args:
            target: that does not exist; on the disk on return, gone after an error.
            advanced: told the share that is done; what it raises ends the copying.

        Raises:
            ResourceExhaustedError: DISK_FULL.
        """
        ...

    def reclaim(self) -> bool:
        """Gives some of the room of deleted items back to the disk; True when there is more."""
        ...

    def close(self) -> None:
        """Lets go of the files."""
        ...
