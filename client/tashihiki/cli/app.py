"""The `tashihiki` command."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterable, Sequence
from importlib.metadata import EntryPoint, version
from typing import Annotated

import typer

from tashihiki.cli import encoder, snapshot
from tashihiki.cli.attributes import attributes
from tashihiki.cli.collections import collections
from tashihiki.cli.duplicates import duplicates
from tashihiki.cli.failure import FAILED, INTERRUPTED
from tashihiki.cli.items import items
from tashihiki.cli.plugins import add_commands, installed_commands
from tashihiki.cli.profile import profile
from tashihiki.cli.sample import sample
from tashihiki.cli.search import search
from tashihiki.cli.suggest import suggest


def main(args: Sequence[str] | None = None) -> None:
    """Runs the command line and ends the process. docs/client.md lists the exit codes."""
    _tolerate_any_text()
    try:
        application(installed_commands())(
            args=None if args is None else list(args), prog_name="tashihiki"
        )
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except Exception as error:
        if os.environ.get("TASHIHIKI_TRACEBACK"):
            raise
        typer.echo(f"error: unexpected {type(error).__name__}: {error}", err=True)
        typer.echo("Set TASHIHIKI_TRACEBACK=1 to see where.", err=True)
        sys.exit(FAILED)


def application(entries: Iterable[EntryPoint]) -> typer.Typer:
    """The command with the client's subcommands and those of `entries`."""
    app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)
    app.callback()(_root)
    # Lets an expression start with a minus; see `search`.
    app.command(context_settings={"ignore_unknown_options": True})(search)
    app.command(context_settings={"ignore_unknown_options": True})(profile)
    app.command()(items)
    app.command()(attributes)
    app.command()(collections)
    app.command()(duplicates)
    app.command()(suggest)
    app.command()(sample)
    app.add_typer(snapshot.app, name="snapshot")
    app.add_typer(encoder.app, name="encoder")
    add_commands(app, entries)
    return app


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"tashihiki {version('tashihiki')}")
        raise typer.Exit


def _root(
    show_version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Image search by adding and subtracting images, items and attributes."""


def _tolerate_any_text() -> None:
    # A terminal that lacks a character gets a question mark, not an error.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
