"""Many labelled photos into a collection: read, decode and encode on all cores while writing.

The threads that decode and encode are ahead of the one that writes by a bounded number of photos,
so that neither waits for the other and memory does not grow with the catalogue.

What the collection holds already is passed over, so an import that was cut short goes on where it
stopped.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TypeVar

from tashihiki.errors import TashihikiError
from tashihiki_server.bounds import check_attributes, check_id
from tashihiki_server.catalogue.base import ItemRecord, StoredItem
from tashihiki_server.collection.collection import Collection
from tashihiki_server.dataset import Photo, Skipped
from tashihiki_server.encoder.embedder import Embedder

BATCH = 64
AHEAD = 4 * BATCH

_In = TypeVar("_In")
_Out = TypeVar("_Out")


@dataclass
class Indexed:
    """What came of it.

    Attributes:
        written: photos that the collection now holds as they are, the unchanged among them.
        unchanged: photos that it held already, with the same labels.
        skipped: photos that could not be read.
    """

    written: int = 0
    unchanged: int = 0
    skipped: list[Skipped] = field(default_factory=list)


@dataclass(frozen=True)
class _Unchanged:
    """A photo that the collection holds as it is."""


def index_photos(
    photos: Iterable[Photo],
    collection: Collection,
    embedder: Embedder,
    *,
    threads: int,
    advanced: Callable[[Indexed], None] = lambda indexed: None,
) -> Indexed:
    """Embeds photos and writes them in batches; each batch is durable when it is counted.

    The space and the index may be of fewer items then; `Collection.settle` waits for them.

    A picture that is the same file as the item's is not decoded, unless the thumbnail that is kept
    of it is damaged; its item is written only where its labels or metadata differ.

    Args:
        photos: to add, or to replace by their ids.
        collection: that takes them.
        embedder: decodes and encodes.
        threads: that decode and encode.
        advanced: told after each batch what has come of it all so far.
    """
    indexed = Indexed()

    def prepare(entry: tuple[Photo, StoredItem | None]) -> ItemRecord | Skipped | _Unchanged:
        photo, stored = entry
        return _prepared(photo, stored, collection, embedder)

    with collection.writing(), workers(threads) as pool:
        entries = _with_stored(photos, collection)
        for batch in batched(ahead(pool, prepare, entries, AHEAD), BATCH):
            records = [made for made in batch if isinstance(made, ItemRecord)]
            if records:
                collection.upsert(records)
            unchanged = sum(isinstance(made, _Unchanged) for made in batch)
            indexed.written += len(records) + unchanged
            indexed.unchanged += unchanged
            indexed.skipped += [made for made in batch if isinstance(made, Skipped)]
            advanced(indexed)
    return indexed


def _with_stored(
    photos: Iterable[Photo], collection: Collection
) -> Iterator[tuple[Photo, StoredItem | None]]:
    for chunk in batched(photos, BATCH):
        ids = [photo.id for photo in chunk]
        stored = collection.catalogue.items(ids, thumbnails=True, lenient=True)
        yield from ((photo, stored.get(photo.id)) for photo in chunk)


def _prepared(
    photo: Photo, stored: StoredItem | None, collection: Collection, embedder: Embedder
) -> ItemRecord | Skipped | _Unchanged:
    try:
        check_id(photo.id, "id")
        check_attributes(photo.attributes, "attributes")
        data = photo.path.read_bytes()
        digest = hashlib.sha256(data).digest()
        record = ItemRecord(photo.id, photo.attributes, dict(photo.metadata), image_sha256=digest)
        if stored is None or not stored.shows(digest):
            image = embedder.embed_with_thumbnail(collection.encoder, data, "image")
            return replace(record, embedding=image.embedding, thumbnail=image.thumbnail)
        # Without an embedding a record keeps the one that the item has.
        same = (stored.attributes, stored.metadata) == (record.attributes, record.metadata)
        return _Unchanged() if same else record
    except (TashihikiError, OSError) as error:
        why = error.message if isinstance(error, TashihikiError) else str(error)
        return Skipped(photo.path, why)


@contextmanager
def workers(threads: int) -> Iterator[ThreadPoolExecutor]:
    """Threads for the block; what has not begun when it ends is not begun any more."""
    pool = ThreadPoolExecutor(threads, thread_name_prefix="index")
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def ahead(
    pool: ThreadPoolExecutor, work: Callable[[_In], _Out], inputs: Iterable[_In], window: int
) -> Iterator[_Out]:
    """Results in order, with at most `window` under way or waiting to be taken."""
    pending: deque[Future[_Out]] = deque()
    for entry in inputs:
        pending.append(pool.submit(work, entry))
        if len(pending) >= window:
            yield pending.popleft().result()
    while pending:
        yield pending.popleft().result()


def batched(entries: Iterable[_In], size: int) -> Iterator[list[_In]]:
    """Lists of `size` entries each, the last one as long as it comes."""
    remaining = iter(entries)
    while batch := list(islice(remaining, size)):
        yield batch
