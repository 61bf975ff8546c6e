"""Reads everything in a catalogue, so that its checksums are compared."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path

from tashihiki.errors import FailedPreconditionError
from tashihiki_server.catalogue.sqlite import SqliteCatalogue
from tashihiki_server.catalogue.unwritten import unwritten

_CHUNK = 500


def check_contents(
    path: Path,
    *,
    encoder: str,
    dimension: int,
    incomplete: bool = False,
    advanced: Callable[[float], None] = lambda share: None,
    pictureless: Callable[[str], None] | None = None,
) -> int:
    """Reads every row, vector and picture of a catalogue that nobody has open; writes nothing.

    Args:
        path: of the database, which must be there.
        encoder: fingerprint that every item must have an embedding of.
        dimension: of the embeddings.
        incomplete: whether items may lack one, which are then not read.
        advanced: told the share that is done; what it raises ends the reading.
        pictureless: told the id of each item whose picture alone is damaged, which then is no
            error.

    Returns:
        How many items there are that have one.

    Raises:
        FailedPreconditionError: CATALOGUE_DAMAGED or CATALOGUE_UNREADABLE.
    """
    with (
        unwritten(path) as place,
        closing(
            SqliteCatalogue(
                place,
                encoder=encoder,
                dimension=dimension,
                incomplete=incomplete,
                read_only=True,
            )
        ) as catalogue,
    ):
        total = len([item.id for item in catalogue.labels()])
        embeddings = catalogue.embeddings()
        done = 0
        while chunk := list(islice(embeddings, _CHUNK)):
            _read(catalogue, [item.id for item in chunk], pictureless)
            done += len(chunk)
            advanced(done / max(done, total))
        if done != total:
            raise FailedPreconditionError(
                f"{total:,} items have {done:,} embeddings of the encoder {encoder}",
                reason="CATALOGUE_DAMAGED",
                field="collection",
                remedy="Restore a snapshot or a backup.",
            )
        return total


def _read(
    catalogue: SqliteCatalogue, ids: Sequence[str], pictureless: Callable[[str], None] | None
) -> None:
    try:
        catalogue.items(ids, thumbnails=True)
    except FailedPreconditionError:
        if pictureless is None:
            raise
        # What is wrong with more than the pictures is raised by this.
        catalogue.items(ids)
        for identifier in ids:
            try:
                catalogue.items([identifier], thumbnails=True)
            except FailedPreconditionError:
                pictureless(identifier)
