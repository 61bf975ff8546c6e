"""`tashihiki profile`."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Annotated

import typer

from tashihiki.cli.failure import reporting
from tashihiki.cli.options import (
    DEFAULT_SERVER,
    DEFAULT_TIMEOUT,
    CollectionName,
    Json,
    Server,
    Timeout,
    Where,
)
from tashihiki.cli.output import print_json
from tashihiki.cli.profile_report import Measured, print_profile, profile_json
from tashihiki.cli.search import (
    Bind,
    Expression,
    Limit,
    ModeChoice,
    Rerank,
    ThisImage,
    ThisItem,
    bindings,
)
from tashihiki.client import Client
from tashihiki.errors import FailedPreconditionError
from tashihiki.results import SearchResult

Repeat = Annotated[int, typer.Option("--repeat", min=1, help="How often to ask.")]
Thumbnails = Annotated[
    bool, typer.Option("--thumbnails", help="Fetch the hits' thumbnails too, as a page would.")
]


def profile(
    collection: CollectionName,
    expression: Expression,
    repeat: Repeat = 50,
    limit: Limit = 10,
    item: ThisItem = None,
    image: ThisImage = None,
    bind: Bind = None,
    where: Where = None,
    mode: ModeChoice = "replace",
    rerank: Rerank = None,
    thumbnails: Thumbnails = False,
    json: Json = False,
    server: Server = DEFAULT_SERVER,
    timeout: Timeout = DEFAULT_TIMEOUT,
) -> None:
    """Ask a query again and again, and show where its time goes."""
    bound = bindings(bind or [])
    with (
        reporting(expression, where, collection=collection, item=item),
        Client(server, timeout=timeout) as client,
    ):
        ask = partial(
            client.search,
            collection,
            expression,
            limit=limit,
            where=where,
            this_item=item,
            # Read once: the disk is not what is measured.
            this_image=None if image is None else image.read_bytes(),
            images={name: file.read_bytes() for name, file in bound.items()},
            include_thumbnails=thumbnails,
            mode=mode,
            rerank=rerank,
            timings=True,
        )
        # Opens the connection.
        ask()
        measured = [_measured(ask) for _ in range(repeat)]
    if json:
        print_json(profile_json(measured))
    else:
        print_profile(measured)


def _measured(ask: Callable[[], SearchResult]) -> Measured:
    begin = time.perf_counter()
    result = ask()
    seconds = time.perf_counter() - begin
    if result.timings is None:
        raise FailedPreconditionError(
            "The server tells no timings.",
            reason="TIMINGS_MISSING",
            remedy="It is older than this client; update it.",
        )
    return Measured(seconds, result.timings)
