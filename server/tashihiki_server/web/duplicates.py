"""Items that show the same, for the page."""

from __future__ import annotations

from contextlib import aclosing
from typing import Any

from tashihiki import AsyncClient, DuplicateGroup, FailedPreconditionError
from tashihiki_server.web.answers import thumbnail_address

MAX_GROUPS = 50
SECONDS = 60.0


async def duplicate_groups(
    client: AsyncClient, collection: str, item_id: str = ""
) -> list[dict[str, Any]]:
    """The first groups of near-duplicates, or those of one item.

    Raises:
        NotFoundError: UNKNOWN_COLLECTION or UNKNOWN_ITEM.
        FailedPreconditionError: ITEM_WITHOUT_PICTURE.
        DeadlineExceededError: after a minute.
    """
    picture = await _picture(client, collection, item_id) if item_id else None
    groups: list[dict[str, Any]] = []
    found = client.find_duplicates(collection, image=picture, timeout=SECONDS)
    async with aclosing(found) as stream:  # type: ignore[type-var]
        async for group in stream:
            groups.append(_group(collection, group))
            if len(groups) == MAX_GROUPS:
                break
    return groups


async def _picture(client: AsyncClient, collection: str, item_id: str) -> bytes:
    item = await client.get_item(collection, item_id, include_thumbnail=True)
    if item.thumbnail is None:
        raise FailedPreconditionError(
            f"the item {item_id!r} has no picture",
            reason="ITEM_WITHOUT_PICTURE",
            field="id",
            remedy="Ask about an item that was added as a picture.",
        )
    # Copies that were made smaller are found, so the thumbnail does for the picture.
    return item.thumbnail


def _group(collection: str, group: DuplicateGroup) -> dict[str, Any]:
    return {
        "identical": group.identical,
        "items": [
            {
                "id": one.id,
                "similarity": one.similarity,
                "thumbnail": {
                    "address": thumbnail_address(collection, one.id),
                    "width": 1,
                    "height": 1,
                },
            }
            for one in group
        ],
    }
