"""A collection in memory."""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from tashihiki.errors import AbortedError, InvalidArgumentError, NotFoundError, TashihikiError
from tashihiki_server.catalogue.base import ItemRecord, StoredItem, WriteRequest, etag_of
from tashihiki_server.collection.rows import Row, Rows, RowsView
from tashihiki_server.fake.space import FakeSpace
from tashihiki_server.space.base import Vectors
from tashihiki_server.vocabulary import Alias, AttributeKey, Vocabulary

# Of one picture embedded twice; two contents are far below it.
_SAME = 1.0 - 1e-5


@dataclass(frozen=True)
class FakeSettings:
    """What is fixed when a collection is made; the fields are those of the message."""

    name: str
    space: str = "auto"
    keep_negative: bool = False
    aliases: tuple[Alias, ...] = ()
    target_recall: float = 0.99


@dataclass(frozen=True)
class Kept:
    """An item and its embedding (d,)."""

    item: StoredItem
    embedding: Vectors


@dataclass(frozen=True)
class Sight:
    """What a picture shows that no item has: its embedding (d,), facet to value."""

    embedding: Vectors
    attributes: dict[str, str]


@dataclass
class FakeCollection:
    """Items with their labels. Whoever calls a method has the collection to himself.

    Attributes:
        settings: fixed.
        dimension: of an embedding.
        sights: what pictures show that no item has.
        items: by id.
        vocabulary: of their labels.
        generation: rises with every write.
        answers: of the writes that may be sent again, by their ids.
    """

    settings: FakeSettings
    dimension: int
    sights: Sequence[Sight] = ()
    items: dict[str, Kept] = field(default_factory=dict)
    generation: int = 1
    create_time: float = field(default_factory=time.time)
    answers: dict[str, tuple[bytes, bytes]] = field(default_factory=dict)
    lineage: str = field(default_factory=lambda: uuid.uuid4().hex[:8])

    def __post_init__(self) -> None:
        self.vocabulary = Vocabulary(self.settings.aliases)
        self._rows = Rows(self.dimension, self.vocabulary)
        self._version = 0

    # Reads

    @property
    def rows(self) -> RowsView:
        """The items as filters see them."""
        return self._rows.view()

    @property
    def space(self) -> FakeSpace:
        """As the labels have it now."""
        settings = self.settings
        return FakeSpace.of(self.vocabulary, settings.space, settings.keep_negative, self.dimension)

    def gallery_vector(self, identifier: str, space: FakeSpace) -> Vectors | None:
        """Of an item, None where there is none."""
        kept = self.items.get(identifier)
        row = self._rows.find(identifier)
        if kept is None or row is None:
            return None
        keys = [AttributeKey(facet, code) for facet, code in row.codes.items()]
        return space.shown(kept.embedding, keys).astype(np.float32)

    def gallery_vector_of(self, embedding: Vectors, space: FakeSpace) -> Vectors:
        """Of a picture, which shows what the first item or sight of the same embedding shows."""
        for identifier in sorted(self.items):
            if float(self.items[identifier].embedding @ embedding) >= _SAME:
                found = self.gallery_vector(identifier, space)
                assert found is not None
                return found
        keys: list[AttributeKey] = []
        for sight in self.sights:
            if float(sight.embedding @ embedding) >= _SAME:
                keys = self._keys(sight.attributes)
        return space.shown(embedding, keys).astype(np.float32)

    def _keys(self, attributes: dict[str, str]) -> list[AttributeKey]:
        return [
            key
            for facet, value in attributes.items()
            for key in self.vocabulary.occurrences(value)
            if key.facet == self.vocabulary.facet_or_none(facet)
        ]

    # Writes

    def answered(self, request: WriteRequest | None) -> bytes | None:
        """What the same write was answered, None where it is new.

        Raises:
            InvalidArgumentError: REQUEST_ID_REUSED.
        """
        if request is None or request.id not in self.answers:
            return None
        digest, answer = self.answers[request.id]
        if digest != request.digest:
            raise InvalidArgumentError(
                f"the request id {request.id!r} stood for another request",
                reason="REQUEST_ID_REUSED",
                field="request_id",
                remedy="Give every request an id of its own.",
            )
        return answer

    def faults(self, records: dict[int, ItemRecord]) -> dict[int, TashihikiError]:
        """What is wrong with some of the records, all by their places in the request."""
        faults: dict[int, TashihikiError] = {}
        seen: set[str] = set()
        for number, record in records.items():
            where = f"items[{number}]"
            kept = self.items.get(record.id)
            if record.id in seen:
                faults[number] = InvalidArgumentError(
                    f"the item {record.id!r} is in the request twice",
                    reason="DUPLICATE_ITEM",
                    field=f"{where}.id",
                    remedy="Send each item once.",
                )
            elif record.etag and (kept is None or kept.item.etag != record.etag):
                happened = "is not there" if kept is None else "was written meanwhile"
                faults[number] = AbortedError(
                    f"the item {record.id!r} {happened}",
                    reason="ETAG_MISMATCH",
                    field=f"{where}.etag",
                    remedy="Read the item, and decide again with the etag that it has now.",
                )
            elif kept is None and record.embedding is None:
                remedy = "An item that is new needs an image or a vector."
                faults[number] = _unknown_item(record.id, where, remedy)
            else:
                seen.add(record.id)
        return faults

    def write(self, record: ItemRecord) -> bool:
        """Adds or replaces an item; False where it was so already."""
        before = self.items.get(record.id)
        if before is not None and _unchanged(before, record):
            return False
        keeps = before if record.embedding is None else None
        assert keeps is not None or record.embedding is not None
        self._version += 1
        now = time.time()
        item = StoredItem(
            record.id,
            self._version,
            record.attributes,
            record.metadata,
            now if before is None else before.item.create_time,
            now,
            record.thumbnail if keeps is None else keeps.item.thumbnail,
            record.image_sha256 if keeps is None else keeps.item.image_sha256,
            self.lineage,
        )
        embedding = record.embedding if keeps is None else keeps.embedding
        assert embedding is not None
        codes = self.vocabulary.add(record.attributes)
        if (row := self._rows.find(record.id)) is not None:
            self.vocabulary.remove(row.codes)
        self._rows.write(Row(record.id, self._version, codes, embedding, record.metadata))
        self.items[record.id] = Kept(item, embedding)
        return True

    def ids_after(self, identifier: str, limit: int) -> list[str]:
        """Up to `limit` ids greater than this one, in order."""
        return sorted(other for other in self.items if other > identifier)[:limit]

    def etag(self, identifier: str) -> str:
        """Of an item that is there."""
        return etag_of(self.items[identifier].item.version, self.lineage)

    def delete(self, ids: Sequence[str], *, skip_missing: bool) -> list[str]:
        """Deletes items; returns the ids that are not there.

        Raises:
            NotFoundError: UNKNOWN_ITEM, unless they may be skipped; nothing is deleted then.
        """
        missing = [identifier for identifier in ids if identifier not in self.items]
        if missing and not skip_missing:
            remedy = "Check the id, or let missing items be skipped."
            raise _unknown_item(missing[0], "ids", remedy)
        for identifier in ids:
            if (row := self._rows.find(identifier)) is not None:
                self.vocabulary.remove(row.codes)
                self._rows.remove(identifier)
                del self.items[identifier]
        return missing


def _unchanged(before: Kept, record: ItemRecord) -> bool:
    item = before.item
    same = item.attributes == record.attributes and item.metadata == record.metadata
    if not same or record.embedding is None:
        return same
    return item.image_sha256 == record.image_sha256 and np.array_equal(
        before.embedding, record.embedding
    )


def _unknown_item(identifier: str, where: str, remedy: str) -> NotFoundError:
    return NotFoundError(
        f"no item {identifier!r}", reason="UNKNOWN_ITEM", field=where, remedy=remedy
    )
