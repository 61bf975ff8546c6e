"""`tashihiki index`: labelled photos into a collection."""

from __future__ import annotations

import os
from collections.abc import Iterator
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
    server: Annotated[
        str | None, typer.Option(help="Send the photos to this server instead.")
    ] = None,
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
        typer.Option(help="FACET:ALIAS=VALUE, a CSV file, or jaffe; repeatable."),
    ] = None,
) -> None:
    """Read labelled photos, embed them and write them to a collection.

    Works on the data folder itself, which no server may be using then, or with --server through
    a server that runs. Photos whose ids are there are replaced.
    """
    from tashihiki_server.dataset import parse_aliases, read_dataset

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
    if server is not None:
        indexed = _send(server, collection, encoder, dataset, aliases)
    else:
        indexed = _write(data, collection, encoder, dataset, aliases)
    _report(console, collection, indexed, dataset.skipped)


def _write(
    data: Path, name: str, encoder: Path | None, dataset: Dataset, aliases: Aliases
) -> Indexed:
    from tashihiki_server.library import SHIPPED_ENCODER, Library

    library = Library(data, encoder or SHIPPED_ENCODER)
    try:
        if name in {collection.settings.name for collection in library.collections()}:
            target = library.collection(name)
            _check_encoder(name, target.settings.encoder, encoder)
        else:
            target = library.create(name, aliases=aliases_of(aliases))
        return fill(target, dataset)
    finally:
        library.close()


def _send(
    server: str, name: str, encoder: Path | None, dataset: Dataset, aliases: Aliases
) -> Indexed:
    from tashihiki import Client, Item
    from tashihiki_server.cli.progress import counting
    from tashihiki_server.dataset import Skipped
    from tashihiki_server.encoder.manifest import read_manifest
    from tashihiki_server.indexing import Indexed

    fingerprint = read_manifest(encoder).fingerprint if encoder else ""
    paths = {photo.id: photo.path for photo in dataset.photos}
    with Client(server, timeout=120) as client:
        encoders = {found.name: found.encoder for found in client.list_collections()}
        if name in encoders:
            _check_encoder(name, encoders[name], encoder)
        else:
            client.create_collection(name, encoder=fingerprint, aliases=aliases.values)
        with counting(f"indexing {name}") as progress:

            def items() -> Iterator[Item]:
                for number, photo in enumerate(dataset.photos, 1):
                    yield Item(photo.id, photo.path, None, photo.attributes, photo.metadata)
                    progress(number, len(dataset.photos))

            result = client.upsert(name, items(), batch_size=64, on_error="collect")
    skipped = [Skipped(paths[fault.id], fault.error.message) for fault in result.errors]
    return Indexed(result.count, skipped)


def _check_encoder(name: str, fingerprint: str, encoder: Path | None) -> None:
    from tashihiki.errors import FailedPreconditionError
    from tashihiki_server.encoder.manifest import read_manifest

    if encoder is not None and read_manifest(encoder).fingerprint != fingerprint:
        raise FailedPreconditionError(
            f"the collection {name} was made with another encoder, {fingerprint}",
            reason="ENCODER_MISMATCH",
            field="encoder",
            remedy="Leave --encoder out, or index into a new collection.",
        )


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
