"""A page of a listing of items, which is cut short where it gets large."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from tashihiki.v1 import catalog_pb2

MAX_PAGE_BYTES = 8 * 2**20
_PIECE = 50


def fill_page(
    response: catalog_pb2.ListItemsResponse,
    ids: Sequence[str],
    size: int,
    read: Callable[[Sequence[str]], Iterable[catalog_pb2.Item]],
) -> str:
    """Adds items to a response until it has so many, or more than MAX_PAGE_BYTES.

    Args:
        response: without items yet.
        ids: those that are left to list, at least one more than `size` where there are more.
        size: how many there may be on the page.
        read: the items with some ids.

    Returns:
        The id that the next page follows; "" where there is none.
    """
    stop = 0
    for start in range(0, min(size, len(ids)), _PIECE):
        stop = min(start + _PIECE, size, len(ids))
        response.items.extend(read(ids[start:stop]))
        if response.ByteSize() > MAX_PAGE_BYTES:
            break
    return ids[stop - 1] if stop < len(ids) else ""
