"""Checksums of rows, and totals by which a lost or foreign row is noticed.

A total is the sum of the rows' checksums beside their number, so it does not depend on their
order, and a write changes it by what it adds and takes away.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

from tashihiki_server.catalogue.failures import DamageError

NO_THUMBNAIL = -1
_NUMBERS = struct.Struct("<qqddq")
# Of what nobody wrote: no CRC is negative.
_FOREIGN = -1


@dataclass
class Tally:
    """How many rows there are, and the sum of their checksums."""

    count: int = 0
    total: int = 0

    def add(self, checksum: int) -> None:
        """Counts a row in.

        Raises:
            DamageError: for what is no checksum, as damage leaves it.
        """
        _check(checksum)
        self.count += 1
        self.total += checksum

    def remove(self, checksum: int) -> None:
        """Counts a row out; raises as `add`."""
        _check(checksum)
        self.count -= 1
        self.total -= checksum


def _check(checksum: object) -> None:
    if not isinstance(checksum, int):
        raise DamageError("a checksum is no number")


def item_checksum(
    key: object,
    identifier: object,
    version: object,
    attributes: object,
    metadata: object,
    image_sha256: object,
    create_time: object,
    update_time: object,
    thumbnail: object,
) -> int:
    """CRC-32 of a row of `items`, given as it is stored.

    Columns of other types than were written, as damage leaves them, give another checksum.
    """
    try:
        numbers = _NUMBERS.pack(key, version, create_time, update_time, thumbnail)
        # Neither ids nor JSON contain NUL.
        text = f"{identifier}\0{attributes}\0{metadata}".encode("utf-8", "surrogatepass")
        return zlib.crc32(image_sha256, zlib.crc32(text, zlib.crc32(numbers)))  # type: ignore[arg-type]
    except (struct.error, TypeError):
        return _FOREIGN


def embedding_checksum(encoder: int, key: int, vector: object) -> int:
    """CRC-32 of an embedding, its item's key and its encoder's number."""
    checksum = zlib.crc32(b"%d %d " % (encoder, key))
    return zlib.crc32(vector, checksum) if isinstance(vector, bytes) else _FOREIGN


def thumbnail_checksum(jpeg: object) -> int:
    """CRC-32 of a thumbnail; NO_THUMBNAIL for None and b""."""
    return zlib.crc32(jpeg) if jpeg and isinstance(jpeg, bytes) else NO_THUMBNAIL


def request_checksum(
    number: object, identifier: object, digest: object, time: object, answer: object
) -> int:
    """CRC-32 of a row of `requests`."""
    text = f"{number}\0{identifier}\0{digest!r}\0{time!r}\0{answer!r}"
    return zlib.crc32(text.encode("utf-8", "surrogatepass"))
