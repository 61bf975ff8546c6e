"""Tables and JSON on standard output."""

from __future__ import annotations

import json
import re
import sys
import unicodedata
from collections.abc import Mapping
from typing import Any

import typer
from rich.console import Console
from rich.table import Table

# Wider than any line: piped output is never folded or cut.
_PIPE_WIDTH = 100_000
# Controls, halves of characters, and ends of lines and paragraphs.
_STEERING = ("Cc", "Cs", "Zl", "Zp")
# Embeddings, overrides and isolates; marks of direction are part of names.
_TURNING = ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")
# JSON lets these stand as they are, but terminals obey them.
_BARE_CONTROLS = re.compile("[\x7f-\x9f]")


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
    """`text` without control characters, which could steer a terminal or turn a line around."""
    return "".join("\N{REPLACEMENT CHARACTER}" if _steers(c) else c for c in text)


def _steers(character: str) -> bool:
    if character.isprintable():
        return False
    return (
        unicodedata.category(character) in _STEERING
        or unicodedata.bidirectional(character) in _TURNING
    )


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
    """One line of JSON, with all control characters escaped."""
    text = json.dumps(value, ensure_ascii=False)
    typer.echo(_BARE_CONTROLS.sub(lambda found: f"\\u{ord(found.group()):04x}", text))
