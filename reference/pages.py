"""Where the pages lie, and their Markdown."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

DOCS = Path(__file__).parent.parent / "docs"
API = DOCS / "api.md"
RPC = DOCS / "rpc.md"


def entry(head: str, text: str, depth: int = 0) -> str:
    """An entry of a list: a head and what there is to say about it."""
    indent = "  " * depth
    lines = f"- {head}: {text}" if text else f"- {head}"
    return "\n".join(f"{indent}{line}" if line else "" for line in _hung(lines, "  "))


def joined(parts: Iterable[str]) -> str:
    """Paragraphs, those that are empty left out."""
    return "\n\n".join(part for part in parts if part)


def page(title: str, source: str, parts: Iterable[str]) -> str:
    """A page that says what it is generated from."""
    note = f"<!-- Generated from {source} by `make reference`. -->"
    return joined([f"# {title}", note, *parts]) + "\n"


def _hung(text: str, indent: str) -> list[str]:
    first, *rest = text.split("\n")
    return [first, *(indent + line if line else "" for line in rest)]
