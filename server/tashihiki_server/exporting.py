"""Items as a Parquet file, and their pictures as JPEG files beside it."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow
import pyarrow.parquet

from tashihiki.catalog import StoredItem
from tashihiki.errors import AlreadyExistsError
from tashihiki_server.durable import sync, sync_tree

TABLE_FILE = "items.parquet"
PICTURES_FOLDER = "pictures"

_ROWS_IN_GROUP = 1000
_MAX_NAME = 120
_TIME = pyarrow.timestamp("us", tz="UTC")
_SCHEMA = pyarrow.schema(
    [
        ("id", pyarrow.string()),
        ("attributes", pyarrow.map_(pyarrow.string(), pyarrow.string())),
        ("metadata", pyarrow.string()),
        ("vector", pyarrow.list_(pyarrow.float32())),
        ("picture", pyarrow.string()),
        ("image_sha256", pyarrow.string()),
        ("etag", pyarrow.string()),
        ("create_time", _TIME),
        ("update_time", _TIME),
    ]
)


def export_items(
    items: Iterable[StoredItem], folder: Path, advanced: Callable[[int], None] = lambda count: None
) -> int:
    """Writes items into a new folder, which is there whole or not at all.

    Args:
        items: with their vectors and thumbnails.
        folder: that is made: `items.parquet`, a row for each item with its metadata as JSON and
            the path of its picture, and `pictures/`.
        advanced: told how many items are written.

    Returns:
        How many items there are.

    Raises:
        AlreadyExistsError: OUTPUT_EXISTS.
        OSError: when the disk does not take it.
    """
    if folder.exists():
        raise AlreadyExistsError(
            f"{folder} is there already",
            reason="OUTPUT_EXISTS",
            field="out",
            remedy="Name a folder that is not there yet; the export makes it.",
        )
    work = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(work, ignore_errors=True)
    (work / PICTURES_FOLDER).mkdir(parents=True)
    try:
        count = _write(items, work, advanced)
        sync_tree(work)
        work.rename(folder)
        sync(folder.parent)
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise
    return count


def _write(items: Iterable[StoredItem], work: Path, advanced: Callable[[int], None]) -> int:
    count = 0
    with pyarrow.parquet.ParquetWriter(work / TABLE_FILE, _SCHEMA, compression="zstd") as writer:
        for group in _grouped(iter(items)):
            rows = [_row(item, work) for item in group]
            writer.write_table(pyarrow.Table.from_pylist(rows, schema=_SCHEMA))
            count += len(group)
            advanced(count)
    return count


def _grouped(items: Iterator[StoredItem]) -> Iterator[list[StoredItem]]:
    while group := list(islice(items, _ROWS_IN_GROUP)):
        yield group


def _row(item: StoredItem, work: Path) -> dict[str, Any]:
    picture = None
    if item.thumbnail:
        picture = f"{PICTURES_FOLDER}/{_file_name(item.id)}"
        (work / picture).write_bytes(item.thumbnail)
    return {
        "id": item.id,
        "attributes": sorted(item.attributes.items()),
        "metadata": json.dumps(item.metadata, ensure_ascii=False, sort_keys=True),
        "vector": item.vector,
        "picture": picture,
        "image_sha256": item.image_sha256.hex() if item.image_sha256 else None,
        "etag": item.etag,
        "create_time": item.create_time,
        "update_time": item.update_time,
    }


def _file_name(identifier: str) -> str:
    """The id where it can be a file's name; else its beginning and its hash."""
    name = quote(identifier, safe=" ")
    if name != identifier or len(name) > _MAX_NAME or name.startswith("."):
        digest = hashlib.sha256(identifier.encode()).hexdigest()[:16]
        name = f"{name[:_MAX_NAME].lstrip('.')}-{digest}"
    return f"{name}.jpg"
