"""How the command line reports what went wrong, and with which exit code."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.cells import cell_len

from tashihiki.errors import TashihikiError

FAILED = 1
INTERRUPTED = 130


@contextmanager
def reporting(expression: str = "", where: str | None = None) -> Iterator[None]:
    """Turns errors into lines on stderr; the texts given get a caret under the fault."""
    try:
        yield
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None
    except TashihikiError as error:
        typer.echo(f"error: {error}", err=True)
        for line in _pointer(error, expression, where):
            typer.echo(line, err=True)
        raise typer.Exit(FAILED) from None
    except BrokenPipeError:
        # Typer ends quietly when the reader of our output has gone.
        raise
    except (OSError, UnicodeError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(FAILED) from None


def _pointer(error: TashihikiError, expression: str, where: str | None) -> list[str]:
    lines: list[str] = []
    text = (where or "") if "filter" in error.field else expression
    position = error.details.get("position", "")
    if text and position.isdecimal() and int(position) <= len(text):
        lines += caret(text, int(position), error.details.get("length", ""))
    if candidates := error.details.get("candidates", ""):
        lines.append(f"  candidates: {candidates}")
    return lines


def caret(text: str, position: int, length: str = "") -> list[str]:
    """The text, and carets under `length` characters from `position` on, 0-based."""
    shown = "".join(c if c.isprintable() else " " for c in text)
    span = shown[position : position + int(length)] if length.isdecimal() else ""
    marks = "^" * max(1, cell_len(span))
    return [f"  {shown}", f"  {' ' * cell_len(shown[:position])}{marks}"]
