"""`tashihiki export`: a collection as a Parquet file and pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from tashihiki.cli.failure import reporting
from tashihiki.cli.options import DEFAULT_SERVER, CollectionName, Server, Timeout, Where
from tashihiki.cli.output import printable

app = typer.Typer(add_completion=False)

# Enough for a page of large items.
PAGE_TIMEOUT = 60.0
PAGE_SIZE = 500


@app.command()
def export(
    collection: CollectionName,
    out: Annotated[Path, typer.Option(help="Folder to make.")],
    where: Where = None,
    server: Server = DEFAULT_SERVER,
    timeout: Timeout = PAGE_TIMEOUT,
) -> None:
    """Write the items of a collection to items.parquet, and their thumbnails to pictures/.

    Items that change meanwhile are as they were at some time of the export. The folder takes its
    name when it is complete.
    """
    from tashihiki import Client
    from tashihiki_server.cli.progress import counting
    from tashihiki_server.exporting import export_items

    with (
        reporting(where=where, collection=collection),
        Client(server, timeout=timeout) as client,
        counting(f"exporting {collection}") as progress,
    ):
        total = client.get_collection(collection).item_count
        items = client.items(
            collection,
            where=where,
            include_vectors=True,
            include_thumbnails=True,
            page_size=PAGE_SIZE,
        )
        # How many a filter admits is not known beforehand.
        count = export_items(
            items, out, lambda done: progress(done, done if where else max(done, total))
        )
    console = Console(stderr=True, soft_wrap=True, markup=False, emoji=False, highlight=False)
    console.print(f"{count} {'item' if count == 1 else 'items'} written to {printable(str(out))}.")


command = typer.main.get_command(app)
