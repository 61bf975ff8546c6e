"""`tashihiki serve`: answer over gRPC."""

from __future__ import annotations

import asyncio
import logging
import shlex
import shutil
import sys
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from tashihiki import attribute

if TYPE_CHECKING:
    from tashihiki_server.library import Library
    from tashihiki_server.service.server import ServerConfig
    from tashihiki_server.vocabulary import Vocabulary
    from tashihiki_server.web.page import GalleryPage

app = typer.Typer(add_completion=False)
# Panels of the help.
LISTENING = "Addresses"
LIMITS = "Limits"
# Searches of the demo: collection, expression, values that it names, options.
_DEMO = (
    ("items", "mug + red", ("mug", "red"), ""),
    ("faces", "person KR + HAPPY", ("KR", "HAPPY"), " --sheet out.png"),
    (
        "items",
        "this item − background + red",
        ("mug", "blue", "wood", "red"),
        " --item mug_blue_wood_1.jpg",
    ),
)
# Where a server that listens everywhere finds itself.
_OWN_HOSTS = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}


@app.command(
    epilog="tashihiki serve --demo\n\n"
    "tashihiki serve --data /srv/tashihiki --address 10.0.0.5:50051 --gallery off"
)
def serve(
    data: Annotated[
        Path, typer.Option(help="Folder that holds everything.", envvar="TASHIHIKI_DATA")
    ] = Path("data"),
    address: Annotated[
        str,
        typer.Option(rich_help_panel=LISTENING, help="Host and port.", envvar="TASHIHIKI_ADDRESS"),
    ] = "127.0.0.1:50051",
    encoder: Annotated[
        list[Path] | None,
        typer.Option(
            help="Encoder bundle that `tashihiki train` wrote. The first one is used by"
            " collections that name none; without any, the shipped one is."
        ),
    ] = None,
    demo: Annotated[
        bool, typer.Option("--demo", help="Draw the demo and make its collections first.")
    ] = False,
    gallery: Annotated[
        str,
        typer.Option(
            rich_help_panel=LISTENING,
            help="Host and port of the gallery page, or `off`.",
            envvar="TASHIHIKI_GALLERY",
        ),
    ] = "127.0.0.1:8080",
    grace: Annotated[
        float, typer.Option(rich_help_panel=LIMITS, help="Seconds for calls under way at the end.")
    ] = 10.0,
    max_wait: Annotated[
        float,
        typer.Option(
            min=0.0,
            rich_help_panel=LIMITS,
            help="Seconds that a call may have to wait for a thread, as estimated, before it"
            " is refused.",
        ),
    ] = 0.5,
    max_image_bytes: Annotated[
        int, typer.Option(min=1, rich_help_panel=LIMITS, help="Of a picture.")
    ] = 20 * 2**20,
    max_image_pixels: Annotated[
        int, typer.Option(min=1, rich_help_panel=LIMITS, help="Width times height.")
    ] = 50_000_000,
    log_level: Annotated[str, typer.Option(help="debug, info, warning or error.")] = "info",
) -> None:
    """Serve the collections of a data folder until SIGTERM or Ctrl-C."""
    from tashihiki_server.service.listening import check_free

    # Before what takes long: the other imports, the collections, the demo.
    check_free(address)
    from tashihiki_server.encoder.tuning import open_tuned
    from tashihiki_server.images import ImageLimits
    from tashihiki_server.library import SHIPPED_ENCODER, Library
    from tashihiki_server.service.server import ServerConfig
    from tashihiki_server.web.page import open_page

    if log_level.upper() not in ("DEBUG", "INFO", "WARNING", "ERROR"):
        raise typer.BadParameter("use debug, info, warning or error", param_hint="--log-level")
    logging.basicConfig(
        level=log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    bundles = encoder or [SHIPPED_ENCODER]
    library = Library(data, bundles[0], further=bundles[1:], open_bundle=open_tuned)
    try:
        if not library.collections():
            library.encoder()  # Now, so that the first collection need not wait for it.
        if demo:
            _make_demo(library, data / "demo")
        config = ServerConfig(
            address=address,
            grace=grace,
            limits=ImageLimits(max_image_bytes, max_image_pixels),
            max_wait=max_wait,
        )
        page = open_page(gallery, config.limits)
        lost = _lost_of_demo(library, data / "demo") if demo else []
        asyncio.run(_serve(library, config, page, lost))
    finally:
        library.close()


async def _serve(
    library: Library, config: ServerConfig, page: GalleryPage | None, lost: Sequence[str]
) -> None:
    from tashihiki_server.service.server import serve as run

    def ready(port: int) -> None:
        _announce(library, config.address, port, page, lost)
        if page is not None:
            host = config.address.rpartition(":")[0]
            page.start(f"{_OWN_HOSTS.get(host, host)}:{port}")

    try:
        await run(library, config, ready=ready)
    finally:
        if page is not None:
            await page.close()


def _make_demo(library: Library, folder: Path) -> None:
    from tashihiki_server.cli.progress import counting
    from tashihiki_server.demo.gallery import draw_demo

    ready = folder / "ready"
    if ready.exists():
        return
    with counting("drawing the demo") as progress:
        draw_demo(folder, progress=progress)
    for name in ("faces", "items"):
        if name not in library.faults():
            _fill_demo(library, name, folder / name / "labels.csv")
    # Last, so that a start that was cut short is made good by the next.
    ready.touch()


def _fill_demo(library: Library, name: str, labels: Path) -> None:
    from tashihiki_server.cli.index import aliases_of, fill
    from tashihiki_server.dataset import parse_aliases, read_dataset

    aliases = aliases_of(parse_aliases(["jaffe"])) if name == "faces" else ()
    there = name in library
    target = library.collection(name) if there else library.create(name, aliases=aliases)
    fill(target, read_dataset(labels))


def _lost_of_demo(library: Library, folder: Path) -> list[str]:
    """Commands that make the demo's collections again which somebody deleted."""
    there = {*(one.settings.name for one in library.collections()), *library.faults()}
    options = {"faces": " --alias jaffe", "items": ""}
    return [
        f"index {name} {folder / name / 'labels.csv'}{option}"
        for name, option in options.items()
        if name not in there
    ]


def _announce(
    library: Library, address: str, port: int, page: GalleryPage | None, lost: Sequence[str]
) -> None:
    host = address.rpartition(":")[0] or address
    console = Console(highlight=False, soft_wrap=True, markup=False)
    console.print(f"\nTashihiki serves on {host}:{port}")
    if page is not None:
        console.print(f"Gallery: {page.url}")
    sizes = [f"{c.settings.name} ({len(c)} items)" for c in library.collections()]
    console.print(f"Collections: {', '.join(sizes) or 'none yet; see `tashihiki index --help`'}")
    for name, fault in library.faults().items():
        console.print(f"Cannot be used: {name}: {fault}")
    for line in lost:
        console.print(f"Of the demo it lacks one: tashihiki {line} --server {host}:{port}")
    where = "" if port == 50051 else f" --server {host}:{port}"
    tries = _suggestions(library)
    if tries:
        console.print("Try, from another shell:")
        _print_activation(console)
    for line in tries:
        console.print(f"  tashihiki {line}{where}")


def _print_activation(console: Console) -> None:
    command = Path(sys.argv[0]).absolute()
    activate = command.parent / "activate"
    if shutil.which(command.name) != str(command) and activate.exists():
        console.print(f"  source {activate}")


def _suggestions(library: Library) -> list[str]:
    """Commands to type: of the newest collection of one's own first, then of the demo."""
    collections = sorted(library.collections(), key=lambda one: -one.settings.create_time)
    known = {one.settings.name: one.vocabulary for one in collections}
    demo = {
        f'search {name} "{expression}"{options}': name
        for name, expression, values, options in _DEMO
        if name in known and all(map(known[name].occurrences, values))
    }
    own = [_search_of(name, known[name]) for name in known if name not in demo.values()]
    return [
        *list(filter(None, own))[:1],
        *demo,
        *(f"attributes {name}" for name in list(known)[:1]),
    ]


def _search_of(name: str, vocabulary: Vocabulary) -> str:
    """A search for the commonest value of a facet; "" where there is no choice of values."""
    facets = [keys for facet in vocabulary.facets() if len(keys := vocabulary.keys(facet)) > 1]
    if not facets:
        return ""
    key = max(chain.from_iterable(facets), key=vocabulary.count)
    expression = repr(attribute(vocabulary.facet_name(key.facet), vocabulary.value_name(key)))
    return f"search {name} {shlex.quote(expression)}"


command = typer.main.get_command(app)
