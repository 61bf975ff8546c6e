"""`tashihiki duplicates`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from tashihiki.cli.failure import reporting
from tashihiki.cli.options import (
    DEFAULT_LONG_TIMEOUT,
    DEFAULT_SERVER,
    CollectionName,
    Json,
    LongTimeout,
    Server,
    Where,
)
from tashihiki.cli.output import console, print_json, printable, table
from tashihiki.cli.progress import progress_bar
from tashihiki.client import Client
from tashihiki.discovery import DuplicateGroup

MinSimilarity = Annotated[
    float | None,
    typer.Option(
        "--min-similarity",
        min=0.0,
        max=1.0,
        help="Least cosine to a group's first item.",
        show_default="the server's, 0.995",
    ),
]
Image = Annotated[
    Path | None,
    typer.Option(
        "--image",
        metavar="FILE",
        exists=True,
        dir_okay=False,
        help="Only items that show the same as this picture.",
    ),
]
ExactOnly = Annotated[bool, typer.Option("--exact-only", help="Only identical files.")]


def duplicates(
    collection: CollectionName,
    image: Image = None,
    min_similarity: MinSimilarity = None,
    exact_only: ExactOnly = False,
    where: Where = None,
    json: Json = False,
    server: Server = DEFAULT_SERVER,
    timeout: LongTimeout = DEFAULT_LONG_TIMEOUT,
) -> None:
    """Find items that show the same; with --json, one group a line as it is found."""
    with (
        reporting(where=where, collection=collection),
        Client(server, timeout=timeout) as client,
        progress_bar("comparing", wanted=not json) as progress,
    ):
        groups = client.find_duplicates(
            collection,
            where=where,
            min_similarity=min_similarity,
            image=image,
            exact_only=exact_only,
            progress=progress,
            timeout=timeout,
        )
        if json:
            _print_lines(groups)
            return
        found = list(groups)
    _print_table(found)


def _print_lines(groups: Iterable[DuplicateGroup]) -> None:
    for group in groups:
        items = [vars(item) for item in group]
        print_json({"identical": group.identical, "items": items})


def _print_table(groups: list[DuplicateGroup]) -> None:
    grid = table("group", "files", "similarity", "id", numbers=("group", "similarity"))
    for number, group in enumerate(groups, start=1):
        files = "identical" if group.identical else "different"
        for place, item in enumerate(group):
            first = (str(number), files) if place == 0 else ("", "")
            grid.add_row(*first, f"{item.similarity:.4f}", printable(item.id))
    console().print(grid if groups else "no duplicates")
