"""How the command line reports what went wrong, and with which exit code."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.cells import cell_len

from tashihiki.cli.output import printable
from tashihiki.cli.remedies import Asked, remedy
from tashihiki.errors import TashihikiError

# docs/client.md has the same table.
FAILED = 1
USAGE = 2
INTERRUPTED = 130


class WrongUsage(typer.BadParameter):
    """Told without the name of a parameter, since no value is at fault."""

    def format_message(self) -> str:
        """The message alone."""
        return self.message


@contextmanager
def reporting(
    expression: str = "",
    where: str | None = None,
    code: int = FAILED,
    *,
    collection: str = "",
    item: str | None = None,
) -> Iterator[None]:
    """Turns errors into lines on stderr and an exit code.

    Args:
        expression, where: get a caret under the fault.
        code: with which the command then ends.
        collection, item: that were asked for; remedies name them.
    """
    asked = Asked(expression, where, collection, item)
    try:
        yield
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None
    except TashihikiError as error:
        for line in _lines(error, asked):
            typer.echo(printable(line), err=True)
        raise typer.Exit(code) from None
    except BrokenPipeError:
        # Typer ends quietly when the reader of our output has gone.
        raise
    except (OSError, UnicodeError) as error:
        typer.echo(printable(f"error: {error}"), err=True)
        raise typer.Exit(code) from None


def warn_of(error: TashihikiError) -> None:
    """Says on stderr what is wrong where the command goes on all the same."""
    for line in _lines(error, Asked(), kind="warning"):
        typer.echo(printable(line), err=True)


def _lines(error: TashihikiError, asked: Asked, kind: str = "error") -> list[str]:
    lines = [f"{kind}: {error.headline}", *_pointer(error, asked)]
    advice = remedy(error, asked)
    candidates = error.details.get("candidates", "")
    told = f"{error.message} {advice}"
    if any(candidate not in told for candidate in candidates.split(", ")):
        lines.append(f"  candidates: {candidates}")
    if advice:
        lines.append(f"  help: {advice}")
    return lines


def _pointer(error: TashihikiError, asked: Asked) -> list[str]:
    text = (asked.where or "") if "filter" in error.field else asked.expression
    position = error.details.get("position", "")
    if text and position.isdecimal() and int(position) <= len(text):
        return caret(text, int(position), error.details.get("length", ""))
    return []


def caret(text: str, position: int, length: str = "") -> list[str]:
    """The text, and carets under `length` characters from `position` on, 0-based."""
    shown = "".join(c if c.isprintable() else " " for c in text)
    span = shown[position : position + int(length)] if length.isdecimal() else ""
    marks = "^" * max(1, cell_len(span))
    return [f"  {shown}", f"  {' ' * cell_len(shown[:position])}{marks}"]
