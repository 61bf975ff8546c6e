"""The pictures that a query carries: longer than all the rest of it, and never looked at twice."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from tashihiki.v1 import composition_pb2

# Of the terms, how many are asked whether they are pictures.
_TERMS = 20


def carries_picture(query: composition_pb2.Query) -> bool:
    """Whether there is a picture in a query, as far as a glance tells: not within groups."""
    if query.HasField("bindings") and (query.bindings.this_image or query.bindings.images):
        return True
    return query.HasField("composition") and any(map(_is_picture, _first_terms(query)))


def abridge(query: composition_pb2.Query) -> None:
    """Puts hashes in the place of the pictures that a glance tells of.

    A query that holds a picture takes many times as long to be put into bytes as to be copied.
    """
    if query.HasField("composition"):
        for term in filter(_is_picture, _first_terms(query)):
            term.image = _hash(term.image)
    if query.HasField("bindings"):
        bindings = query.bindings
        if bindings.this_image:
            bindings.this_image = _hash(bindings.this_image)
        for name in bindings.images:
            bindings.images[name] = _hash(bindings.images[name])


def _first_terms(query: composition_pb2.Query) -> Sequence[composition_pb2.Term]:
    return query.composition.terms[:_TERMS]


def _is_picture(term: composition_pb2.Term) -> bool:
    return term.WhichOneof("operand") == "image"


def _hash(picture: bytes) -> bytes:
    # It has instructions of its own in most processors.
    return hashlib.sha256(picture).digest()
