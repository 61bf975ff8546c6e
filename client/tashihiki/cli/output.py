"""Tables and JSON on standard output."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any

import typer
from rich.console import Console
from rich.table import Table

# Wider than any line: piped output is never folded or cut.
_PIPE_WIDTH = 100_000


def console() -> Console:
    """Standard output, with text shown as it is: no markup, no emoji names."""
    width = None if sys.stdout.isatty() else _PIPE_WIDTH
    return Console(width=width, markup=False, emoji=False, highlight=False)


def table(*columns: str, numbers: tuple[str, ...] = ()) -> Table:
    """An empty table; the columns in `numbers` are aligned to the right and never folded."""
    grid = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for column in columns:
        if column in numbers:
            grid.add_column(column, justify="right", no_wrap=True)
        else:
            grid.add_column(column, overflow="fold")
    return grid


def printable(text: str) -> str:
    """`text` without control characters, which could steer a terminal."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def attribute_text(attributes: Mapping[str, str]) -> str:
    """`colour:red shape:round`."""
    return printable(" ".join(f"{facet}:{value}" for facet, value in sorted(attributes.items())))


def size_text(size: int) -> str:
    """`1.5 MB`, in powers of ten."""
    for unit, bytes_ in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size >= bytes_:
            return f"{size / bytes_:.1f} {unit}"
    return f"{size} B"


def print_json(value: Any) -> None:
    """One line of JSON."""
    typer.echo(json.dumps(value, ensure_ascii=False))
