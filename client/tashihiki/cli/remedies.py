"""What to do about an error, in terms of the command line."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from tashihiki.errors import TashihikiError, UnavailableError

# What the server's remedies call by the names of its RPCs, as one types it here.
COMMANDS = {
    "CreateCollection": "tashihiki index",
    "ListAttributes": "tashihiki attributes {collection}",
    "ListCollections": "tashihiki collections",
    "ListItems": "tashihiki items {collection}",
    "ListSnapshots": "tashihiki snapshot list",
}
_CALL = re.compile(rf"\b({'|'.join(COMMANDS)})\b")
_BINDS = {"this_item": "--item ID", "this_image": "--image FILE"}
_UNKNOWN_OPERAND = ("UNKNOWN_ITEM", "UNKNOWN_VALUE", "UNKNOWN_FACET")
_ITEM = re.compile(r"item\s*[(（]\s*(.*?)\s*[)）]", re.IGNORECASE)
_CHUNK = re.compile(r"[^\s+＋()（）]+")
_PICTURE = re.compile(r"\.(avif|bmp|gif|heic|jpe?g|png|tiff?|webp)$", re.IGNORECASE)


@dataclass(frozen=True)
class Asked:
    """What the command was about.

    Attributes:
        expression: the query's text.
        where: the filter's.
        collection: its name.
        item: what `this item` stands for.
    """

    expression: str = ""
    where: str | None = None
    collection: str = ""
    item: str | None = None


def remedy(error: TashihikiError, asked: Asked) -> str:
    """What to type; "" where nothing is known."""
    if error.reason == "UNBOUND_OPERAND":
        options = _BINDS.get(_last(error.field), "--item ID, --image FILE or --bind NAME=FILE")
        return f"Say what it is with {options}."
    if isinstance(error, UnavailableError) and "cause" in error.details:
        return (
            "Start one with `tashihiki serve`, or name another with --server or TASHIHIKI_SERVER."
        )
    collection = shlex.quote(asked.collection) if asked.collection else "COLLECTION"
    told = _CALL.sub(
        lambda call: f"`{COMMANDS[call[0]].format(collection=collection)}`", error.remedy
    )
    named = _operand(error, asked)
    if _is_file(named):
        return (
            f"{named} is a file: say --image {shlex.quote(named)}, and call it `this image` in"
            " the query."
        )
    if "/" in named or "\\" in named or _PICTURE.search(named):
        told += " A picture is given with --image FILE, and is `this image` in the query."
    return told.strip()


def _operand(error: TashihikiError, asked: Asked) -> str:
    """The word at fault as it was typed, where it is one of the query's; else ""."""
    if error.reason not in _UNKNOWN_OPERAND or "filter" in error.field:
        return ""
    if _last(error.field) == "this_item":
        return asked.item or ""
    start = error.position
    if start is None or start >= len(asked.expression):
        return ""
    if (item := _ITEM.match(asked.expression, start)) is not None:
        return item[1].strip("\"'")
    # A path may hold signs, at which the server takes it apart.
    chunks = (chunk for chunk in _CHUNK.finditer(asked.expression) if chunk.end() > start)
    chunk = next(chunks, None)
    return "" if chunk is None else chunk[0].strip("\"'")


def _is_file(name: str) -> bool:
    try:
        return bool(name) and Path(name).is_file()
    except (OSError, ValueError):
        return False


def _last(field: str) -> str:
    return field.rpartition(".")[2]
