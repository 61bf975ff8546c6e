"""How names are compared: case and width do not matter; and what is said of unknown ones."""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

from tashihiki.composition import attribute
from tashihiki.errors import NotFoundError

# Of a name in an error, in characters, and of the collections that it lists.
_SHOWN_LENGTH = 256
_SHOWN_NAMES = 10
# Of a name whose folded form is kept: a query folds the few that it has over and over.
_KEPT_LENGTH = 256


def fold(name: str) -> str:
    """The form under which names of facets, values and aliases are equal.

    HAPPY, happy and ＨＡＰＰＹ fold alike (NFKC, case folding, single spaces).
    """
    return _cached_fold(name) if len(name) <= _KEPT_LENGTH else _fold(name)


def _fold(name: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


_cached_fold = lru_cache(maxsize=4096)(_fold)


def spelt(name: str) -> str:
    """The name as an expression has it: in quotes where it holds signs or spaces."""
    return repr(attribute(name))


def unknown_collection(name: str, known: Iterable[str]) -> NotFoundError:
    """The error UNKNOWN_COLLECTION for a collection that is not among those known."""
    names = sorted(known)
    # What is like a long name takes long to find.
    near = similar(name, names) if len(name) <= _SHOWN_LENGTH else []
    shown = name if len(name) <= _SHOWN_LENGTH else f"{name[:_SHOWN_LENGTH]}…"
    guess = f"; did you mean {' or '.join(near[:3])}?" if near else ""
    there = f"There are: {', '.join(names[:_SHOWN_NAMES])}"
    if len(names) == 1:
        there = f"There is only {names[0]}"
    elif len(names) > _SHOWN_NAMES:
        there += f" and {len(names) - _SHOWN_NAMES} more, which ListCollections tells"
    return NotFoundError(
        f"no collection {shown!r}{guess}",
        reason="UNKNOWN_COLLECTION",
        field="collection",
        remedy=f"{there}; CreateCollection makes another."
        if names
        else "There is none yet; CreateCollection makes one.",
        details={"candidates": ", ".join(near or names)},
    )


def similar(name: str, candidates: Iterable[str], limit: int = 5) -> list[str]:
    """The candidates that someone who typed `name` may have meant, best first."""
    by_fold = {fold(candidate): candidate for candidate in candidates}
    found = difflib.get_close_matches(fold(name), by_fold, n=limit, cutoff=0.6)
    return [by_fold[match] for match in found]
