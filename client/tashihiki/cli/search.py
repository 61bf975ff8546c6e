"""`tashihiki search`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
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
from tashihiki.cli.search_report import print_more, print_next_page, print_report, search_json
from tashihiki.client import Client
from tashihiki.query import GroupBy, Mode
from tashihiki.results import SearchResult

Expression = Annotated[
    str, typer.Argument(help="What to add and subtract, for example `person KR + HAPPY`.")
]
Limit = Annotated[
    int, typer.Option("--limit", min=1, max=1000, help="Hits wanted, or hits on a page.")
]
ThisItem = Annotated[
    str | None, typer.Option("--item", metavar="ID", help="The item that `this item` stands for.")
]
ThisImage = Annotated[
    Path | None,
    typer.Option(
        "--image",
        metavar="FILE",
        exists=True,
        dir_okay=False,
        help="The picture that `this image` stands for.",
    ),
]
Bind = Annotated[
    list[str] | None,
    typer.Option("--bind", metavar="NAME=FILE", help="A picture that `image(NAME)` stands for."),
]
IncludeOperands = Annotated[
    bool, typer.Option("--include-operands", help="Let items of the query be hits too.")
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
    typer.Option("--min-similarity", min=-1.0, max=1.0, help="Only hits at least as similar."),
]
GroupByChoice = Annotated[
    str | None,
    typer.Option(
        "--group-by", metavar="FACET[=N]", help="At most N hits of each value; 1 if left out."
    ),
]
Diversity = Annotated[
    float | None,
    typer.Option(
        "--diversity",
        min=0.0,
        max=1.0,
        help="Choose hits that differ: the share of similarity in the choice, 1 for it alone.",
    ),
]
Pages = Annotated[int | None, typer.Option("--pages", min=1, help="Print so many pages.")]
PageToken = Annotated[
    str, typer.Option("--page", metavar="TOKEN", help="Begin at this page.", show_default=False)
]
Sheet = Annotated[
    Path | None,
    typer.Option("--sheet", metavar="FILE", help="Draw query and hits into this PNG file."),
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
    json: Json = False,
    sheet: Sheet = None,
    server: Server = DEFAULT_SERVER,
    timeout: Timeout = DEFAULT_TIMEOUT,
) -> None:
    """Search a collection by adding and subtracting."""
    refuse_option(expression)
    _check_sheet(sheet)
    if sheet is not None and (pages or 1) > 1:
        raise typer.BadParameter("a sheet shows one page", param_hint="--sheet")
    bound = bindings(bind or [])
    grouping = _grouping(group_by)
    with reporting(expression, where), Client(server, timeout=timeout) as client:
        if sheet is not None:
            _require_pillow()
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
            include_thumbnails=sheet is not None,
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
            elif number:
                print_more(result, first_rank=shown + 1)
            else:
                print_report(result)
            shown += len(result)
        if not json and (page or pages):
            print_next_page(result)
        if sheet is not None:
            from tashihiki.cli.sheet import operand_cards, write_sheet

            pictures = bound if image is None else {"this image": image, **bound}
            cards = operand_cards(client, collection, result, pictures)
            write_sheet(sheet, expression, cards, result)


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


def refuse_option(expression: str) -> None:
    """Raises BadParameter for an unknown option that was taken for an expression."""
    # Unknown options are let through, for expressions such as `-red + blue`.
    if expression.startswith("--"):
        raise typer.BadParameter(f"No such option: {expression}")


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


def _check_sheet(sheet: Path | None) -> None:
    if sheet is not None and sheet.suffix.lower() != ".png":
        raise typer.BadParameter("name a file that ends in .png", param_hint="--sheet")
    if sheet is not None and not sheet.absolute().parent.is_dir():
        raise typer.BadParameter(f"there is no folder {sheet.parent}", param_hint="--sheet")


def _require_pillow() -> None:
    try:
        import PIL  # noqa: F401
    except ImportError:
        typer.echo("error: --sheet needs Pillow: pip install 'tashihiki[sheet]'", err=True)
        raise typer.Exit(1) from None
