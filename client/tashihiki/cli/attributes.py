"""`tashihiki attributes`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from tashihiki.cli.completion import facet_names
from tashihiki.cli.failure import reporting
from tashihiki.cli.options import (
    DEFAULT_SERVER,
    DEFAULT_TIMEOUT,
    CollectionName,
    Json,
    Server,
    Timeout,
)
from tashihiki.cli.output import console, print_json, printable, table
from tashihiki.client import Client

FacetName = Annotated[
    str, typer.Option("--facet", help="Only this facet.", autocompletion=facet_names)
]


def attributes(
    collection: CollectionName,
    facet: FacetName = "",
    json: Json = False,
    server: Server = DEFAULT_SERVER,
    timeout: Timeout = DEFAULT_TIMEOUT,
) -> None:
    """List the facets of a collection, their values and how many items have each."""
    with reporting(collection=collection), Client(server, timeout=timeout) as client:
        facets = client.attributes(collection, facet=facet)
        if json:
            print_json([asdict(summary) for summary in facets])
            return
        grid = table("facet", "value", "items", "also called", numbers=("items",))
        for summary in facets:
            name = printable(summary.facet)
            for value in summary.values:
                aliases = printable(", ".join(value.aliases))
                grid.add_row(name, printable(value.value), str(value.member_count), aliases)
            if summary.unlabelled_count:
                grid.add_row(name, "(no label)", str(summary.unlabelled_count), "")
        console().print(grid if grid.row_count else "no attributes")
