"""Hits as pictures in the terminal, where it can show them."""

from __future__ import annotations

import importlib
import logging
import os
import re
import select
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Annotated, Any, Literal, TypeAlias

import typer
from rich.console import Console
from rich.table import Table

from tashihiki.cli.extras import refuse_without
from tashihiki.cli.output import printable
from tashihiki.results import Hit

Choice: TypeAlias = Literal["auto", "always", "never"]
Pictures = Annotated[
    Choice,
    typer.Option(
        "--pictures",
        help="Draw the hits in the terminal; auto: where it shows pictures (kitty, sixel).",
    ),
]

# In cells of the terminal, and in pixels of the picture that is sent.
_WIDTH, _GAP = 18, 2
_SIDE = 180

_KITTY = ("xterm-kitty", "xterm-ghostty")
_SIXEL = ("foot", "mlterm")
_SIXEL_PROGRAMS = ("iTerm.app", "WezTerm")
# What a terminal answers when it is asked for its attributes, and how long it may take.
_ATTRIBUTES = re.compile(rb"\x1b\[\?([\d;]*)c")
_SIXEL_ATTRIBUTE = b"4"
_PATIENCE = 0.5
# These answer for the terminal around them, but hand down what it says of itself.
_MULTIPLEXERS = ("screen", "tmux")


class Painter:
    """Draws thumbnails in rows, each with its rank and similarity."""

    def __init__(self, renderable: Any) -> None:
        """Draws with a renderable of textual-image."""
        self._renderable = renderable
        self._failed = False

    def paint(self, hits: Sequence[Hit], first_rank: int = 1) -> None:
        """Draws the hits on standard output, as many beside each other as there is room.

        Where that fails, it is said on standard error, once, and no more is drawn.
        """
        if self._failed or not any(hit.thumbnail for hit in hits):
            return
        try:
            self._paint(hits, first_rank)
        except BrokenPipeError:
            raise
        # The library meets terminals of unknown size, and whatever else, with errors of all kinds.
        except Exception as error:
            self._failed = True
            why = printable(f"{type(error).__name__}: {error}")
            typer.echo(f"warning: the pictures cannot be drawn here ({why})", err=True)

    def _paint(self, hits: Sequence[Hit], first_rank: int) -> None:
        # The protocols' own colours must reach the terminal as they are.
        out = Console(
            force_terminal=True, color_system="truecolor", no_color=False, markup=False, emoji=False
        )
        each = _WIDTH + _GAP
        columns = max(1, (out.width + _GAP) // each)
        for start in range(0, len(hits), columns):
            row = hits[start : start + columns]
            with _unasked():
                out.print(self._renderable(_strip(row), len(row) * each - _GAP, "auto"))
            captions = Table.grid(padding=(0, _GAP, 0, 0), pad_edge=False)
            for _ in row:
                captions.add_column(width=_WIDTH, no_wrap=True, overflow="ellipsis")
            ranks = range(first_rank + start, first_rank + start + len(row))
            names = [f"{rank} {printable(hit.id)}" for rank, hit in zip(ranks, row, strict=True)]
            captions.add_row(*names)
            captions.add_row(*(f"{hit.similarity:.4f}" for hit in row))
            out.print(captions)
            out.print()


def painter(choice: Choice) -> Painter | None:
    """What draws the hits; None where no pictures are wanted or can be shown.

    Raises:
        typer.Exit: where they are always wanted and the packages that draw are not installed.
    """
    if choice == "never" or (choice == "auto" and not _shows_pictures(os.environ)):
        return None
    try:
        with _unasked():
            library = importlib.import_module("textual_image.renderable")
    except ImportError as error:
        if choice == "auto":
            return None
        refuse_without("sheet", "--pictures always", error.name or str(error))
    # It would say in a log that the terminal does not tell the size of its cells.
    logging.getLogger("textual_image").setLevel(logging.ERROR)
    announced = _announced(os.environ) if _is_terminal() else None
    if announced is None and _may_ask(os.environ) and _answers_sixel():
        announced = "sixel"
    if announced is None and choice == "auto":
        return None
    drawn = {"kitty": library.TGPImage, "sixel": library.SixelImage, None: library.HalfcellImage}
    return Painter(drawn[announced])


def _shows_pictures(environment: Mapping[str, str]) -> bool:
    plain = environment.get("NO_COLOR") or environment.get("TERM", "") in ("", "dumb")
    return _is_terminal() and not plain


def _is_terminal() -> bool:
    # A stream that the shell has closed is None.
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout))


def _announced(environment: Mapping[str, str]) -> Literal["kitty", "sixel"] | None:
    """What the terminal's own variables tell."""
    terminal, program = environment.get("TERM", ""), environment.get("TERM_PROGRAM", "")
    if terminal.startswith(_MULTIPLEXERS):
        return None
    if terminal in _KITTY or program == "ghostty" or "KITTY_WINDOW_ID" in environment:
        return "kitty"
    return "sixel" if terminal.startswith(_SIXEL) or program in _SIXEL_PROGRAMS else None


def _may_ask(environment: Mapping[str, str]) -> bool:
    # Over a slow line the answer would come when the shell reads again, and in the background
    # asking would stop the process.
    if not _is_terminal() or "SSH_CONNECTION" in environment or sys.platform == "win32":
        return False
    try:
        return os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    except OSError:
        return False


def _answers_sixel() -> bool:
    """Whether the terminal says of itself that it draws sixels.

    What is typed ahead is left to whoever reads next: then the terminal is not asked.
    """
    import termios
    import tty

    source = sys.stdin.fileno()
    kept = termios.tcgetattr(source)
    said, reply = b"", None
    # Only so are its answer and a line that is not yet ended to be seen.
    tty.setcbreak(source, termios.TCSANOW)
    try:
        if _readable(source, 0.0):
            return False
        sys.stdout.write("\x1b[c")
        sys.stdout.flush()
        # What arrives before the answer is taken too, for its end not to reach the shell.
        while reply is None and _readable(source, _PATIENCE):
            block = os.read(source, 64)
            if not block:
                break
            said += block
            reply = _ATTRIBUTES.search(said)
    finally:
        termios.tcsetattr(source, termios.TCSANOW, kept)
    return reply is not None and _SIXEL_ATTRIBUTE in reply[1].split(b";")


def _readable(source: int, seconds: float) -> bool:
    return bool(select.select([source], [], [], seconds)[0])


@contextmanager
def _unasked() -> Iterator[None]:
    # The library asks the terminal whatever it wants to know, unless there is no standard input.
    kept = sys.__stdin__
    vars(sys)["__stdin__"] = None
    try:
        yield
    finally:
        vars(sys)["__stdin__"] = kept


def _strip(hits: Sequence[Hit]) -> Any:
    """The thumbnails beside each other, as wide as their captions."""
    from PIL import Image, ImageOps

    from tashihiki.cli.sheet import decoded

    gap = _SIDE * _GAP // _WIDTH
    strip = Image.new("RGBA", (len(hits) * (_SIDE + gap) - gap, _SIDE))
    for place, hit in enumerate(hits):
        picture = decoded(hit.thumbnail)
        if picture is not None:
            small = ImageOps.contain(picture, (_SIDE, _SIDE))
            left = place * (_SIDE + gap) + (_SIDE - small.width) // 2
            strip.paste(small, (left, (_SIDE - small.height) // 2))
    return strip
