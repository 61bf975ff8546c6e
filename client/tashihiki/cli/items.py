"""`tashihiki items`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Annotated, Any

import typer

from tashihiki.catalog import StoredItem
from tashihiki.cli.failure import reporting
from tashihiki.cli.filtered_metadata import cell, filtered_paths
from tashihiki.cli.missing_metadata import missing_metadata
from tashihiki.cli.options import (
    DEFAULT_SERVER,
    DEFAULT_TIMEOUT,
    CollectionName,
    Json,
    Server,
    Timeout,
    Where,
)
from tashihiki.cli.output import attribute_text, console, print_json, printable, table
from tashihiki.client import Client

Limit = Annotated[int, typer.Option("--limit", min=0, help="Items wanted; 0 for all.")]
ItemId = Annotated[str | None, typer.Option("--id", metavar="ID", help="Only this item.")]


def items(
    collection: CollectionName,
    limit: Limit = 20,
    where: Where = None,
    item_id: ItemId = None,
    json: Json = False,
    server: Server = DEFAULT_SERVER,
    timeout: Timeout = DEFAULT_TIMEOUT,
) -> None:
    """List the items of a collection; with --json, one object a line."""
    if item_id is not None and where is not None:
        raise typer.BadParameter("--id and --where exclude each other")
    with (
        reporting(where=where, collection=collection),
        Client(server, timeout=timeout) as client,
    ):
        found: Iterator[StoredItem]
        if item_id is not None:
            found = iter([client.get_item(collection, item_id)])
        else:
            found = client.items(collection, where=where, page_size=min(limit or 1000, 1000))
        print_items(
            islice(found, limit or None),
            json,
            where,
            nothing=lambda: f"no items{missing_metadata(client, collection, where)}",
        )


def print_items(
    found: Iterator[StoredItem],
    json: bool,
    where: str | None = None,
    nothing: Callable[[], str] = lambda: "no items",
) -> None:
    """A table with the metadata that `where` asks about, or one JSON object a line as they come.

    `nothing` says what stands in place of an empty table.
    """
    if json:
        for item in found:
            print_json(item_json(item))
        return
    paths = filtered_paths(where)
    grid = table("id", *map(printable, paths), "attributes")
    for item in found:
        cells = [printable(cell(item.metadata, keys)) for keys in paths.values()]
        grid.add_row(printable(item.id), *cells, attribute_text(item.attributes))
    console().print(grid if grid.row_count else nothing(), soft_wrap=not grid.row_count)


def item_json(item: StoredItem) -> dict[str, Any]:
    """The item as one JSON object."""
    return {
        "id": item.id,
        "attributes": dict(item.attributes),
        "metadata": dict(item.metadata),
        "create_time": item.create_time and item.create_time.isoformat(),
        "update_time": item.update_time and item.update_time.isoformat(),
        "etag": item.etag,
        "image_sha256": item.image_sha256 and item.image_sha256.hex(),
    }
