"""Durable writes of items, which the next state shows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from tashihiki.errors import AbortedError, InvalidArgumentError, NotFoundError, TashihikiError
from tashihiki_server.catalogue.base import ItemRecord, WriteRequest, etag_of
from tashihiki_server.collection.gallery import Gallery
from tashihiki_server.collection.rows import Row
from tashihiki_server.collection.written import Written, placed
from tashihiki_server.space.base import Vectors
from tashihiki_server.vocabulary import AttributeKey

# Told the ids that were written, the values whose members changed, and how many of the items matter
# to a fit.
Changed = Callable[[Sequence[str], set[AttributeKey], int], None]


class ItemWrites:
    """Writes to a gallery and its catalogue. The gallery's lock is held to call its methods."""

    def __init__(self, gallery: Gallery, changed: Changed) -> None:
        self._gallery = gallery
        self._changed = changed

    def upsert(
        self,
        records: Sequence[ItemRecord],
        *,
        partial: bool = False,
        request: WriteRequest | None = None,
        answer: Callable[[Written], bytes] = lambda written: b"",
    ) -> Written:
        """See `Collection.upsert`."""
        faults = self._faults(records)
        if faults and not partial:
            raise next(iter(faults.values()))
        sound = [record for n, record in enumerate(records) if n not in faults]
        if not sound and request is None:
            return placed([], [], faults)
        stood = [self._gallery.rows.find(record.id) for record in sound]
        before = [None if row is None else row.version for row in stood]
        vectors = self._project(sound)
        versions = self._gallery.catalogue.upsert(
            sound,
            request=request,
            answer=lambda versions: answer(placed(versions, before, faults)),
        )
        self._write(sound, stood, versions, vectors)
        return placed(versions, before, faults)

    def _write(
        self,
        records: Sequence[ItemRecord],
        stood: Sequence[Row | None],
        versions: Sequence[int],
        vectors: Mapping[str, Vectors],
    ) -> None:
        touched: set[AttributeKey] = set()
        changed: list[str] = []
        changes = 0
        for record, before, version in zip(records, stood, versions, strict=True):
            if before is not None and before.version == version:
                continue
            # In before out, so that no value that stays is ever without members.
            codes = self._gallery.vocabulary.add(record.attributes)
            before_codes = counted_out(self._gallery, before)
            if record.embedding is not None:
                vector = vectors[record.id]
            else:
                assert before is not None
                vector = before.vector
            self._gallery.rows.write(Row(record.id, version, codes, vector, record.metadata))
            changed.append(record.id)
            touched |= attribute_keys(codes) | attribute_keys(before_codes)
            if record.embedding is not None or codes != before_codes:
                changes += bool(codes or before_codes)
        if changed:
            self._changed(changed, touched, changes)

    def _project(self, records: Sequence[ItemRecord]) -> dict[str, Vectors]:
        embeddings = {r.id: r.embedding for r in records if r.embedding is not None}
        if not embeddings:
            return {}
        vectors = self._gallery.space.project(np.array(list(embeddings.values())))
        return dict(zip(embeddings, vectors, strict=True))

    def delete(
        self,
        ids: Sequence[str],
        *,
        skip_missing: bool,
        request: WriteRequest | None = None,
        answer: Callable[[list[str]], bytes] = lambda missing: b"",
    ) -> list[str]:
        """See `Collection.delete`."""
        missing = [identifier for identifier in ids if identifier not in self._gallery.rows]
        if missing and not skip_missing:
            raise _unknown_item(missing[0], "ids")
        self._gallery.catalogue.delete(ids, request=request, answer=lambda: answer(missing))
        touched: set[AttributeKey] = set()
        changes = 0
        for identifier in ids:
            codes = counted_out(self._gallery, self._gallery.rows.find(identifier))
            self._gallery.rows.remove(identifier)
            touched |= attribute_keys(codes)
            changes += bool(codes)
        self._changed(ids, touched, changes)
        return missing

    def _faults(self, records: Sequence[ItemRecord]) -> dict[int, TashihikiError]:
        faults: dict[int, TashihikiError] = {}
        seen: set[str] = set()
        for number, record in enumerate(records):
            if record.id in seen:
                faults[number] = InvalidArgumentError(
                    f"the item {record.id!r} is in the request twice",
                    reason="DUPLICATE_ITEM",
                    field=f"items[{number}].id",
                    remedy="Send each item once.",
                )
            elif (fault := self._fault(record, f"items[{number}]")) is not None:
                faults[number] = fault
            else:
                seen.add(record.id)
        return faults

    def _fault(self, record: ItemRecord, where: str) -> TashihikiError | None:
        row = self._gallery.rows.find(record.id) if record.etag else None
        lineage = self._gallery.catalogue.lineage
        if record.etag and (row is None or etag_of(row.version, lineage) != record.etag):
            return AbortedError(
                f"the item {record.id!r} "
                + ("is not there" if row is None else "was written meanwhile"),
                reason="ETAG_MISMATCH",
                field=f"{where}.etag",
                remedy="Read the item, and decide again with the etag that it has now.",
            )
        # With a picture, the catalogue tells whether its embedding can be kept.
        keeps = record.embedding is None and not record.image_sha256
        if keeps and record.id not in self._gallery.rows:
            return _unknown_item(
                record.id, where, "An item that is new needs an image or a vector."
            )
        return None


def counted_out(gallery: Gallery, row: Row | None) -> Mapping[str, int]:
    """Takes an item's labels out of the vocabulary's counts; returns them."""
    if row is None:
        return {}
    gallery.vocabulary.remove(row.codes)
    return row.codes


def attribute_keys(codes: Mapping[str, int]) -> set[AttributeKey]:
    """The values that labels by folded facet name."""
    return {AttributeKey(facet, code) for facet, code in codes.items()}


def _unknown_item(
    identifier: str, where: str, remedy: str = "Check the id, or let missing items be skipped."
) -> NotFoundError:
    return NotFoundError(
        f"no item {identifier!r}", reason="UNKNOWN_ITEM", field=where, remedy=remedy
    )
