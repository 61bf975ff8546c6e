"""How names are compared: case and width do not matter."""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Iterable

from tashihiki.composition import attribute


def fold(name: str) -> str:
    """The form under which names of facets, values and aliases are equal.

    HAPPY, happy and ＨＡＰＰＹ fold alike (NFKC, case folding, single spaces).
    """
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def spelt(name: str) -> str:
    """The name as an expression has it: in quotes where it holds signs or spaces."""
    return repr(attribute(name))


def similar(name: str, candidates: Iterable[str], limit: int = 5) -> list[str]:
    """The candidates that someone who typed `name` may have meant, best first."""
    by_fold = {fold(candidate): candidate for candidate in candidates}
    found = difflib.get_close_matches(fold(name), by_fold, n=limit, cutoff=0.6)
    return [by_fold[match] for match in found]
