"""Pictures that people search with, kept while they do."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass

from cachetools import LRUCache

from tashihiki.errors import NotFoundError
from tashihiki_server.images import THUMBNAIL_SIZE, ImageLimits, decode, thumbnail

KEPT_BYTES = 256 * 2**20


@dataclass(frozen=True)
class QueryPicture:
    """A picture as it was sent, and the small JPEG of it that the page shows."""

    data: bytes
    preview: bytes


class QueryPictures:
    """The latest pictures, by the start of their SHA-256; the oldest give way."""

    def __init__(self, limits: ImageLimits, kept_bytes: int = KEPT_BYTES) -> None:
        self._limits = limits
        self._kept: LRUCache[str, QueryPicture] = LRUCache(
            max(kept_bytes, 2 * limits.max_bytes), lambda kept: len(kept.data) + len(kept.preview)
        )

    async def keep(self, data: bytes) -> str:
        """Keeps a picture that can be read; returns its token.

        Raises:
            InvalidArgumentError: IMAGE_EMPTY, IMAGE_TOO_LARGE, IMAGE_TOO_MANY_PIXELS,
                IMAGE_FORMAT_UNKNOWN or IMAGE_BROKEN.
        """
        token = hashlib.sha256(data).hexdigest()[:32]
        if token not in self._kept:
            preview = await asyncio.to_thread(self._preview, data)
            self._kept[token] = QueryPicture(data, preview)
        return token

    def get(self, token: str) -> QueryPicture:
        """A picture that was kept.

        Raises:
            NotFoundError: PICTURE_GONE.
        """
        if kept := self._kept.get(token):
            return kept
        raise NotFoundError(
            "the picture of this query is no longer kept",
            reason="PICTURE_GONE",
            field="picture",
            remedy="Drop, paste or choose it again.",
        )

    def _preview(self, data: bytes) -> bytes:
        return thumbnail(decode(data, THUMBNAIL_SIZE, self._limits, "picture"))
