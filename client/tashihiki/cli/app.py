"""The `tashihiki` command."""

from __future__ import annotations

import atexit
import io
import os
import sys
from collections.abc import Iterable, Sequence
from importlib.metadata import EntryPoint, version
from pathlib import Path
from typing import Annotated

import typer

from tashihiki.cli import encoder, snapshot
from tashihiki.cli.attributes import attributes
from tashihiki.cli.collections import collections
from tashihiki.cli.configuration.command import config
from tashihiki.cli.configuration.file import configuration_of
from tashihiki.cli.configuration.root import Root, configure
from tashihiki.cli.delete import delete
from tashihiki.cli.doctor.command import doctor
from tashihiki.cli.duplicates import duplicates
from tashihiki.cli.failure import FAILED, INTERRUPTED, USAGE, reporting, warn_of
from tashihiki.cli.items import items
from tashihiki.cli.output import printable
from tashihiki.cli.plugins import add_commands, installed_commands
from tashihiki.cli.profile import profile
from tashihiki.cli.sample import sample
from tashihiki.cli.search import search
from tashihiki.cli.suggest import suggest
from tashihiki.cli.unknown_options import SignedCommand

# Panels of the list of commands.
ASK, KEEP, OWN = "Asking", "Collections", "This installation"
# A paragraph each, since help joins lines.
_SEARCH_EXAMPLES = (
    'tashihiki search faces "person KR + HAPPY" --sheet out.png\n\n'
    'tashihiki search items "this item − background + red" --item mug_blue_wood_1.jpg\n\n'
    'tashihiki search items "-red + mug" --where "background:wood" --json'
)
_CONFIG_EXAMPLES = "tashihiki config search\n\ntashihiki config --example > tashihiki.toml"
_DOCTOR_EXAMPLES = (
    "tashihiki doctor\n\ntashihiki doctor --server search.example:50051 --data data --json"
)


def main(args: Sequence[str] | None = None) -> None:
    """Runs the command line and ends the process. docs/client.md lists the exit codes."""
    _stand_in_for_missing_streams()
    _tolerate_any_text()
    try:
        application(installed_commands())(
            args=None if args is None else list(args), prog_name="tashihiki"
        )
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except OSError as error:
        if os.environ.get("TASHIHIKI_TRACEBACK"):
            raise
        # Mostly output that could not be written, as on a full disk.
        typer.echo(printable(f"error: {error}"), err=True)
        _forget_unwritten()
        sys.exit(FAILED)
    except Exception as error:
        if os.environ.get("TASHIHIKI_TRACEBACK"):
            raise
        typer.echo(f"error: unexpected {type(error).__name__}: {error}", err=True)
        typer.echo("Set TASHIHIKI_TRACEBACK=1 to see where.", err=True)
        sys.exit(FAILED)


def application(entries: Iterable[EntryPoint]) -> typer.Typer:
    """The command with the client's subcommands and those of `entries`."""
    app = typer.Typer(cls=Root, no_args_is_help=True, pretty_exceptions_enable=False)
    app.callback()(_root)
    app.command(cls=SignedCommand, rich_help_panel=ASK, epilog=_SEARCH_EXAMPLES)(search)
    app.command(cls=SignedCommand, rich_help_panel=ASK)(profile)
    app.command(rich_help_panel=ASK)(items)
    app.command(rich_help_panel=ASK)(attributes)
    app.command(rich_help_panel=ASK)(duplicates)
    app.command(rich_help_panel=ASK)(suggest)
    app.command(rich_help_panel=ASK)(sample)
    app.command(rich_help_panel=KEEP)(collections)
    app.command(rich_help_panel=KEEP)(delete)
    app.add_typer(snapshot.app, name="snapshot", rich_help_panel=KEEP)
    app.add_typer(encoder.app, name="encoder", rich_help_panel=KEEP)
    app.command(rich_help_panel=OWN, epilog=_CONFIG_EXAMPLES)(config)
    app.command(rich_help_panel=OWN, epilog=_DOCTOR_EXAMPLES)(doctor)
    add_commands(app, entries)
    return app


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"tashihiki {version('tashihiki')}")
        raise typer.Exit


def _root(
    context: typer.Context,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            metavar="FILE",
            envvar="TASHIHIKI_CONFIG",
            callback=configure,
            show_default="tashihiki.toml, here or in the user's configuration folder",
            help="Configuration file.",
        ),
    ] = None,
    show_version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Image search by adding and subtracting images, items and attributes."""
    fault = configuration_of(context).fault
    # What is wrong is the very thing that `doctor` is asked for.
    if fault is None or context.invoked_subcommand == "doctor":
        return
    # The remedies send people to `config`.
    if context.invoked_subcommand == "config":
        warn_of(fault)
        return
    with reporting(code=USAGE):
        raise fault


def _forget_unwritten() -> None:
    # Python would try to write it once more at its end, and end with 120 and a traceback.
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _stand_in_for_missing_streams() -> None:
    # Daemons and `pythonw` have none; what is written is lost, and the command works.
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            mode = "r" if name == "stdin" else "w"
            stream = Path(os.devnull).open(mode, encoding="utf-8")  # noqa: SIM115
            atexit.register(stream.close)
            setattr(sys, name, stream)


def _tolerate_any_text() -> None:
    # A terminal that lacks a character gets a question mark, not an error.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
