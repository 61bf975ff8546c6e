"""`tashihiki search`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Annotated

import typer

from tashihiki.cli.completion import facet_names
from tashihiki.cli.failure import reporting
from tashihiki.cli.fitted_space import SpaceState, note_on_sum, remark_on_answers
from tashihiki.cli.missing_metadata import missing_metadata
from tashihiki.cli.options import (
    DEFAULT_SERVER,
    DEFAULT_TIMEOUT,
    CollectionName,
    Json,
    Server,
    Timeout,
    Where,
)
from tashihiki.cli.output import console, print_json
from tashihiki.cli.search_report import (
    print_hits,
    print_next_page,
    print_understood,
    search_json,
)
from tashihiki.cli.sheet_file import Open, Sheet, hand_over, lasting_file, sheet_wanted
from tashihiki.cli.terminal_pictures import Pictures, painter
from tashihiki.client import Client
from tashihiki.errors import TashihikiError
from tashihiki.query import GroupBy, Mode
from tashihiki.results import SearchResult

# Panels of the help.
OPERANDS, HITS = "What the query names", "Which hits"

Expression = Annotated[
    str, typer.Argument(help="What to add and subtract, for example `person KR + HAPPY`.")
]
Limit = Annotated[
    int,
    typer.Option(
        "--limit", min=1, max=1000, rich_help_panel=HITS, help="Hits wanted, or hits on a page."
    ),
]
ThisItem = Annotated[
    str | None,
    typer.Option(
        "--item",
        metavar="ID",
        rich_help_panel=OPERANDS,
        help="The item that `this item` stands for.",
    ),
]
ThisImage = Annotated[
    Path | None,
    typer.Option(
        "--image",
        metavar="FILE",
        exists=True,
        dir_okay=False,
        rich_help_panel=OPERANDS,
        help="The picture that `this image` stands for.",
    ),
]
Bind = Annotated[
    list[str] | None,
    typer.Option(
        "--bind",
        metavar="NAME=FILE",
        rich_help_panel=OPERANDS,
        help="A picture that `image(NAME)` stands for.",
    ),
]
IncludeOperands = Annotated[
    bool,
    typer.Option(
        "--include-operands", rich_help_panel=HITS, help="Let items of the query be hits too."
    ),
]
ModeChoice = Annotated[
    Mode,
    typer.Option(
        "--mode", help="Let attributes replace what items and pictures show, or add to it."
    ),
]
Rerank = Annotated[
    bool | None,
    typer.Option(
        "--rerank/--no-rerank",
        help="Order the first 100 by how probably they show the attributes.",
        show_default=False,
    ),
]
MinSimilarity = Annotated[
    float | None,
    typer.Option(
        "--min-similarity",
        min=-1.0,
        max=1.0,
        rich_help_panel=HITS,
        help="Only hits at least as similar.",
    ),
]
GroupByChoice = Annotated[
    str | None,
    typer.Option(
        "--group-by",
        metavar="FACET[=N]",
        rich_help_panel=HITS,
        help="At most N hits of each value; 1 if left out.",
        autocompletion=facet_names,
    ),
]
Diversity = Annotated[
    float | None,
    typer.Option(
        "--diversity",
        min=0.0,
        max=1.0,
        rich_help_panel=HITS,
        help="Choose hits that differ: the share of similarity in the choice, 1 for it alone.",
    ),
]
Pages = Annotated[
    int | None, typer.Option("--pages", min=1, rich_help_panel=HITS, help="Print so many pages.")
]
PageToken = Annotated[
    str,
    typer.Option(
        "--page",
        metavar="TOKEN",
        rich_help_panel=HITS,
        help="Begin at this page.",
        show_default=False,
    ),
]


def search(
    collection: CollectionName,
    expression: Expression,
    limit: Limit = 10,
    item: ThisItem = None,
    image: ThisImage = None,
    bind: Bind = None,
    where: Where = None,
    include_operands: IncludeOperands = False,
    mode: ModeChoice = "replace",
    rerank: Rerank = None,
    min_similarity: MinSimilarity = None,
    group_by: GroupByChoice = None,
    diversity: Diversity = None,
    pages: Pages = None,
    page: PageToken = "",
    pictures: Pictures = "auto",
    json: Json = False,
    sheet: Sheet = None,
    opened: Open = False,
    server: Server = DEFAULT_SERVER,
    timeout: Timeout = DEFAULT_TIMEOUT,
) -> None:
    """Search a collection by adding and subtracting."""
    drawn = sheet_wanted(sheet, opened)
    if drawn and (pages or 1) > 1:
        raise typer.BadParameter("a sheet shows one page", param_hint="--sheet")
    bound = bindings(bind or [])
    grouping = _grouping(group_by)
    paint = None if json else painter(pictures)
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
            this_image=image,
            images=bound,
            include_operands=include_operands,
            include_thumbnails=drawn or paint is not None,
            mode=mode,
            rerank=rerank,
            min_similarity=min_similarity,
            group_by=grouping,
            diversity=diversity,
        )
        shown = 0
        for number, result in enumerate(_answers(ask, page, pages or 1)):
            if json:
                print_json(search_json(result))
                continue
            if number == 0:
                print_understood(result, _remark(client, collection))
                told = "" if result.hits else _no_hits(client, collection, where)
                console().print(told, soft_wrap=True)
            if paint is not None:
                paint.paint(result.hits, shown + 1)
            print_hits(result, shown + 1, where)
            shown += len(result)
        if not json and (page or pages):
            print_next_page(result)
        if drawn:
            from tashihiki.cli.sheet import Part, hit_cards, operand_cards, write_sheet

            shown_as = bound if image is None else {"this image": image, **bound}
            cards = operand_cards(client, collection, result, shown_as)
            path = sheet or lasting_file()
            write_sheet(path, expression, cards, [Part("", hit_cards(result))])
            hand_over(path, opened=opened)


def _remark(client: Client, collection: str) -> str:
    try:
        space = SpaceState.of(client.get_collection(collection))
    except TashihikiError:
        # The answer is there; what is said beside it must not take it away.
        return ""
    if note := note_on_sum(space):
        typer.echo(note, err=True)
    return remark_on_answers(space)


def _no_hits(client: Client, collection: str, where: str | None) -> str:
    if where is None or list(islice(client.items(collection, where=where, page_size=1), 1)):
        return "no hits"
    return f"no hits: no item meets the filter{missing_metadata(client, collection, where)}"


def _answers(ask: Callable[..., SearchResult], token: str, count: int) -> Iterator[SearchResult]:
    for _ in range(count):
        result = ask(page_token=token)
        yield result
        token = result.next_page_token
        if not token:
            return


def _grouping(choice: str | None) -> GroupBy | None:
    if choice is None:
        return None
    facet, equals, limit = choice.rpartition("=")
    if not equals:
        return choice
    if not (facet and limit.isdecimal() and int(limit)):
        raise typer.BadParameter(f"{choice!r} is not FACET or FACET=N", param_hint="--group-by")
    return facet, int(limit)


def bindings(bind: list[str]) -> dict[str, Path]:
    """The files of `NAME=FILE`; BadParameter when one is not that or not there."""
    bound: dict[str, Path] = {}
    for binding in bind:
        name, equals, file = binding.partition("=")
        if not (name and equals and file):
            raise typer.BadParameter(f"{binding!r} is not NAME=FILE", param_hint="--bind")
        if not Path(file).is_file():
            raise typer.BadParameter(f"File {file!r} does not exist.", param_hint="--bind")
        bound[name] = Path(file)
    return bound
