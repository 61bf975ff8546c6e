"""`tashihiki index`: labelled photos into a collection."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

if TYPE_CHECKING:
    from tashihiki_server.collection.collection import Collection
    from tashihiki_server.dataset import Aliases, Dataset, Skipped
    from tashihiki_server.indexing import Indexed
    from tashihiki_server.vocabulary import Alias

app = typer.Typer()
MAX_SHOWN = 20


@app.command()
def index(
    collection: Annotated[str, typer.Argument(help="Made if it is not there.")],
    source: Annotated[Path, typer.Argument(help="CSV, TSV or Parquet file, or folder of photos.")],
    data: Annotated[
        Path, typer.Option(help="Data folder of the server.", envvar="TASHIHIKI_DATA")
    ] = Path("data"),
    encoder: Annotated[
        Path | None, typer.Option(help="Encoder bundle for a new collection.")
    ] = None,
    facet: Annotated[
        list[str] | None, typer.Option(help="Column or pattern name that is a facet; repeatable.")
    ] = None,
    path_column: Annotated[str | None, typer.Option(help="Column with the photo's path.")] = None,
    id_column: Annotated[str | None, typer.Option(help="Column with the id; else path.")] = None,
    images: Annotated[
        Path | None, typer.Option(help="Folder that paths start from; else the table's.")
    ] = None,
    pattern: Annotated[
        str | None, typer.Option(help="File names, as {person}.{expression:2}{shot}.{rest}.tiff")
    ] = None,
    alias: Annotated[
        list[str] | None,
        typer.Option(help="FACET:ALIAS=VALUE, a CSV or TOML file, or jaffe; repeatable."),
    ] = None,
) -> None:
    """Read labelled photos, embed them and write them to a collection.

    Works on the data folder itself, so the server must not be running on it; clients add items
    to a running server with `Client.upsert`. Photos whose ids are there are replaced.
    """
    from tashihiki_server.dataset import parse_aliases, read_dataset
    from tashihiki_server.library import SHIPPED_ENCODER, Library

    aliases = parse_aliases(alias or [])
    dataset = read_dataset(
        source,
        pattern=pattern,
        facets=facet or None,
        path_column=path_column,
        id_column=id_column,
        image_root=images,
        aliases=aliases,
    )
    console = Console(stderr=True)
    console.print(f"{len(dataset.photos)} photos, facets: {', '.join(dataset.facets)}")
    library = Library(data, encoder or SHIPPED_ENCODER)
    try:
        names = {c.settings.name for c in library.collections()}
        if collection in names:
            target = library.collection(collection)
        else:
            target = library.create(collection, aliases=aliases_of(aliases))
        indexed = fill(target, dataset)
    finally:
        library.close()
    _report(console, collection, indexed, dataset.skipped)


def aliases_of(aliases: Aliases) -> tuple[Alias, ...]:
    """Aliases of labels, as a collection keeps them for queries."""
    from tashihiki_server.vocabulary import Alias

    return tuple(
        Alias(facet, name, value)
        for facet, table in aliases.values.items()
        for name, value in table.items()
    )


def fill(collection: Collection, dataset: Dataset) -> Indexed:
    """Indexes a dataset with a progress bar."""
    from tashihiki_server.cli.progress import counting
    from tashihiki_server.encoder.embedder import Embedder
    from tashihiki_server.images import ImageLimits
    from tashihiki_server.indexing import index_photos

    threads = len(os.sched_getaffinity(0))
    embedder = Embedder(ImageLimits(), 1)
    total, done = len(dataset.photos), 0
    with counting(f"indexing {collection.settings.name}") as progress:

        def advanced(count: int) -> None:
            nonlocal done
            done += count
            progress(done, total)

        indexed = index_photos(
            dataset.photos, collection, embedder, threads=threads, advanced=advanced
        )
    embedder.close()
    return indexed


def _report(console: Console, name: str, indexed: Indexed, unlisted: list[Skipped]) -> None:
    console.print(f"{indexed.written} photos written to {name}.")
    skipped = [*unlisted, *indexed.skipped]
    if skipped:
        console.print(f"{len(skipped)} left out:")
    for entry in skipped[:MAX_SHOWN]:
        console.print(f"  {entry.path}: {entry.why}", markup=False, soft_wrap=True)
    if len(skipped) > MAX_SHOWN:
        console.print(f"  and {len(skipped) - MAX_SHOWN} more")


command = typer.main.get_command(app)
