"""What to install where a command needs more than there is."""

from __future__ import annotations

from typing import NoReturn

import typer

from tashihiki.cli.failure import FAILED


def refuse_without(extra: str, what: str, missing: str) -> NoReturn:
    """Says that `what` needs a package of an extra, and ends the command."""
    typer.echo(
        f"error: {what} needs more than is installed ({missing}):"
        f" pip install 'tashihiki[{extra}]'\n"
        f"  from the checkout: pip install -e '.[{extra}]'",
        err=True,
    )
    raise typer.Exit(FAILED)
