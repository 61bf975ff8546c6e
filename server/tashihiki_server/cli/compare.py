"""`tashihiki compare`: two answers beside each other."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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
from tashihiki.cli.sheet_file import Open, Sheet, hand_over, lasting_file, sheet_wanted
from tashihiki.cli.unknown_options import SignedCommand
from tashihiki.client import Client
from tashihiki_server.cli.comparison import Comparison, Side

if TYPE_CHECKING:
    from tashihiki.catalog import Collection
    from tashihiki.results import SearchResult

app = typer.Typer(add_completion=False)
THIS_IMAGE = "this image"

Other = Annotated[
    str | None,
    typer.Option("--with", metavar="EXPRESSION", help="Compare with this query instead."),
]


@app.command(cls=SignedCommand)
def compare(
    collection: CollectionName,
    expression: Expression,
    other: Other = None,
    limit: Limit = 10,
    item: ThisItem = None,
    image: ThisImage = None,
    bind: Bind = None,
    where: Where = None,
    mode: ModeChoice = "replace",
    rerank: Rerank = None,
    json: Json = False,
    sheet: Sheet = None,
    opened: Open = False,
    server: Server = DEFAULT_SERVER,
    timeout: Timeout = DEFAULT_TIMEOUT,
) -> None:
    """Put the answer to a query beside that of a plain sum, or of another query.

    A plain sum adds and subtracts whole embeddings: of items and pictures, and the median of those
    that have a value; the most similar items by the cosine are its answer. It is computed here
    from all embeddings, of collections of up to 5,000 items. A star marks what only one side has.
    """
    drawn = sheet_wanted(sheet, opened)
    bound = bindings(bind or [])
    with Client(server, timeout=timeout) as client:
        ask = partial(
            client.search,
            collection,
            limit=limit,
            where=where,
            this_item=item,
            this_image=image,
            images=bound,
            include_thumbnails=drawn,
            mode=mode,
            rerank=rerank,
        )
        pictures = bound if image is None else {THIS_IMAGE: image, **bound}
        with reporting(expression, where, collection=collection, item=item):
            answer = ask(expression)
            right: Side
            if other is None:
                state = client.get_collection(collection)
                left = Side(f"{state.space_in_force} space", answer.terms, answer.hits)
                right = _plain_sum(client, state, answer, pictures, where, limit, drawn)
            else:
                left = Side(expression, answer.terms, answer.hits)
        if other is not None:
            with reporting(other, where, collection=collection, item=item):
                found = ask(other)
                right = Side(other, found.terms, found.hits)
        comparison = Comparison(left, right)
        if json:
            print_json(comparison.json())
        else:
            comparison.print()
        if drawn:
            with reporting():
                path = sheet or lasting_file()
                _draw(path, expression, client, collection, comparison, answer, pictures)
                hand_over(path, opened=opened)


def _plain_sum(
    client: Client,
    state: Collection,
    answer: SearchResult,
    pictures: Mapping[str, Path],
    where: str | None,
    limit: int,
    thumbnails: bool,
) -> Side:
    from tashihiki.cli.sheet import kept_picture
    from tashihiki.results import Hit
    from tashihiki_server.plain_sum import Embeddings, check_size, nearest

    check_size(state)
    collection = state.name
    items = client.items(collection, include_vectors=True, page_size=500)
    embeddings = Embeddings.of(state, items)
    if not embeddings.ids:
        return Side("plain sum", answer.terms, [])
    operands = {}
    for place, term in enumerate(answer.terms):
        if term.kind == "item":
            stored = client.get_item(collection, term.name, include_vector=True)
            assert stored.vector is not None
            operands[place] = stored.vector
        elif term.kind == "image":
            operands[place] = client.embed(collection, [pictures[term.name]])[0]
    admitted = None
    if where is not None:
        admitted = {one.id for one in client.items(collection, where=where, page_size=1000)}
    found = nearest(embeddings, answer.terms, operands, limit, admitted)
    hits = []
    for row, similarity in found.hits:
        identifier = embeddings.ids[row]
        picture = kept_picture(client, collection, identifier) if thumbnails else None
        hits.append(Hit(identifier, similarity, embeddings.attributes[row], {}, (), picture))
    return Side("plain sum", answer.terms, hits, found.note)


def _draw(
    path: Path,
    title: str,
    client: Client,
    collection: str,
    comparison: Comparison,
    answer: SearchResult,
    pictures: Mapping[str, Path],
) -> None:
    from tashihiki.cli.sheet import Part, hit_cards, operand_cards, write_sheet

    operands = operand_cards(client, collection, answer, pictures)
    sides = (comparison.left, comparison.right)
    parts = [Part(side.name, hit_cards(side.hits, comparison.alone)) for side in sides]
    write_sheet(path, title, operands, parts)


command = typer.main.get_command(app)
