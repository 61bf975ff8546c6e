"""Collections, items and attributes, as callers give and get them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tashihiki._image import ImageSource
from tashihiki.errors import TashihikiError


@dataclass(frozen=True)
class Space:
    """How a composition becomes a vector.

    Attributes:
        kind: `sum`, the weighted sum of the operands' vectors.
        keep_negative: keep negative coordinates, which the published recipe sets to 0.
    """

    kind: Literal["sum"] = "sum"
    keep_negative: bool = False


@dataclass(frozen=True)
class Collection:
    """Items that are searched together.

    Attributes:
        name: its name.
        encoder: the fingerprint of the encoder that its embeddings come from.
        space: how compositions become vectors.
        aliases: per facet, other names of values, for example `{"expression": {"HA": "HAPPY"}}`.
        dimension: the length of the embeddings.
        item_count: how many items it holds.
        generation: the number of the published state of space and index.
        create_time: when it was made (UTC).
        stale_prototype_count: attributes whose prototypes are being brought up to date.
    """

    name: str
    encoder: str
    space: Space
    aliases: Mapping[str, Mapping[str, str]]
    dimension: int
    item_count: int
    generation: int
    create_time: datetime | None
    stale_prototype_count: int


@dataclass(frozen=True, eq=False)
class Item:
    """An item to add or replace.

    Attributes:
        id: 1 to 512 bytes of text.
        image: what it looks like; a path is read when the item is sent.
        vector: shape (d,), instead of a picture. Without either, an item that exists keeps
            its embedding, and its attributes and metadata are replaced.
        attributes: facet to value.
        metadata: anything that JSON can hold; comes back with hits, its numbers as floats.
    """

    id: str
    image: ImageSource | None = None
    vector: ArrayLike | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class StoredItem:
    """An item as the collection holds it.

    Attributes:
        vector: its embedding, shape (d,), float32, when asked for.
        thumbnail: a small JPEG, when asked for; None for items given as vectors.
        create_time: when it was first added (UTC).
        update_time: when it was last replaced (UTC).
    """

    id: str
    attributes: Mapping[str, str]
    metadata: Mapping[str, Any]
    create_time: datetime | None
    update_time: datetime | None
    vector: NDArray[np.float32] | None = None
    thumbnail: bytes | None = None


@dataclass(frozen=True)
class ItemError:
    """An item that was refused.

    Attributes:
        index: its place among the items given, from 0.
        id: its id.
        error: why.
    """

    index: int
    id: str
    error: TashihikiError


@dataclass(frozen=True)
class UpsertResult:
    """What an upsert did.

    Attributes:
        count: items added or replaced.
        errors: items refused, with `on_error="collect"`.
    """

    count: int
    errors: tuple[ItemError, ...] = ()


@dataclass(frozen=True)
class DeleteResult:
    """What a deletion did.

    Attributes:
        count: items deleted.
        missing_ids: ids that were not there, with `missing_items="skip"`.
    """

    count: int
    missing_ids: tuple[str, ...] = ()


@dataclass(frozen=True)
class ValueSummary:
    """One value of a facet, the number of its items and its other names."""

    value: str
    member_count: int
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True)
class FacetSummary:
    """One facet, its values (most members first) and the number of items without a label."""

    facet: str
    values: tuple[ValueSummary, ...]
    unlabelled_count: int
