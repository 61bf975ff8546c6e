"""`tashihiki delete`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from rich.console import Console
from rich.prompt import Confirm

from tashihiki.cli.failure import FAILED, WrongUsage, reporting
from tashihiki.cli.options import (
    DEFAULT_SERVER,
    DEFAULT_TIMEOUT,
    CollectionName,
    Server,
    Timeout,
)
from tashihiki.cli.output import printable
from tashihiki.client import Client

Yes = Annotated[bool, typer.Option("--yes", help="Do not ask; has to be said in scripts.")]


def delete(
    collection: CollectionName,
    yes: Yes = False,
    server: Server = DEFAULT_SERVER,
    timeout: Timeout = DEFAULT_TIMEOUT,
) -> None:
    """Delete a collection with all its items; its snapshots stay."""
    if not yes and not sys.stdin.isatty():
        raise WrongUsage("nothing deleted: say --yes, there is no terminal to ask at")
    with reporting(), Client(server, timeout=timeout) as client:
        # One that cannot be used is listed too, and may be deleted.
        there = {one.name: one.item_count for one in client.list_collections()}
        count = there.get(collection)
        # Of one that is not there the server says so better.
        if not (yes or count is None or _confirmed(collection, count)):
            typer.echo(f"{printable(collection)}: kept")
            raise typer.Exit(FAILED)
        client.delete_collection(collection)
        items = "" if count is None else f", {_items(count)}"
        typer.echo(f"{printable(collection)}: deleted{items}")


def _items(count: int) -> str:
    return "1 item" if count == 1 else f"{count} items"


def _confirmed(collection: str, count: int) -> bool:
    question = f"Delete {printable(collection)} with its {_items(count)}?"
    ask = Console(stderr=True, markup=False, emoji=False, highlight=False)
    try:
        return Confirm.ask(question, console=ask, default=False)
    except EOFError:
        return False
