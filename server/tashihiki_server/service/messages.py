"""Domain objects as messages."""

from __future__ import annotations

import base64
import binascii
import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from google.protobuf import json_format, struct_pb2, timestamp_pb2
from numpy.typing import NDArray

from tashihiki.errors import InvalidArgumentError
from tashihiki.v1 import catalog_pb2, composition_pb2
from tashihiki_server.catalogue.base import StoredItem
from tashihiki_server.query.resolve import ResolvedTerm, Unresolved
from tashihiki_server.space.base import AttributeTerm, Vectors
from tashihiki_server.vocabulary import Vocabulary

MAX_METADATA_BYTES = 64 * 2**10


def vector_message(vector: Vectors) -> composition_pb2.Vector:
    """A vector (d,)."""
    return composition_pb2.Vector(values=vector.tolist())


def vector_values(message: composition_pb2.Vector) -> NDArray[np.float64]:
    """A vector message as an array (d,)."""
    return np.array(message.values, dtype=np.float64)


def timestamp(seconds: float) -> timestamp_pb2.Timestamp:
    """Seconds since the epoch."""
    message = timestamp_pb2.Timestamp()
    message.FromNanoseconds(int(seconds * 1e6) * 1000)
    return message


def struct(metadata: dict[str, Any]) -> struct_pb2.Struct:
    """Metadata."""
    message = struct_pb2.Struct()
    message.update(metadata)
    return message


def metadata_dict(message: struct_pb2.Struct, field: str) -> dict[str, Any]:
    """Metadata from a message.

    Raises:
        InvalidArgumentError: METADATA_INVALID for NaN and infinity, which JSON cannot hold, and
            for more than MAX_METADATA_BYTES.
    """
    try:
        content: dict[str, Any] = json_format.MessageToDict(message)
        size = len(json.dumps(content, allow_nan=False, ensure_ascii=False).encode())
        if size > MAX_METADATA_BYTES:
            raise ValueError(f"it has {size} bytes, over the limit of {MAX_METADATA_BYTES}")
    except (ValueError, json_format.SerializeToJsonError) as error:
        raise InvalidArgumentError(
            f"the metadata cannot be stored: {error}",
            reason="METADATA_INVALID",
            field=field,
            remedy="Use text, finite numbers, booleans, lists and objects.",
        ) from None
    return {key: _with_integers(value) for key, value in content.items()}


def _with_integers(value: Any) -> Any:
    # A Struct knows only floats; 3 should not come back as 3.0 in what people read.
    if isinstance(value, dict):
        return {key: _with_integers(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_with_integers(part) for part in value]
    if isinstance(value, float) and math.isfinite(value) and value.is_integer():
        return int(value)
    return value


def term_messages(
    terms: Sequence[ResolvedTerm], vocabulary: Vocabulary
) -> list[composition_pb2.ResolvedTerm]:
    """How terms were understood."""
    return [_term_message(term, vocabulary) for term in terms]


def _term_message(term: ResolvedTerm, vocabulary: Vocabulary) -> composition_pb2.ResolvedTerm:
    message = composition_pb2.ResolvedTerm(label=term.label, weight=term.weight)
    if isinstance(term.term, AttributeTerm):
        key, attribute = term.term.key, message.attribute
        attribute.facet = vocabulary.facet_name(key.facet)
        attribute.value = vocabulary.value_name(key)
        message.member_count = vocabulary.count(key)
    elif term.kind == "facet":
        message.ignored_facet = term.label
    elif term.kind == "item":
        message.item_id = term.name
    elif term.kind == "image":
        message.image = term.name
    else:
        message.vector = term.name
    return message


def unresolved_messages(terms: Sequence[Unresolved]) -> list[composition_pb2.UnresolvedTerm]:
    """Terms that were left out."""
    return [
        composition_pb2.UnresolvedTerm(label=term.label, weight=term.weight, reason=term.reason)
        for term in terms
    ]


def item_message(item: StoredItem, vector: Vectors | None = None) -> catalog_pb2.Item:
    """An item, with its vector if given."""
    return catalog_pb2.Item(
        id=item.id,
        attributes=item.attributes,
        metadata=struct(item.metadata),
        create_time=timestamp(item.create_time),
        update_time=timestamp(item.update_time),
        vector=None if vector is None else vector_message(vector),
        thumbnail=item.thumbnail,
        etag=item.etag,
        image_sha256=item.image_sha256,
    )


def page_token(scope: str, after: str) -> str:
    """A token for the page that follows `after` in a listing."""
    return base64.urlsafe_b64encode(json.dumps([scope, after]).encode()).decode()


def read_page_token(token: str, scope: str) -> str:
    """What the page follows; "" for the first page.

    Raises:
        InvalidArgumentError: PAGE_TOKEN_INVALID.
    """
    if not token:
        return ""
    try:
        found, after = json.loads(base64.urlsafe_b64decode(token.encode()))
        if found == scope and isinstance(after, str):
            return after
    except (ValueError, TypeError, RecursionError, binascii.Error):
        pass
    raise InvalidArgumentError(
        "the page token is not one that this listing returned",
        reason="PAGE_TOKEN_INVALID",
        field="page_token",
        remedy="Start again without a token.",
    )
