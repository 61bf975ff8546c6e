"""Collections, items and attributes, as callers give and get them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tashihiki._image import ImageSource
from tashihiki.errors import TashihikiError
from tashihiki.results import SearchRoute

SpaceKind: TypeAlias = Literal["auto", "sum", "factored"]


@dataclass(frozen=True)
class Space:
    """How a composition becomes a vector.

    Attributes:
        kind: `sum`, the weighted sum of the operands' vectors; `factored`, a block of
            coordinates for each facet and one for the rest, fitted to the labelled items; or
            `auto`, the sum until two facets have two values each and eight items are
            labelled, and factored from then on.
        keep_negative: of the sum: keep negative coordinates, which the published recipe sets
            to 0. It asks for the sum where `auto` stands.
    """

    kind: SpaceKind = "auto"
    keep_negative: bool = False


@dataclass(frozen=True)
class FacetDiagnostics:
    """A facet's share of the variance of the fitted embeddings, and the length of its block.

    The share is below 0 where facets that go together share what they have in common.
    """

    facet: str
    variance_share: float
    dimension: int


@dataclass(frozen=True)
class FacetAngle:
    """The smallest principal angle between the subspaces of two facets, in degrees.

    90 where what tells their values apart has nothing in common.
    """

    facet: str
    other: str
    degrees: float


@dataclass(frozen=True)
class SpaceDiagnostics:
    """How well a factored space fits its items.

    The variance shares of the facets, of the interaction and of the residual sum to 1.

    Attributes:
        facets: one for each facet that has a block.
        interaction_share: what combinations of values show beyond the sum of their effects.
        residual_share: what items with the same labels differ in.
        additive_r2: how much of the combinations' differences the sum of the values' effects
            explains, at most 1.
        angles: one for every two facets.
        shrinkage: what was added to the residual covariance, as a multiple of its mean
            eigenvalue.
        item_count: items that were fitted.
        combination_count: distinct combinations of labels among them.
        rest_dimension: the length of the block of the rest.
        held_out_accuracy: how many of the values of items held out of a trial fit were
            recognised, the mean over the facets; None where too few could be held out.
    """

    facets: tuple[FacetDiagnostics, ...]
    interaction_share: float
    residual_share: float
    additive_r2: float
    angles: tuple[FacetAngle, ...]
    shrinkage: float
    item_count: int
    combination_count: int
    rest_dimension: int
    held_out_accuracy: float | None


@dataclass(frozen=True)
class RecallPoint:
    """A setting of a route, and what it came to on sampled compositions.

    Attributes:
        route: the route.
        setting: of the graph, epsilon; of the cells, how many are looked through.
        count: how many neighbours were asked for.
        recall: the share of them that exact search finds too.
        seconds: median time of a look-up, in the process that built the index.
        chosen: whether searches use it.
    """

    route: SearchRoute
    setting: float
    count: int
    recall: float
    seconds: float
    chosen: bool


@dataclass(frozen=True)
class IndexStatus:
    """What searches look items up in.

    Attributes:
        route: how unfiltered searches go at present.
        indexed_count: items that the index holds, those changed or deleted since left out.
        newer_count: items newer than the index, which are compared one by one.
        removed_count: rows of the index whose items have changed or gone.
        pending: whether an index is being built, or will be soon.
        curve: what the build measured.
    """

    route: SearchRoute
    indexed_count: int
    newer_count: int
    removed_count: int
    pending: bool
    curve: tuple[RecallPoint, ...] = ()


@dataclass(frozen=True)
class EncoderChange:
    """A change of encoder that is under way.

    Attributes:
        encoder: fingerprint of the encoder that is changed to.
        done_count: items that are embedded by it.
        total_count: of so many.
        fault: why it cannot go on, in words; "" while it does.
    """

    encoder: str
    done_count: int
    total_count: int
    fault: str = ""


@dataclass(frozen=True)
class Collection:
    """Items that are searched together.

    Attributes:
        name: its name.
        encoder: the fingerprint of the encoder that its embeddings come from.
        space: how compositions become vectors, as it was asked for.
        aliases: per facet, other names of values, for example `{"expression": {"HA": "HAPPY"}}`.
        dimension: the length of the embeddings.
        item_count: how many items it holds.
        generation: the number of the published state of space and index.
        create_time: when it was made (UTC).
        stale_prototype_count: attributes whose prototypes are being brought up to date.
        space_in_force: the space that searches are answered in.
        space_pending: whether a factored space is being fitted to the items; until it is
            there, the one in force answers.
        diagnostics: how well the space in force fits; from `get_collection` only, and None
            for the sum.
        target_recall: the share of the ten most similar items that searches shall find, on
            composed queries; 1 compares every item.
        index: what searches look items up in; from `get_collection` only.
        encoder_change: the change of encoder that is under way, or None.
        previous_encoder: the encoder that `roll_back_encoder` goes back to, or "".
        fault: why the collection cannot be used, from `list_collections` only; "" for a sound
            one.
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
    space_in_force: Literal["sum", "factored"] = "sum"
    space_pending: bool = False
    diagnostics: SpaceDiagnostics | None = None
    target_recall: float = 0.99
    index: IndexStatus | None = None
    encoder_change: EncoderChange | None = None
    previous_encoder: str = ""
    fault: str = ""


@dataclass(frozen=True, eq=False)
class Item:
    """An item to add or replace.

        Item("mug_7", image="mug.jpg", attributes={"colour": "red"}, metadata={"price": 12})

    Attributes:
        id: 1 to 512 bytes of text.
        image: what it looks like; a path is read when the item is sent.
        vector: shape (d,), instead of a picture. Without either, an item that exists keeps
            its embedding, and its attributes and metadata are replaced.
        attributes: facet to value.
        metadata: anything that JSON can hold; comes back with hits, its numbers as floats.
        etag: write only if the item that is there has this etag; AbortedError, reason
            ETAG_MISMATCH, when it has changed or gone. "" writes in any case.
    """

    id: str
    image: ImageSource | None = None
    vector: ArrayLike | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)
    etag: str = ""


@dataclass(frozen=True, eq=False)
class StoredItem:
    """An item as the collection holds it.

    Attributes:
        vector: its embedding, shape (d,), float32, when asked for.
        thumbnail: a small JPEG, when asked for; None for items given as vectors.
        create_time: when it was first added (UTC).
        update_time: when it was last replaced (UTC).
        etag: changes with every write of the item; what `Item.etag` takes.
        image_sha256: of the picture file that was sent, 32 bytes; None for items given as
            vectors.
    """

    id: str
    attributes: Mapping[str, str]
    metadata: Mapping[str, Any]
    create_time: datetime | None
    update_time: datetime | None
    vector: NDArray[np.float32] | None = None
    thumbnail: bytes | None = field(default=None, repr=False)
    etag: str = ""
    image_sha256: bytes | None = None


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
        count: items that are now as they were given.
        errors: items refused, with `on_error="collect"`.
        unchanged_count: among `count`, items that were so already: nothing was written.
        unchanged_image_count: pictures that were not encoded, being the same files as before.
        etags: one for each item given, in their order; "" for those refused.
    """

    count: int
    errors: tuple[ItemError, ...] = ()
    unchanged_count: int = 0
    unchanged_image_count: int = 0
    etags: tuple[str, ...] = ()


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
