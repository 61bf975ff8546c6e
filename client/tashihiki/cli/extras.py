"""What to install where a command needs more than there is."""

from __future__ import annotations

from typing import NoReturn

import typer

from tashihiki.cli.failure import FAILED


def install_command(extra: str) -> str:
    """What installs an extra, or the client alone for "", from the checkout."""
    return f"pip install -e '.[{extra}]'" if extra else "pip install -e ."


def refuse_without(extra: str, what: str, missing: str) -> NoReturn:
    """Says that `what` needs a package of an extra, and ends the command."""
    typer.echo(
        f"error: {what} needs more than is installed ({missing})\n"
        f"  help: from the checkout: {install_command(extra)}",
        err=True,
    )
    raise typer.Exit(FAILED)
