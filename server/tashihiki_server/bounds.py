"""Numbers and names of requests, checked."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from unicodedata import category

from tashihiki.errors import InvalidArgumentError
from tashihiki_server.names import fold

MAX_LIMIT = 1000
MAX_ID_BYTES = 512
MAX_NAME_LENGTH = 256
MAX_ATTRIBUTES = 64
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


def bounded(value: int, default: int, field: str, maximum: int = MAX_LIMIT) -> int:
    """A count from 1 to the maximum, or the default for 0.

    Raises:
        InvalidArgumentError: OUT_OF_RANGE.
    """
    if not 0 <= value <= maximum:
        raise InvalidArgumentError(
            f"{value} is not from 1 to {maximum}",
            reason="OUT_OF_RANGE",
            field=field,
            remedy=f"Ask for at most {maximum}, or 0 for the default of {default}.",
        )
    return value or default


def check_batch(count: int, maximum: int, field: str) -> None:
    """Refuses batches that are too long.

    Raises:
        InvalidArgumentError: BATCH_TOO_LARGE.
    """
    if count > maximum:
        raise InvalidArgumentError(
            f"{count} entries where {maximum} are allowed",
            reason="BATCH_TOO_LARGE",
            field=field,
            remedy="Send several requests.",
        )


def check_id(identifier: str, field: str) -> None:
    """Refuses ids that are empty, too long or unprintable.

    Raises:
        InvalidArgumentError: ID_INVALID.
    """
    size = len(identifier.encode())
    if not 1 <= size <= MAX_ID_BYTES or any(category(c) == "Cc" for c in identifier):
        raise InvalidArgumentError(
            f"{identifier[:40]!r} cannot be an item's id",
            reason="ID_INVALID",
            field=field,
            remedy=f"Use 1 to {MAX_ID_BYTES} bytes of text without control characters.",
        )


def is_name(name: str) -> bool:
    """Whether a collection or snapshot can be called so; its folder is."""
    return _NAME.fullmatch(name) is not None


def check_name(name: str, field: str, kind: str = "collection") -> None:
    """Refuses names that cannot be those of folders.

    Args:
        name: of a collection or snapshot.
        field: that holds it.
        kind: of what it is the name, for the message.

    Raises:
        InvalidArgumentError: NAME_INVALID.
    """
    if not is_name(name):
        raise InvalidArgumentError(
            f"{name[:80]!r} cannot be the name of a {kind}",
            reason="NAME_INVALID",
            field=field,
            remedy="Use 1 to 63 of a-z, 0-9, - and _, starting with a letter or digit.",
        )


def _sound_name(name: str) -> bool:
    controls = any(unicodedata.category(character) == "Cc" for character in name)
    return bool(fold(name)) and len(name) <= MAX_NAME_LENGTH and not controls


def check_attributes(attributes: Mapping[str, str], field: str) -> None:
    """Refuses facets and values that are empty, too long or alike but for case and width.

    Raises:
        InvalidArgumentError: ATTRIBUTE_INVALID.
    """
    fault = ""
    if len(attributes) > MAX_ATTRIBUTES:
        fault = f"{len(attributes)} attributes where {MAX_ATTRIBUTES} are allowed"
    elif len({fold(facet) for facet in attributes}) < len(attributes):
        fault = "two facets differ only in case or width"
    for facet, value in attributes.items():
        if not (_sound_name(facet) and _sound_name(value)):
            fault = f"{facet[:40]!r}: {value[:40]!r} is empty, too long or not plain text"
    if fault:
        raise InvalidArgumentError(
            fault,
            reason="ATTRIBUTE_INVALID",
            field=field,
            remedy=f"Use 1 to {MAX_NAME_LENGTH} printable characters; leave unknown labels out.",
        )
