"""Image queries beside what one must cost at least: decoding, one encoder pass, one look-up."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.contents.filled_server import COLLECTION, Filling, filled
from benchmarks.contents.generated_items import Kind
from benchmarks.contents.inside import look_inside
from benchmarks.floors.bare_ngt import BareNgt
from benchmarks.floors.built_index import best
from benchmarks.loads.alone import block_medians
from benchmarks.loads.closed_loop import Rate, closed_loop
from benchmarks.loads.targets import GrpcTarget
from benchmarks.results import Table
from benchmarks.tables.encoder import SIZE, write_photos
from server_process import ServerProcess, running
from tashihiki.v1 import composition_pb2, search_pb2
from tashihiki_server.encoder.base import Encoder
from tashihiki_server.encoder.openvino import OpenVinoEncoder
from tashihiki_server.encoder.streams import cores
from tashihiki_server.encoder.tuning import open_tuned
from tashihiki_server.images import ImageLimits, decode, fit
from tashihiki_server.library import SHIPPED_ENCODER
from tashihiki_server.space.base import Vectors

PHOTOS = 48
LIMIT = 10
CALLERS = 16
_LIMITS = ImageLimits()
_GRAPH, _EXACT = "look-up by NGT", "look-up by comparing all"


@dataclass(frozen=True)
class ImagePlan:
    """How much is measured; see `TextPlan`."""

    items: int
    calls: int
    seconds: float
    rounds: int
    folder: str | None


@dataclass(frozen=True)
class Photos:
    """Photos and their embeddings.

    Attributes:
        files: JPEGs.
        embeddings: (n, d), by the shipped encoder.
    """

    files: Sequence[bytes]
    embeddings: Vectors

    def filling(self, items: int) -> Filling:
        """Items near these photos, in the space that searches embeddings as they are."""
        return Filling(items, Kind(self.embeddings.shape[1]), "sum")


def photos() -> Photos:
    """The same on every call."""
    encoder = OpenVinoEncoder(SHIPPED_ENCODER)
    with tempfile.TemporaryDirectory() as folder:
        files = [path.read_bytes() for path in write_photos(Path(folder), PHOTOS)]
    return Photos(files, np.stack([_embedded(encoder, file) for file in files]))


def image_requests(files: Sequence[bytes]) -> list[search_pb2.SearchRequest]:
    """A search for each photo."""
    return [
        search_pb2.SearchRequest(
            collection=COLLECTION,
            query=composition_pb2.Query(
                composition=composition_pb2.Composition(terms=[composition_pb2.Term(image=file)])
            ),
            limit=LIMIT,
        )
        for file in files
    ]


def image_tables(plan: ImagePlan) -> list[Table]:
    """One caller and many."""
    pictures = photos()
    requests = image_requests(pictures.files)
    filling = pictures.filling(plan.items)
    with filled(
        filling, folder=plan.folder, bundle=SHIPPED_ENCODER, photos=pictures.embeddings
    ) as place:
        inside = look_inside(place, requests)
        with (
            tempfile.TemporaryDirectory() as folder,
            running(place.data, place.bundle) as server,
        ):
            graph = BareNgt(inside.vectors, Path(folder) / "ngt", inside.composed, LIMIT)
            (bundle,) = (place.data / "encoders").glob("[!.]*")
            encoder = open_tuned(bundle)
            parts: dict[str, Callable[[int], object]] = {
                "decode and resize": lambda n: _decoded(encoder, pictures.files[n % PHOTOS]),
                "encoder pass": _pass(encoder, pictures.files),
                _GRAPH: lambda n: graph.search(inside.composed[n % PHOTOS]),
                _EXACT: lambda n: best(inside.vectors @ inside.composed[n % PHOTOS], LIMIT),
                "round trip": lambda n: server.search.Search(requests[n % PHOTOS]),
            }
            found = block_medians(parts, plan.calls)
            bare, served = _many(plan, server, requests, encoder, pictures.files)
            graph.close()
    trip = found.pop("round trip")
    # Few items, or queries unlike them, are looked up faster without a graph.
    del found[max((_GRAPH, _EXACT), key=found.__getitem__)]
    floor = sum(found.values())
    rows = [[f"bare {name}", _ms(seconds), ""] for name, seconds in found.items()]
    rows += [
        ["sum of these", _ms(floor), ""],
        ["image query, round trip", _ms(trip), f"{trip / floor:.2f} × the sum"],
    ]
    size = sum(map(len, pictures.files)) // len(pictures.files) // 1000
    title = (
        f"JPEG of {SIZE[0]}×{SIZE[1]}, {size} KB; {plan.items} items of"
        f" {inside.vectors.shape[1]} dimensions, one caller, medians"
    )
    rates = [
        ["decoder and encoder on all cores", f"{bare:.0f}", ""],
        ["image queries", f"{served.per_second:.0f}", f"{served.per_second / bare:.2f}"],
    ]
    many = f"{CALLERS} callers, images a second; {sum(served.failures.values())} failed"
    return [
        Table("image-alone", title, ["one caller", "p50, ms", "ratio"], rows),
        Table("image-many", many, ["work", "images/s", "ratio"], rates),
    ]


def _many(
    plan: ImagePlan,
    server: ServerProcess,
    requests: Sequence[search_pb2.SearchRequest],
    encoder: Encoder,
    files: Sequence[bytes],
) -> tuple[float, Rate]:
    """Images a second of the bare parts, and of the server, in turns."""
    address = f"127.0.0.1:{server.port}"
    target = GrpcTarget(address, [request.SerializeToString() for request in requests])
    bare, served = [], Rate()
    with ThreadPoolExecutor(cores() + 1) as pool:
        for _ in range(plan.rounds):
            begin, done = time.perf_counter(), 0
            while time.perf_counter() - begin < plan.seconds:
                done += len(list(pool.map(lambda file: _embedded(encoder, file), files)))
            bare.append(done / (time.perf_counter() - begin))
            served.add(closed_loop(target, CALLERS, plan.seconds))
    return statistics.median(bare), served


def _pass(encoder: Encoder, files: Sequence[bytes]) -> Callable[[int], object]:
    pixels = [_decoded(encoder, file) for file in files]
    return lambda n: encoder.embed(pixels[n % len(pixels)])


def _decoded(encoder: Encoder, file: bytes) -> NDArray[np.uint8]:
    size = encoder.manifest.input_size
    return fit(decode(file, size, _LIMITS), size)[None]


def _embedded(encoder: Encoder, file: bytes) -> Vectors:
    embedding: Vectors = encoder.embed(_decoded(encoder, file))[0]
    return embedding


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:.2f}"
