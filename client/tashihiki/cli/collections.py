"""`tashihiki collections`."""

from __future__ import annotations

from typing import Any

from tashihiki.catalog import Collection
from tashihiki.cli.failure import reporting
from tashihiki.cli.options import DEFAULT_SERVER, DEFAULT_TIMEOUT, Json, Server, Timeout
from tashihiki.cli.output import console, print_json, printable, table
from tashihiki.client import Client


def collections(
    json: Json = False, server: Server = DEFAULT_SERVER, timeout: Timeout = DEFAULT_TIMEOUT
) -> None:
    """List the collections of a server."""
    with reporting(), Client(server, timeout=timeout) as client:
        found = client.list_collections()
    if json:
        print_json([_collection_json(collection) for collection in found])
        return
    numbers = ("items", "dimension", "generation")
    grid = table("name", "items", "dimension", "generation", "encoder", numbers=numbers)
    for one in found:
        counts = (one.item_count, one.dimension, one.generation)
        grid.add_row(printable(one.name), *map(str, counts), printable(one.encoder))
    console().print(grid if found else "no collections")


def _collection_json(collection: Collection) -> dict[str, Any]:
    return {
        **vars(collection),
        "space": vars(collection.space),
        "create_time": collection.create_time and collection.create_time.isoformat(),
    }
