"""UpsertItems and DeleteItems."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tashihiki.errors import AbortedError, TashihikiError
from tashihiki.status import to_status
from tashihiki.v1 import catalog_pb2, composition_pb2
from tashihiki_server.bounds import check_attributes, check_id
from tashihiki_server.catalogue.base import ItemRecord, WriteRequest, etag_of
from tashihiki_server.collection.collection import Collection
from tashihiki_server.collection.written import Written
from tashihiki_server.encoder.embedder import EmbeddedImage, Embedder
from tashihiki_server.query.resolve import unit_vector
from tashihiki_server.service.messages import metadata_dict, vector_values
from tashihiki_server.service.repeated import OneAtATime, write_request


@dataclass(frozen=True)
class _Picture:
    """A picture of a request: what it came to, or None where the item's embedding is of it."""

    digest: bytes
    embedded: EmbeddedImage | TashihikiError | None


class ItemWrites:
    """Writes of items, each carried out once however often it is sent."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self._once = OneAtATime()

    def upsert(
        self, collection: Collection, request: catalog_pb2.UpsertItemsRequest
    ) -> catalog_pb2.UpsertItemsResponse:
        """Adds or replaces items.

        Raises:
            TashihikiError: of the first item that is refused, unless `allow_partial`.
        """
        write = write_request(request)
        with collection.writing(), self._once.alone(collection.settings.name, write):
            if write is not None:
                answer = collection.catalogue.remembered(write)
                if answer is not None:
                    return catalog_pb2.UpsertItemsResponse.FromString(answer)
            try:
                return self._upsert(collection, request, write, encode_all=False)
            except AbortedError as error:
                if error.reason != "PICTURE_CHANGED":
                    raise
            # Somebody replaced a picture that was the same a moment ago.
            return self._upsert(collection, request, write, encode_all=True)

    def _upsert(
        self,
        collection: Collection,
        request: catalog_pb2.UpsertItemsRequest,
        write: WriteRequest | None,
        *,
        encode_all: bool,
    ) -> catalog_pb2.UpsertItemsResponse:
        pictures = self._pictures(collection, request.items, encode_all)
        records: dict[int, ItemRecord] = {}
        refused: dict[int, TashihikiError] = {}
        for number, item in enumerate(request.items):
            try:
                records[number] = _record(collection, item, number, pictures.get(number))
            except TashihikiError as error:
                refused[number] = error
        if refused and not request.allow_partial:
            raise next(iter(refused.values()))

        lineage = collection.catalogue.lineage

        def response(written: Written) -> catalog_pb2.UpsertItemsResponse:
            return _response(request, list(records), written, refused, pictures, lineage)

        written = collection.upsert(
            list(records.values()),
            partial=request.allow_partial,
            request=write,
            answer=lambda written: response(written).SerializeToString(),
        )
        return response(written)

    def _pictures(
        self, collection: Collection, items: Sequence[catalog_pb2.ItemInput], encode_all: bool
    ) -> dict[int, _Picture]:
        digests = {
            number: hashlib.sha256(item.image).digest()
            for number, item in enumerate(items)
            if item.WhichOneof("content") == "image"
        }
        stored = {}
        if digests and not encode_all:
            ids = [items[number].id for number in digests]
            stored = collection.catalogue.items(ids, thumbnails=True, lenient=True)
        new = [
            number
            for number, digest in digests.items()
            if (item := stored.get(items[number].id)) is None or not item.shows(digest)
        ]
        images = [(items[number].image, f"items[{number}].image") for number in new]
        embedded = self._embedder.embed_all(collection.encoder, images)
        made = dict(zip(new, embedded, strict=True))
        return {number: _Picture(digest, made.get(number)) for number, digest in digests.items()}

    def delete(
        self, collection: Collection, request: catalog_pb2.DeleteItemsRequest
    ) -> catalog_pb2.DeleteItemsResponse:
        """Deletes items by id.

        Raises:
            TashihikiError: as `Collection.delete`.
        """
        write = write_request(request)
        ids = list(dict.fromkeys(request.ids))

        def response(missing: Sequence[str]) -> catalog_pb2.DeleteItemsResponse:
            return catalog_pb2.DeleteItemsResponse(
                deleted_count=len(ids) - len(missing), missing_ids=missing
            )

        with self._once.alone(collection.settings.name, write):
            if write is not None:
                answer = collection.catalogue.remembered(write)
                if answer is not None:
                    return catalog_pb2.DeleteItemsResponse.FromString(answer)
            missing = collection.delete(
                ids,
                skip_missing=request.missing_items == composition_pb2.MISSING_ITEMS_SKIP,
                request=write,
                answer=lambda missing: response(missing).SerializeToString(),
            )
            return response(missing)


def _record(
    collection: Collection, item: catalog_pb2.ItemInput, number: int, picture: _Picture | None
) -> ItemRecord:
    check_id(item.id, f"items[{number}].id")
    check_attributes(item.attributes, f"items[{number}].attributes")
    embedding, thumbnail, digest = None, b"", b""
    if picture is not None:
        if isinstance(picture.embedded, TashihikiError):
            raise picture.embedded
        digest = picture.digest
        if picture.embedded is not None:
            embedding, thumbnail = picture.embedded.embedding, picture.embedded.thumbnail
    elif item.WhichOneof("content") == "vector":
        embedding = unit_vector(
            vector_values(item.vector),
            collection.encoder.manifest.dimension,
            f"items[{number}].vector",
        )
    metadata = metadata_dict(item.metadata, f"items[{number}].metadata")
    return ItemRecord(
        item.id, dict(item.attributes), metadata, embedding, thumbnail, digest, item.etag
    )


def _response(
    request: catalog_pb2.UpsertItemsRequest,
    sent: Sequence[int],
    written: Written,
    refused: Mapping[int, TashihikiError],
    pictures: Mapping[int, _Picture],
    lineage: str,
) -> catalog_pb2.UpsertItemsResponse:
    """The answer.

    Args:
        request: that was carried out.
        sent: the places in the request of the records that `written` tells of.
        written: what came of them.
        refused: the faults of the others, by their places in the request.
        pictures: by their places in the request.
        lineage: of the catalogue.
    """
    faults = dict(refused)
    etags = [""] * len(request.items)
    for place, (number, version) in enumerate(zip(sent, written.versions, strict=True)):
        if version is not None:
            etags[number] = etag_of(version, lineage)
        else:
            faults[number] = _renumbered(written.faults[place], place, number)
    return catalog_pb2.UpsertItemsResponse(
        upserted_count=len(request.items) - len(faults),
        errors=[
            catalog_pb2.ItemError(
                index=number, id=request.items[number].id, error=to_status(faults[number])
            )
            for number in sorted(faults)
        ],
        unchanged_count=written.unchanged,
        unchanged_image_count=sum(
            picture.embedded is None and number not in faults
            for number, picture in pictures.items()
        ),
        etags=etags,
    )


def _renumbered(error: TashihikiError, place: int, number: int) -> TashihikiError:
    # The collection counts what it was given, the caller what was sent.
    return type(error)(
        error.message,
        reason=error.reason,
        field=error.field.replace(f"items[{place}]", f"items[{number}]"),
        remedy=error.remedy,
        details=error.details,
    )
