"""The code blocks of a document."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"
README = DOCS.parent / "README.md"

_BLOCK = re.compile(r"^```(\S*)([^\n]*)\n(.*?)^```", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, or "", the words after it, and its text."""

    language: str
    note: str
    text: str


def blocks(document: Path) -> list[Block]:
    """The fenced blocks, in order."""
    found = _BLOCK.findall(document.read_text(encoding="utf-8"))
    return [Block(language, note.strip(), text) for language, note, text in found]
