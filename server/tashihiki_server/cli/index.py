"""`tashihiki index`: labelled photos into a collection."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console

from tashihiki.cli.failure import FAILED
from tashihiki.cli.fitted_space import (
    SpaceState,
    enough_labels,
    fitting_text,
    space_text,
    wait_until_fitted,
)
from tashihiki.cli.options import checked_address
from tashihiki.cli.output import printable
from tashihiki_server.cli.rare_values import rare_values

if TYPE_CHECKING:
    from tashihiki import Client
    from tashihiki.catalog import SpaceKind
    from tashihiki_server.collection.collection import Collection
    from tashihiki_server.dataset import Aliases, Dataset, Photo, Skipped
    from tashihiki_server.indexing import Indexed
    from tashihiki_server.vocabulary import Alias, Vocabulary

app = typer.Typer(add_completion=False)
# Panels of the help.
WHERE = "Where to"
TABLE = "Photos and labels"
NEW = "A collection that is made"
MAX_SHOWN = 20
_NOT_AGAIN = ("collection", "source", "space", "wait")
CALLS = 2


@dataclass
class _Tally:
    """How far an indexing has come.

    Attributes:
        total: photos.
        fitter: who goes on with the space when nobody waits for it.
        written: of the photos.
        is_fitting: whether only the space is waited for.
    """

    total: int
    fitter: str
    written: int = 0
    is_fitting: bool = False

    def count(self, indexed: Indexed) -> None:
        self.written = indexed.written


@app.command(
    epilog="tashihiki index clothes photos/labels.csv --server localhost:50051\n\n"
    'tashihiki index faces photos --pattern "{person}.{expression:2}{shot}.{rest}.tiff"'
    " --alias jaffe"
)
def index(
    context: typer.Context,
    collection: Annotated[str, typer.Argument(help="Made if it is not there.")],
    source: Annotated[Path, typer.Argument(help="CSV, TSV or Parquet file, or folder of photos.")],
    data: Annotated[
        Path,
        typer.Option(
            rich_help_panel=WHERE, help="Data folder of the server.", envvar="TASHIHIKI_DATA"
        ),
    ] = Path("data"),
    server: Annotated[
        str | None,
        typer.Option(
            rich_help_panel=WHERE,
            callback=checked_address,
            help="Send the photos to this server instead.",
        ),
    ] = None,
    wait: Annotated[
        bool,
        typer.Option(
            "--wait/--no-wait",
            rich_help_panel=WHERE,
            help="With --server, wait until the space is fitted, ten minutes at most.",
        ),
    ] = True,
    encoder: Annotated[
        Path | None, typer.Option(rich_help_panel=NEW, help="Encoder bundle for a new collection.")
    ] = None,
    space: Annotated[
        Literal["auto", "sum", "factored"] | None,
        typer.Option(rich_help_panel=NEW, help="Space of a new collection; auto if left out."),
    ] = None,
    facet: Annotated[
        list[str] | None,
        typer.Option(
            rich_help_panel=TABLE, help="Column or pattern name that is a facet; repeatable."
        ),
    ] = None,
    path_column: Annotated[
        str | None, typer.Option(rich_help_panel=TABLE, help="Column with the photo's path.")
    ] = None,
    id_column: Annotated[
        str | None, typer.Option(rich_help_panel=TABLE, help="Column with the id; else path.")
    ] = None,
    image_root: Annotated[
        Path | None,
        typer.Option(rich_help_panel=TABLE, help="Folder that paths start from; else the table's."),
    ] = None,
    pattern: Annotated[
        str | None,
        typer.Option(
            rich_help_panel=TABLE, help="File names, as {person}.{expression:2}{shot}.{rest}.tiff"
        ),
    ] = None,
    alias: Annotated[
        list[str] | None,
        typer.Option(
            rich_help_panel=TABLE, help="FACET:ALIAS=VALUE, a CSV file, or jaffe; repeatable."
        ),
    ] = None,
) -> None:
    """Read labelled photos, embed them and write them to a collection.

    Works on the data folder itself, which no server may be using then, or with --server through
    a server that runs. Photos whose ids are there are replaced, but for those that have not
    changed: an import that was cut short goes on where it stopped. Ends when the space is fitted to
    them, so that the first answers are the lasting ones. The exit status is 1 if no photo could be
    written.
    """
    from tashihiki_server.dataset import parse_aliases, read_dataset

    aliases = parse_aliases(alias or [])
    dataset = read_dataset(
        source,
        pattern=pattern,
        facets=facet or None,
        path_column=path_column,
        id_column=id_column,
        image_root=image_root,
        aliases=aliases,
    )
    console = _console()
    _announce(console, dataset)
    tally = _Tally(len(dataset.photos), "the next server" if server is None else "the server")

    def all_written(indexed: Indexed) -> None:
        # Before the space is waited for, which may end early.
        tally.is_fitting = True
        _report(console, collection, indexed, dataset.skipped)
        _report_facets(console, dataset)

    with _interruptible(tally, console):
        if server is not None:
            with _connected(server) as client:
                _make(client, collection, encoder, space, aliases)
                indexed = _upsert(client, collection, dataset.photos, tally)
                all_written(indexed)
                fitted = wait_until_fitted(client, collection, console, wait=wait)
                counts = {
                    one.facet: {value.value: value.member_count for value in one.values}
                    for one in client.attributes(collection)
                }
        else:
            with _opened(data, collection, encoder, space, aliases) as target:
                indexed = fill(target, dataset, tally.count, all_written)
                counts = _counts_of(target.vocabulary)
                fitted = _space_of(target, counts)
    for line in rare_values(counts):
        console.print(printable(line))
    if server is None and fitted.pending:
        # Nothing runs any more: what was waited for has failed.
        console.print("The space could not be fitted; a server that opens the folder tries again.")
    elif text := space_text(fitted, _anew(context, collection)):
        console.print(printable(text))
    if not indexed.written:
        raise typer.Exit(FAILED)


def _console() -> Console:
    return Console(stderr=True, soft_wrap=True, markup=False, emoji=False, highlight=False)


def _announce(console: Console, dataset: Dataset) -> None:
    photos = _photos(len(dataset.photos))
    facets = f", facets: {', '.join(dataset.facets)}" if dataset.facets else ""
    console.print(printable(f"{photos}{facets}"))
    for warning in dataset.warnings:
        console.print(f"warning: {printable(warning)}")
    if not dataset.facets:
        console.print("warning: no column repeats, so there are no facets; name them with --facet")


@contextmanager
def _interruptible(tally: _Tally, console: Console) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        then = (
            f"{tally.fitter} goes on fitting" if tally.is_fitting else "run the same command again"
        )
        console.print(f"interrupted: {tally.written} of {_photos(tally.total)} written; {then}")
        raise


def _photos(count: int) -> str:
    return "1 photo" if count == 1 else f"{count} photos"


def _anew(context: typer.Context, name: str) -> str:
    """The command again, for a collection that one facet is enough for."""
    words = ["tashihiki", "index", f"{name}-factored", str(context.params["source"])]
    for option in context.command.params:
        given = context.get_parameter_source(option.name or "")
        if option.name in _NOT_AGAIN or given is None or given.name != "COMMANDLINE":
            continue
        value = context.params[option.name or ""]
        for one in value if isinstance(value, list | tuple) else [value]:
            words += [max(option.opts, key=len), str(one)]
    return shlex.join([*words, "--space", "factored"])


@contextmanager
def _opened(
    data: Path, name: str, encoder: Path | None, space: SpaceKind | None, aliases: Aliases
) -> Iterator[Collection]:
    """The collection in the data folder, made if it is not there."""
    from tashihiki.errors import FailedPreconditionError
    from tashihiki_server.library import SHIPPED_ENCODER, Library

    try:
        library = Library(data, encoder or SHIPPED_ENCODER, go_on=False)
    except FailedPreconditionError as error:
        address = os.environ.get("TASHIHIKI_SERVER")
        if error.reason == "DATA_FOLDER_IN_USE" and address:
            # Other commands take it from there, so nobody thinks of naming it.
            error.remedy = (
                f"Add --server {shlex.quote(address)}, the server of TASHIHIKI_SERVER, to send it"
                " the photos, or choose another folder with --data."
            )
        raise
    try:
        if name in library:
            target = library.collection(name)
            _check_encoder(name, target.settings.encoder, encoder)
            _check_space(name, target.settings.space, space)
        else:
            target = library.create(name, space=space or "auto", aliases=aliases_of(aliases))
        yield target
    finally:
        library.close()


def _counts_of(vocabulary: Vocabulary) -> dict[str, dict[str, int]]:
    return {
        vocabulary.facet_name(facet): {
            vocabulary.value_name(key): vocabulary.count(key) for key in vocabulary.keys(facet)
        }
        for facet in sorted(vocabulary.facets())
    }


def _space_of(collection: Collection, counts: Mapping[str, Mapping[str, int]]) -> SpaceState:
    fit = collection.diagnostics
    asked = collection.settings.space
    return SpaceState(
        asked,
        collection.state.space.kind,
        collection.space_pending,
        0 if fit is None else fit.items,
        enough_labels(asked, [list(values.values()) for values in counts.values()]),
    )


def _connected(server: str) -> Client:
    from tashihiki import Client

    return Client(server, timeout=120)


def _make(
    client: Client, name: str, encoder: Path | None, space: SpaceKind | None, aliases: Aliases
) -> None:
    """Makes the collection on the server, or checks the one that is there."""
    from tashihiki_server.encoder.manifest import read_manifest

    fingerprint = read_manifest(encoder).fingerprint if encoder else ""
    collections = {found.name: found for found in client.list_collections()}
    if name in collections:
        _check_encoder(name, collections[name].encoder, encoder)
        _check_space(name, collections[name].space.kind, space)
    else:
        client.create_collection(
            name, encoder=fingerprint, space=space or "auto", aliases=aliases.values
        )


def _upsert(client: Client, name: str, photos: Sequence[Photo], tally: _Tally) -> Indexed:
    from tashihiki import Item, UpsertResult
    from tashihiki_server.cli.progress import counting
    from tashihiki_server.dataset import Skipped
    from tashihiki_server.indexing import BATCH, Indexed, ahead, batched, workers

    def send(batch: list[Photo]) -> tuple[list[Photo], UpsertResult]:
        items = [Item(p.id, p.path, None, p.attributes, p.metadata) for p in batch]
        return batch, client.upsert(name, items, batch_size=BATCH, on_error="collect")

    indexed = Indexed()
    # The server encodes one call while the next is read and sent and the last is written.
    with counting(f"indexing {name}") as progress, workers(CALLS) as pool:
        for batch, result in ahead(pool, send, batched(photos, BATCH), CALLS):
            paths = {photo.id: photo.path for photo in batch}
            faults = result.errors
            indexed.skipped += [Skipped(paths[fault.id], fault.error.message) for fault in faults]
            indexed.written += result.count
            indexed.unchanged += result.unchanged_count
            tally.count(indexed)
            progress(indexed.written + len(indexed.skipped), len(photos))
    return indexed


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


def _check_space(name: str, made_with: str, space: SpaceKind | None) -> None:
    from tashihiki.errors import FailedPreconditionError

    if space is not None and space != made_with:
        raise FailedPreconditionError(
            f"the collection {name} was made with the space {made_with}",
            reason="SPACE_MISMATCH",
            field="space",
            remedy=(
                "Leave --space out, index into a new collection, or delete this one first: "
                f"`tashihiki delete {shlex.quote(name)}`, which a server does."
            ),
        )


def aliases_of(aliases: Aliases) -> tuple[Alias, ...]:
    """Aliases of labels, as a collection keeps them for queries."""
    from tashihiki_server.vocabulary import Alias

    return tuple(
        Alias(facet, name, value)
        for facet, table in aliases.values.items()
        for name, value in table.items()
    )


def fill(
    collection: Collection,
    dataset: Dataset,
    advanced: Callable[[Indexed], None] = lambda indexed: None,
    all_written: Callable[[Indexed], None] = lambda indexed: None,
) -> Indexed:
    """Indexes a dataset with a progress bar, until space and index are of all of it.

    Args:
        collection: that takes it.
        dataset: the photos.
        advanced: told after each batch what has come of it all so far.
        all_written: told what came of it before the space is waited for.
    """
    from tashihiki_server.cli.progress import counting
    from tashihiki_server.encoder.embedder import Embedder
    from tashihiki_server.images import ImageLimits
    from tashihiki_server.indexing import index_photos

    threads = len(os.sched_getaffinity(0))
    embedder = Embedder(ImageLimits(), 1)
    total = len(dataset.photos)
    with counting(f"indexing {collection.settings.name}") as progress:

        def batch_done(indexed: Indexed) -> None:
            progress(indexed.written + len(indexed.skipped), total)
            advanced(indexed)

        indexed = index_photos(
            dataset.photos, collection, embedder, threads=threads, advanced=batch_done
        )
    embedder.close()
    all_written(indexed)
    if collection.space_pending:
        _console().print(fitting_text(len(collection)))
    collection.settle()
    return indexed


def _report(console: Console, name: str, indexed: Indexed, unlisted: list[Skipped]) -> None:
    unchanged = f", {indexed.unchanged} of them there already" if indexed.unchanged else ""
    console.print(f"{_photos(indexed.written)} written to {name}{unchanged}.")
    skipped = [*unlisted, *indexed.skipped]
    if skipped:
        console.print(f"{len(skipped)} left out:")
    for entry in skipped[:MAX_SHOWN]:
        console.print(f"  {printable(f'{entry.path}: {entry.why}')}")
    if len(skipped) > MAX_SHOWN:
        console.print(f"  and {len(skipped) - MAX_SHOWN} more")


def _report_facets(console: Console, dataset: Dataset) -> None:
    if dataset.facets_found and dataset.facets:
        console.print(
            f"Facets are the columns whose values repeat: {printable(', '.join(dataset.facets))}. "
            "--facet, once for each, chooses others."
        )


command = typer.main.get_command(app)
