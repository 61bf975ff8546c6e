"""`tashihiki sample`."""

from __future__ import annotations

from typing import Annotated

import typer

from tashihiki.cli.failure import reporting
from tashihiki.cli.items import print_items
from tashihiki.cli.options import (
    DEFAULT_SERVER,
    DEFAULT_TIMEOUT,
    CollectionName,
    Json,
    Server,
    Timeout,
    Where,
)
from tashihiki.client import Client

Count = Annotated[int, typer.Option("--count", min=1, max=1000, help="Items wanted.")]
Seed = Annotated[
    int | None,
    typer.Option("--seed", help="Draw the same items again.", show_default="drawn anew"),
]


def sample(
    collection: CollectionName,
    count: Count = 10,
    seed: Seed = None,
    where: Where = None,
    json: Json = False,
    server: Server = DEFAULT_SERVER,
    timeout: Timeout = DEFAULT_TIMEOUT,
) -> None:
    """Draw items at random; with --json, one object a line."""
    with (
        reporting(where=where, collection=collection),
        Client(server, timeout=timeout) as client,
    ):
        print_items(iter(client.sample(collection, count, where=where, seed=seed)), json, where)
