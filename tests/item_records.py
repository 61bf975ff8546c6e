"""Items for a catalogue without a server, and everything that one says of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tashihiki_server.catalogue.base import ItemRecord
from tashihiki_server.catalogue.sqlite import SqliteCatalogue

ENCODER = "0123456789abcdef"
DATABASE = "catalogue.sqlite3"
WITNESS = "catalogue.witness"


@dataclass(frozen=True)
class Known:
    """An item as it was written."""

    attributes: dict[str, str]
    metadata: dict[str, Any]
    vector: bytes
    thumbnail: bytes
    image_sha256: bytes


def opened(
    path: Path, dimension: int, encoder: str = ENCODER, *, incomplete: bool = False
) -> SqliteCatalogue:
    """The catalogue of a folder, or the file itself."""
    file = path / DATABASE if path.is_dir() else path
    return SqliteCatalogue(file, encoder=encoder, dimension=dimension, incomplete=incomplete)


def random_record(
    dice: np.random.Generator, identifier: str, dimension: int, *, content: str = ""
) -> ItemRecord:
    """An item with random labels.

    Args:
        dice: to draw with.
        identifier: of the item.
        dimension: of its embedding.
        content: `image`, `vector`, `none`, or any of the first two when empty.
    """
    content = content or str(dice.choice(["image", "vector"]))
    labels = {"colour": f"c{dice.integers(3)}", "shape": f"s{dice.integers(2)}"}
    metadata = {"price": int(dice.integers(4)), "名前": ["x", None, True, {"y": 0.5}]}
    if content == "none":
        return ItemRecord(identifier, labels, metadata)
    vector = dice.random(dimension).astype(np.float32)
    vector /= np.linalg.norm(vector)
    if content == "vector":
        return ItemRecord(identifier, labels, metadata, vector)
    file = dice.bytes(20)
    digest = hashlib.sha256(file).digest()
    return ItemRecord(identifier, labels, metadata, vector, b"jpeg" + 50 * file, digest)


def known(record: ItemRecord, before: Known | None = None) -> Known:
    """What is to be read back of an item.

    Args:
        record: that was written last.
        before: what was known of it until then.
    """
    if record.embedding is None:
        assert before is not None
        return Known(
            record.attributes,
            record.metadata,
            before.vector,
            before.thumbnail,
            before.image_sha256,
        )
    return Known(
        record.attributes,
        record.metadata,
        record.embedding.astype("<f4").tobytes(),
        record.thumbnail,
        record.image_sha256,
    )


def everything(catalogue: SqliteCatalogue, further: Iterable[str] = ()) -> dict[str, Known]:
    """All items by every way of reading them, which must agree.

    Args:
        catalogue: to read.
        further: ids that are asked for too.
    """
    labels = {item.id: item for item in catalogue.labels()}
    embeddings = {item.id: item for item in catalogue.embeddings()}
    ids = sorted({*labels, *further})
    items = catalogue.items(ids, thumbnails=True)
    vectors = catalogue.vectors(ids)
    pictures = catalogue.pictures(ids)
    listed, after = [], ""
    while page := catalogue.ids_after(after, 7):
        listed += page
        after = page[-1]
    assert list(labels) == list(embeddings) == listed == sorted(labels)
    assert labels.keys() == items.keys() == vectors.keys() == pictures.keys()
    found = {}
    for identifier, item in items.items():
        label, embedding = labels[identifier], embeddings[identifier]
        vector = vectors[identifier]
        assert label.attributes == embedding.attributes == item.attributes
        assert label.metadata == item.metadata
        assert {item.version} == {label.version, embedding.version, vector.version}
        assert pictures[identifier] == (item.version, item.thumbnail)
        assert vector.embedding.tobytes() == embedding.embedding.tobytes()
        found[identifier] = Known(
            item.attributes,
            item.metadata,
            vector.embedding.tobytes(),
            item.thumbnail,
            item.image_sha256,
        )
    return found


def same_pictures(contents: dict[str, Known]) -> list[list[str]]:
    """The groups that `Catalogue.identical_images` is to find, sorted."""
    groups: dict[bytes, list[str]] = {}
    for identifier, item in sorted(contents.items()):
        if item.image_sha256:
            groups.setdefault(item.image_sha256, []).append(identifier)
    return sorted(group for group in groups.values() if len(group) > 1)
