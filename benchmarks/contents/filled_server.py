"""The real server with generated items, settled before anything is measured."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.contents.bundle import write_bundle
from benchmarks.contents.generated_items import Items, Kind
from server_process import ServerProcess, running
from tashihiki.v1 import catalog_pb2
from tashihiki_server.space.base import Vectors

COLLECTION = "items"
SPACES = {
    "sum": catalog_pb2.SPACE_KIND_SUM,
    "factored": catalog_pb2.SPACE_KIND_FACTORED,
}
# A space, an index or prototypes that are due begin within this time.
_CALM_SECONDS = 2.0


@dataclass(frozen=True)
class Filling:
    """What a data folder holds.

    Attributes:
        count: of the items.
        kind: of the items.
        space: `sum` or `factored`.
        photos: checksum of those that the items show, 0 for none.
    """

    count: int
    kind: Kind
    space: str
    photos: int = 0


@dataclass(frozen=True)
class Place:
    """Where the data and the encoder of a filled server are."""

    data: Path
    bundle: Path


@contextmanager
def filled(
    filling: Filling,
    *,
    folder: str | None = None,
    bundle: Path | None = None,
    photos: Vectors | None = None,
) -> Iterator[Place]:
    """A folder with settled items; no server runs on it.

    Args:
        filling: the items.
        folder: that is kept, and used again where it holds just these; a temporary one if None.
        bundle: of the encoder; one that is made for the dimension if None.
        photos: see `Items`.
    """
    with tempfile.TemporaryDirectory() as temporary:
        where = Path(folder or temporary)
        place = Place(where / "data", bundle or where / "bundle")
        note, content = where / "filling.json", json.dumps(asdict(filling))
        if not note.exists():
            where.mkdir(parents=True, exist_ok=True)
            begun = where / "filling.begun"
            if begun.exists():
                # A run that was ended before it had settled.
                shutil.rmtree(place.data, ignore_errors=True)
                shutil.rmtree(where / "bundle", ignore_errors=True)
            begun.touch()
            if bundle is None:
                write_bundle(place.bundle, filling.kind.dimension)
            with running(place.data, place.bundle) as server:
                fill(server, filling, photos)
                settled(server)
            note.write_text(content, encoding="utf-8")
        elif note.read_text(encoding="utf-8") != content:
            raise SystemExit(f"{where} holds other items: {note.read_text(encoding='utf-8')}")
        yield place


def fill(server: ServerProcess, filling: Filling, photos: Vectors | None = None) -> None:
    """Makes the collection and writes the items."""
    collection = catalog_pb2.Collection(
        name=COLLECTION, space=catalog_pb2.Space(kind=SPACES[filling.space])
    )
    server.catalog.CreateCollection(catalog_pb2.CreateCollectionRequest(collection=collection))
    for messages in Items(filling.kind, 1, photos).messages(filling.count):
        server.catalog.UpsertItems(
            catalog_pb2.UpsertItemsRequest(collection=COLLECTION, items=messages)
        )


def settled(server: ServerProcess) -> float:
    """When nothing was pending any more: neither a space, an index nor prototypes."""
    calm = 0.0
    while not calm or time.perf_counter() - calm < _CALM_SECONDS:
        request = catalog_pb2.GetCollectionRequest(name=COLLECTION)
        found = server.catalog.GetCollection(request).collection
        busy = found.space_pending or found.index.pending or found.stale_prototype_count
        calm = 0.0 if busy else calm or time.perf_counter()
        time.sleep(0.1)
    return calm
