"""The file that a contact sheet is drawn into, and who is told of it."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from tashihiki.cli.extras import refuse_without
from tashihiki.cli.failure import FAILED

Sheet = Annotated[
    Path | None,
    typer.Option("--sheet", metavar="FILE", help="Draw query and hits into this PNG file."),
]
Open = Annotated[
    bool,
    typer.Option("--open", help="Show the sheet in a viewer; a file for it is made if none is."),
]


def sheet_wanted(sheet: Path | None, opened: bool) -> bool:
    """Whether a sheet is to be drawn, checked as far as that can be done before.

    Raises:
        typer.BadParameter: for a file that is no PNG or has no folder.
        typer.Exit: without Pillow.
    """
    if sheet is not None:
        if sheet.suffix.lower() != ".png":
            raise typer.BadParameter("name a file that ends in .png", param_hint="--sheet")
        if not sheet.absolute().parent.is_dir():
            raise typer.BadParameter(f"there is no folder {sheet.parent}", param_hint="--sheet")
    if sheet is None and not opened:
        return False
    try:
        import PIL  # noqa: F401
    except ImportError:
        refuse_without("sheet", "--sheet" if sheet is not None else "--open", "Pillow")
    return True


def lasting_file() -> Path:
    """A file in the folder for temporary ones that stays: a viewer reads it after the command."""
    number, name = tempfile.mkstemp(prefix="tashihiki-", suffix=".png")
    os.close(number)
    return Path(name)


def hand_over(sheet: Path, *, opened: bool) -> None:
    """Says where the sheet is, and opens it in the desktop's viewer if that is wanted.

    Raises:
        typer.Exit: where there is none.
    """
    typer.echo(f"sheet: {sheet}", err=True)
    if not opened:
        return
    # Without a desktop xdg-open may start a browser in this terminal.
    if _has_desktop(os.environ) and typer.launch(str(sheet), wait=_launcher_returns()) == 0:
        return
    typer.echo(
        "error: no viewer opened the sheet\n"
        f"  help: Open {sheet} yourself, or name a file with --sheet.",
        err=True,
    )
    raise typer.Exit(FAILED)


def _launcher_returns() -> bool:
    # Elsewhere waiting means until the viewer is closed.
    return sys.platform not in ("darwin", "win32")


def _has_desktop(environment: Mapping[str, str]) -> bool:
    if sys.platform in ("darwin", "win32"):
        return True
    return bool(environment.get("DISPLAY") or environment.get("WAYLAND_DISPLAY"))
