"""The catalogue's own small JPEGs, kept for the moment between an answer and its pictures."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass

from cachetools import LRUCache
from PIL import Image, UnidentifiedImageError

from tashihiki import AsyncClient
from tashihiki.errors import NotFoundError

KEPT_BYTES = 64 * 2**20


@dataclass(frozen=True)
class ThumbnailInfo:
    """What the page needs to leave room for a thumbnail: a digest, and its size in pixels."""

    digest: str
    width: int
    height: int


class Thumbnails:
    """The thumbnails that answers came with."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client
        self._kept: LRUCache[tuple[str, str, str], bytes] = LRUCache(KEPT_BYTES, len)

    def keep(self, collection: str, item_id: str, jpeg: bytes | None) -> ThumbnailInfo | None:
        """Remembers a thumbnail; None where there is none, or none that is a JPEG."""
        if not jpeg:
            return None
        try:
            with Image.open(io.BytesIO(jpeg), formats=["JPEG"]) as picture:
                width, height = picture.size
        except (UnidentifiedImageError, OSError):
            return None
        digest = hashlib.sha256(jpeg).hexdigest()[:16]
        self._kept[collection, item_id, digest] = jpeg
        return ThumbnailInfo(digest, width, height)

    async def get(self, collection: str, item_id: str, digest: str) -> bytes:
        """A thumbnail, JPEG; of the item as it is now where the one asked for is forgotten.

        Raises:
            NotFoundError: UNKNOWN_COLLECTION, UNKNOWN_ITEM or THUMBNAIL_MISSING.
        """
        if kept := self._kept.get((collection, item_id, digest)):
            return kept
        item = await self._client.get_item(collection, item_id, include_thumbnail=True)
        if self.keep(collection, item_id, item.thumbnail) and item.thumbnail:
            return item.thumbnail
        raise NotFoundError(
            f"the item {item_id!r} has no picture",
            reason="THUMBNAIL_MISSING",
            field="id",
            remedy="Nothing is wrong: it was added as a vector.",
        )
