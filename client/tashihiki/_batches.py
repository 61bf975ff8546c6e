"""Long lists cut into requests that a server accepts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from tashihiki import _requests
from tashihiki._image import ImageSource, read_image
from tashihiki.catalog import Item, ItemError, UpsertResult
from tashihiki.errors import TashihikiError
from tashihiki.v1 import catalog_pb2

# Well under the message limit, so that a batch is encoded within a deadline.
BATCH_BYTES = 8 * 1024 * 1024
EMBED_BATCH = 32
DELETE_BATCH = 1000


@dataclass
class Batch:
    """Items for one request, their places among all the items, and those refused here."""

    messages: list[catalog_pb2.ItemInput] = field(default_factory=list)
    indexes: list[int] = field(default_factory=list)
    errors: list[ItemError] = field(default_factory=list)
    size: int = 0

    def add(self, index: int, message: catalog_pb2.ItemInput) -> None:
        """Appends one item."""
        self.messages.append(message)
        self.indexes.append(index)
        self.size += message.ByteSize()

    def has_room(self, message: catalog_pb2.ItemInput, count: int) -> bool:
        """Whether another item fits; an empty batch takes one of any size."""
        fits = len(self.messages) < count and self.size + message.ByteSize() <= BATCH_BYTES
        return fits or not self.messages

    def settle(self, answer: UpsertResult) -> UpsertResult:
        """The server's answer with places among all the items, and our own refusals."""
        ours = tuple(self.errors)
        theirs = tuple(
            ItemError(self.indexes[error.index], error.id, error.error) for error in answer.errors
        )
        etags = dict.fromkeys([*self.indexes, *(error.index for error in ours)], "")
        etags.update(zip(self.indexes, answer.etags, strict=False))
        return replace(
            answer,
            errors=ours + theirs,
            etags=tuple(etag for _, etag in sorted(etags.items())),
        )


def item_batches(items: Iterable[Item], count: int, collect: bool) -> Iterator[Batch]:
    """Batches of at most `count` items; with `collect`, unreadable items become errors."""
    if not 1 <= count <= 1000:
        raise ValueError("batch_size is 1 to 1000")
    batch = Batch()
    for index, item in enumerate(items):
        try:
            message = _requests.item_input(item)
        except TashihikiError as error:
            if not collect:
                raise
            batch.errors.append(ItemError(index, item.id, error))
            continue
        if not batch.has_room(message, count):
            yield batch
            batch = Batch()
        batch.add(index, message)
    if batch.messages or batch.errors:
        yield batch


def total(answers: Iterable[UpsertResult]) -> UpsertResult:
    """The answers of batches that follow each other as one, errors in the order of the items."""
    answers = list(answers)
    errors = sorted((e for answer in answers for e in answer.errors), key=lambda e: e.index)
    return UpsertResult(
        count=sum(answer.count for answer in answers),
        errors=tuple(errors),
        unchanged_count=sum(answer.unchanged_count for answer in answers),
        unchanged_image_count=sum(answer.unchanged_image_count for answer in answers),
        etags=tuple(etag for answer in answers for etag in answer.etags),
    )


def image_batches(sources: Iterable[ImageSource]) -> Iterator[list[bytes]]:
    """Encoded pictures, as many at a time as one Embed request takes."""
    batch: list[bytes] = []
    size = 0
    for data in map(read_image, sources):
        if batch and (len(batch) == EMBED_BATCH or size + len(data) > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(data)
        size += len(data)
    if batch:
        yield batch


def id_batches(ids: Iterable[str]) -> Iterator[list[str]]:
    """Ids, as many at a time as one DeleteItems request takes."""
    if isinstance(ids, str):
        raise TypeError("delete_items takes several ids, not one text")
    batch: list[str] = []
    for item_id in ids:
        batch.append(item_id)
        if len(batch) == DELETE_BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
