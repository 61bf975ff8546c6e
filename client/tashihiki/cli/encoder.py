"""`tashihiki encoder`."""

from __future__ import annotations

import time
from typing import Annotated, Any

import typer
from rich.table import Table

from tashihiki.catalog import Collection
from tashihiki.cli.failure import FAILED, reporting
from tashihiki.cli.options import (
    DEFAULT_SERVER,
    DEFAULT_TIMEOUT,
    CollectionName,
    Json,
    Server,
    Timeout,
)
from tashihiki.cli.output import console, print_json, printable
from tashihiki.cli.progress import progress_bar
from tashihiki.cli.wording import encoder_change_text
from tashihiki.client import Client

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Change the encoder of a collection, or go back to the one before.",
)

EncoderName = Annotated[
    str, typer.Argument(metavar="ENCODER", help="The encoder's name or fingerprint.")
]
Wait = Annotated[bool, typer.Option("--wait", help="Until it is in force.")]

POLL_SECONDS = 0.5


@app.command()
def change(
    collection: CollectionName,
    encoder: EncoderName,
    wait: Wait = False,
    server: Server = DEFAULT_SERVER,
    timeout: Timeout = DEFAULT_TIMEOUT,
) -> None:
    """Begin to embed every item again; the old embeddings answer until all new ones are there."""
    with reporting(), Client(server, timeout=timeout) as client:
        _report(client, client.change_encoder(collection, encoder), wait)


@app.command()
def rollback(
    collection: CollectionName,
    wait: Wait = False,
    server: Server = DEFAULT_SERVER,
    timeout: Timeout = DEFAULT_TIMEOUT,
) -> None:
    """Go back to the encoder before the last change."""
    with reporting(), Client(server, timeout=timeout) as client:
        _report(client, client.roll_back_encoder(collection), wait)


@app.command()
def cancel(
    collection: CollectionName,
    server: Server = DEFAULT_SERVER,
    timeout: Timeout = DEFAULT_TIMEOUT,
) -> None:
    """End a change that is under way; the encoder in force stays."""
    with reporting(), Client(server, timeout=timeout) as client:
        _report(client, client.cancel_encoder_change(collection), wait=False)


@app.command()
def status(
    collection: CollectionName,
    json: Json = False,
    server: Server = DEFAULT_SERVER,
    timeout: Timeout = DEFAULT_TIMEOUT,
) -> None:
    """Say which encoder is in force, and how far a change of it is."""
    with reporting(), Client(server, timeout=timeout) as client:
        found = client.get_collection(collection)
    if json:
        print_json(_json(found))
    else:
        _print(found)


def _report(client: Client, begun: Collection, wait: bool) -> None:
    """Prints where the change stands or, after a wait, ended; it may end without success."""
    if not wait or begun.encoder_change is None:
        _print(begun)
        return
    found = _ended(client, begun)
    _print(found)
    if found.encoder_change is not None:
        raise typer.Exit(FAILED)
    if found.encoder != begun.encoder_change.encoder:
        typer.echo("error: the change was cancelled", err=True)
        raise typer.Exit(FAILED)


def _ended(client: Client, begun: Collection) -> Collection:
    found = begun
    with progress_bar("embedding") as progress:
        while found.encoder_change is not None and not found.encoder_change.fault:
            progress(found.encoder_change.done_count, found.encoder_change.total_count)
            time.sleep(POLL_SECONDS)
            found = client.get_collection(begun.name)
    return found


def _print(collection: Collection) -> None:
    facts = Table.grid(padding=(0, 2, 0, 0), pad_edge=False)
    facts.add_row("in force", printable(collection.encoder))
    if collection.previous_encoder:
        facts.add_row("before", printable(collection.previous_encoder))
    if collection.encoder_change is not None:
        facts.add_row("changing to", printable(encoder_change_text(collection.encoder_change)))
    console().print(facts)


def _json(collection: Collection) -> dict[str, Any]:
    change = collection.encoder_change
    return {
        "encoder": collection.encoder,
        "previous_encoder": collection.previous_encoder,
        "encoder_change": None if change is None else vars(change),
    }
