"""`tashihiki snapshot`."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.console import Console

from tashihiki.cli.completion import snapshot_names, snapshot_sources
from tashihiki.cli.failure import reporting
from tashihiki.cli.fitted_space import space_text, wait_until_fitted
from tashihiki.cli.options import (
    DEFAULT_LONG_TIMEOUT,
    DEFAULT_SERVER,
    DEFAULT_TIMEOUT,
    CollectionName,
    Json,
    LongTimeout,
    Server,
    Timeout,
)
from tashihiki.cli.output import console, print_json, printable, size_text, table
from tashihiki.cli.progress import progress_bar
from tashihiki.client import Client
from tashihiki.snapshots import Snapshot

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Copy collections in the server's data folder, and bring them back.",
)

Source = Annotated[
    str,
    typer.Argument(help="The collection that the snapshot is of.", autocompletion=snapshot_sources),
]
SnapshotName = Annotated[
    str,
    typer.Argument(metavar="NAME", help="The snapshot's name.", autocompletion=snapshot_names),
]
NewName = Annotated[str, typer.Option("--name", help="The snapshot's name; the time if left out.")]
OneCollection = Annotated[
    str,
    typer.Argument(
        metavar="[COLLECTION]",
        help="Only of this one.",
        show_default=False,
        autocompletion=snapshot_sources,
    ),
]
Target = Annotated[
    str,
    typer.Argument(
        metavar="TARGET",
        help="Name of the collection to make; the snapshot's if left out.",
        show_default=False,
    ),
]
Wait = Annotated[
    bool,
    typer.Option("--wait/--no-wait", help="Wait until the space is fitted, ten minutes at most."),
]


@app.command()
def create(
    collection: CollectionName,
    name: NewName = "",
    json: Json = False,
    server: Server = DEFAULT_SERVER,
    timeout: LongTimeout = DEFAULT_LONG_TIMEOUT,
) -> None:
    """Copy a collection as it is now, while it serves."""
    with (
        reporting(),
        Client(server, timeout=timeout) as client,
        progress_bar("copying", wanted=not json) as progress,
    ):
        made = client.create_snapshot(
            collection, name, progress=lambda share: progress(share, 1), timeout=timeout
        )
    if json:
        print_json(_json(made))
        return
    size = size_text(made.size_bytes)
    text = f"{made.collection} {made.name}: {made.item_count} items, {size}"
    console().print(printable(text), soft_wrap=True)


@app.command("list")
def list_(
    collection: OneCollection = "",
    json: Json = False,
    server: Server = DEFAULT_SERVER,
    timeout: Timeout = DEFAULT_TIMEOUT,
) -> None:
    """List the snapshots, also those of deleted collections."""
    with reporting(), Client(server, timeout=timeout) as client:
        found = client.list_snapshots(collection)
    if json:
        print_json([_json(snapshot) for snapshot in found])
        return
    grid = table("collection", "name", "made (UTC)", "items", "size", numbers=("items", "size"))
    for one in found:
        made = "" if one.create_time is None else f"{one.create_time:%Y-%m-%d %H:%M:%S}"
        names = printable(one.collection), printable(one.name)
        grid.add_row(*names, made, str(one.item_count), size_text(one.size_bytes))
    console().print(grid if found else "no snapshots")


@app.command()
def delete(
    collection: Source,
    name: SnapshotName,
    server: Server = DEFAULT_SERVER,
    timeout: Timeout = DEFAULT_TIMEOUT,
) -> None:
    """Delete a snapshot."""
    with reporting(), Client(server, timeout=timeout) as client:
        client.delete_snapshot(collection, name)


@app.command(epilog="tashihiki snapshot restore items monday items-of-monday")
def restore(
    collection: Source,
    name: SnapshotName,
    target: Target = "",
    wait: Wait = True,
    server: Server = DEFAULT_SERVER,
    timeout: LongTimeout = DEFAULT_LONG_TIMEOUT,
) -> None:
    """Make a new collection of a snapshot, once its checksums are found to hold.

    Ends when the space is fitted to it, so that the first answers are the lasting ones.
    """
    with reporting(), Client(server, timeout=timeout) as client:
        with progress_bar("restoring") as progress:
            made = client.restore_snapshot(
                collection,
                name,
                target or collection,
                progress=lambda share: progress(share, 1),
                timeout=timeout,
            )
        console().print(printable(f"{made.name}: {made.item_count} items"), soft_wrap=True)
        told = Console(stderr=True, soft_wrap=True, markup=False, emoji=False, highlight=False)
        if text := space_text(wait_until_fitted(client, made.name, told, wait=wait)):
            told.print(text)


def _json(snapshot: Snapshot) -> dict[str, Any]:
    return {
        **vars(snapshot),
        "create_time": snapshot.create_time and snapshot.create_time.isoformat(),
    }
