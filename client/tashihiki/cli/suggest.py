"""`tashihiki suggest`."""

from __future__ import annotations

from typing import Annotated

import typer

from tashihiki.cli.attributes import FacetName
from tashihiki.cli.failure import reporting
from tashihiki.cli.items import item_json
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

Limit = Annotated[int, typer.Option("--limit", min=1, max=1000, help="Suggestions wanted.")]


def suggest(
    collection: CollectionName,
    facet: FacetName = "",
    limit: Limit = 10,
    where: Where = None,
    json: Json = False,
    server: Server = DEFAULT_SERVER,
    timeout: Timeout = DEFAULT_TIMEOUT,
) -> None:
    """Suggest which items to label next: the least like anything labelled, spread out."""
    with (
        reporting(where=where, collection=collection),
        Client(server, timeout=timeout) as client,
    ):
        found = client.suggest_labels(collection, facet=facet, limit=limit, where=where)
        if not (len(found) or json):
            console().print(_all_labelled(client, collection, facet, where))
            return
    if json:
        print_json(
            {
                "suggestions": [
                    {**item_json(one.item), "similarity": one.similarity} for one in found
                ],
                "unlabelled_count": found.unlabelled_count,
            }
        )
        return
    grid = table("#", "id", "similarity", "attributes", numbers=("#", "similarity"))
    for rank, one in enumerate(found, start=1):
        labels = attribute_text(one.item.attributes)
        grid.add_row(str(rank), printable(one.item.id), f"{one.similarity:.4f}", labels)
    console().print(grid)
    console().print(f"{found.unlabelled_count} items without the label")


def _all_labelled(client: Client, collection: str, facet: str, where: str | None) -> str:
    """That nothing is left to label, and where something is."""
    among = " that --where admits" if where else ""
    label = f"a label of {printable(facet)}" if facet else "any label"
    nothing = f"nothing to label: no item{among} is without {label}"
    missing = [one for one in client.attributes(collection) if one.unlabelled_count]
    if not missing:
        return f"{nothing}, and none lacks that of a facet; new items will be listed here"
    counts = ", ".join(f"{printable(one.facet)} ({one.unlabelled_count})" for one in missing)
    return f"{nothing}; labels are missing of {counts}: name one with --facet"
