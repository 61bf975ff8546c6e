"""Pictures that nobody looks at: told apart by their content alone."""

from __future__ import annotations

import base64
import hashlib

import numpy as np

from tashihiki.errors import InvalidArgumentError
from tashihiki_server.space.base import Vectors

MAX_BYTES = 20 * 2**20

_SIGNATURES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF8", b"BM", b"II*\0", b"MM\0*")
# One grey pixel.
_GREY_JPEG = base64.b64decode(
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAP////////////////////////////////////////////////////////"
    "//////////////////////////////wAALCAABAAEBAREA/8QAFAABAAAAAAAAAAAAAAAAAAAAAP/EABQQAQAAAAAA"
    "AAAAAAAAAAAAAAD/2gAIAQEAAD8AP//Z"
)


def check_picture(data: bytes, field: str) -> None:
    """Refuses what is no picture at first sight; it is not decoded.

    Raises:
        InvalidArgumentError: IMAGE_EMPTY, IMAGE_TOO_LARGE or IMAGE_FORMAT_UNKNOWN.
    """
    if not data:
        raise InvalidArgumentError(
            "the image has 0 bytes",
            reason="IMAGE_EMPTY",
            field=field,
            remedy="Send the file's content.",
        )
    if len(data) > MAX_BYTES:
        raise InvalidArgumentError(
            f"the image has {len(data)} bytes, over the limit of {MAX_BYTES}",
            reason="IMAGE_TOO_LARGE",
            field=field,
            remedy="Send a smaller file; the search sees no more than a thumbnail of it.",
        )
    if not (data.startswith(_SIGNATURES) or (data[:4] == b"RIFF" and data[8:12] == b"WEBP")):
        raise InvalidArgumentError(
            "the data is not an image that can be read",
            reason="IMAGE_FORMAT_UNKNOWN",
            field=field,
            remedy="Send one of JPEG, PNG, WEBP, GIF, TIFF, BMP.",
        )


def embedding_of(content: bytes, dimension: int) -> Vectors:
    """A non-negative unit vector (dimension,) that is always the same for the same content."""
    seed = int.from_bytes(hashlib.sha256(content).digest(), "big")
    # Cubes leave few large coordinates, so that two contents have little in common.
    values = np.abs(np.random.default_rng(seed).normal(size=dimension)) ** 3
    embedding: Vectors = (values / np.linalg.norm(values)).astype(np.float32)
    return embedding


def thumbnail_of(data: bytes) -> bytes:
    """A JPEG: the picture itself where it is one, else a grey pixel."""
    return data if data.startswith(b"\xff\xd8\xff") else _GREY_JPEG
