"""Many labelled photos into a collection: read, decode and encode on all cores while writing."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from typing import TypeVar

from tashihiki.errors import TashihikiError
from tashihiki_server.bounds import check_attributes, check_id
from tashihiki_server.catalogue.base import ItemRecord
from tashihiki_server.collection.collection import Collection
from tashihiki_server.dataset import Photo, Skipped
from tashihiki_server.encoder.embedder import Embedder

BATCH = 64

_In = TypeVar("_In")
_Out = TypeVar("_Out")


@dataclass
class Indexed:
    """What came of it: how many photos were written, and those that could not be read."""

    written: int = 0
    skipped: list[Skipped] = field(default_factory=list)


def index_photos(
    photos: Sequence[Photo],
    collection: Collection,
    embedder: Embedder,
    *,
    threads: int,
    advanced: Callable[[int], None] = lambda count: None,
) -> Indexed:
    """Embeds photos and writes them in batches; each batch is durable when it is counted.

    Args:
        photos: to add, or to replace by their ids.
        collection: that takes them.
        embedder: decodes and encodes.
        threads: that decode and encode.
        advanced: told the size of each batch that is done.
    """
    indexed = Indexed()

    def prepare(photo: Photo) -> ItemRecord | Skipped:
        return _record(photo, collection, embedder)

    with ThreadPoolExecutor(threads, thread_name_prefix="index") as pool:
        for batch in _batched(_ahead(pool, prepare, photos, 4 * BATCH), BATCH):
            records = [made for made in batch if isinstance(made, ItemRecord)]
            if records:
                collection.upsert(records)
            indexed.written += len(records)
            indexed.skipped += [made for made in batch if isinstance(made, Skipped)]
            advanced(len(batch))
    collection.settle()
    return indexed


def _record(photo: Photo, collection: Collection, embedder: Embedder) -> ItemRecord | Skipped:
    try:
        check_id(photo.id, "id")
        check_attributes(photo.attributes, "attributes")
        image = embedder.embed_with_thumbnail(collection.encoder, photo.path.read_bytes(), "image")
    except (TashihikiError, OSError) as error:
        why = error.message if isinstance(error, TashihikiError) else str(error)
        return Skipped(photo.path, why)
    return ItemRecord(
        photo.id, photo.attributes, dict(photo.metadata), image.embedding, image.thumbnail
    )


def _ahead(
    pool: ThreadPoolExecutor, work: Callable[[_In], _Out], inputs: Iterable[_In], window: int
) -> Iterator[_Out]:
    """Results in order, with at most `window` under way: memory stays bounded."""
    pending: deque[Future[_Out]] = deque()
    for entry in inputs:
        pending.append(pool.submit(work, entry))
        if len(pending) >= window:
            yield pending.popleft().result()
    while pending:
        yield pending.popleft().result()


def _batched(entries: Iterator[_Out], size: int) -> Iterator[list[_Out]]:
    while batch := list(islice(entries, size)):
        yield batch
