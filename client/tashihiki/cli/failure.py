"""How the command line reports what went wrong, and with which exit code."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.cells import cell_len

from tashihiki.cli.output import printable
from tashihiki.errors import TashihikiError, UnavailableError

# docs/client.md has the same table.
FAILED = 1
USAGE = 2
INTERRUPTED = 130


@contextmanager
def reporting(expression: str = "", where: str | None = None, code: int = FAILED) -> Iterator[None]:
    """Turns errors into lines on stderr and an exit code.

    Args:
        expression, where: get a caret under the fault.
        code: with which the command then ends.
    """
    try:
        yield
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None
    except TashihikiError as error:
        for line in _lines(error, expression, where):
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
    for line in _lines(error, kind="warning"):
        typer.echo(printable(line), err=True)


def _lines(
    error: TashihikiError, expression: str = "", where: str | None = None, kind: str = "error"
) -> list[str]:
    lines = [f"{kind}: {error.headline}", *_pointer(error, expression, where)]
    remedy = _remedy(error)
    candidates = error.details.get("candidates", "")
    told = f"{error.message} {remedy}"
    if any(candidate not in told for candidate in candidates.split(", ")):
        lines.append(f"  candidates: {candidates}")
    if remedy:
        lines.append(f"  help: {remedy}")
    return lines


def _remedy(error: TashihikiError) -> str:
    if error.reason == "UNBOUND_OPERAND":
        return f"Say what it is with {_option_that_binds(error.field)}."
    if isinstance(error, UnavailableError) and "cause" in error.details:
        return (
            "Start one with `tashihiki serve`, or name another with --server or TASHIHIKI_SERVER."
        )
    return error.remedy


def _option_that_binds(field: str) -> str:
    options = {"this_item": "--item ID", "this_image": "--image FILE"}
    return options.get(field.rpartition(".")[2], "--item ID, --image FILE or --bind NAME=FILE")


def _pointer(error: TashihikiError, expression: str, where: str | None) -> list[str]:
    text = (where or "") if "filter" in error.field else expression
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
