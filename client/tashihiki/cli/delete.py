"""`tashihiki delete`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from rich.console import Console
from rich.prompt import Confirm

from tashihiki.cli.failure import FAILED, reporting
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
        raise typer.BadParameter("there is no terminal to ask at; say --yes", param_hint="--yes")
    with reporting(), Client(server, timeout=timeout) as client:
        if not yes and not _confirmed(client, collection):
            raise typer.Exit(FAILED)
        client.delete_collection(collection)


def _confirmed(client: Client, collection: str) -> bool:
    # One that cannot be used is listed too, and may be deleted.
    there = {one.name: one.item_count for one in client.list_collections()}
    if collection not in there:
        return True  # The server says so better.
    question = f"Delete {printable(collection)} with its {there[collection]} items?"
    ask = Console(stderr=True, markup=False, emoji=False, highlight=False)
    try:
        return Confirm.ask(question, console=ask, default=False)
    except EOFError:
        return False
