"""Image queries beside what one must cost at least: decoding, one encoder pass, one look-up.

And beside the same photos sent to a server that does nothing: what transport and clients take of
the cores that they share with the parts.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import numpy as np
from numpy.typing import NDArray

from benchmarks.contents.filled_server import filled
from benchmarks.contents.grain import SIZE, grainy_photos
from benchmarks.contents.inside import Inside, look_inside
from benchmarks.contents.photos import ASKED, PHOTOS_HELP, Photos, photos
from benchmarks.contents.requests import LIMIT, image_requests
from benchmarks.floors.bare_ngt import BareNgt
from benchmarks.floors.built_index import best
from benchmarks.floors.empty_service import empty_service
from benchmarks.loads.alone import block_medians
from benchmarks.loads.closed_loop import CALLERS, Rate, closed_loop
from benchmarks.loads.stages import Stages
from benchmarks.loads.targets import GrpcTarget
from benchmarks.results import Table
from server_process import ServerProcess, running
from tashihiki.v1 import search_pb2, search_pb2_grpc
from tashihiki_server.encoder.base import Encoder
from tashihiki_server.encoder.streams import cores
from tashihiki_server.encoder.tuning import open_tuned
from tashihiki_server.images import ImageLimits, decode, fit
from tashihiki_server.library import SHIPPED_ENCODER
from tashihiki_server.space.base import Vectors

_LIMITS = ImageLimits()
_DECODE, _ENCODE = "decode and resize", "encoder pass"
_GRAPH, _EXACT = "look-up by NGT", "look-up by comparing all"
_LIKE, _UNLIKE = "photo like the items'", "picture unlike every item"
_EMPTY = "empty call with the photo"


def main(arguments: Sequence[str] = ()) -> list[Table]:
    """One caller and many."""
    plan = _options(arguments)
    pictures = photos(plan.photos)
    asked = {_LIKE: pictures.files, _UNLIKE: list(grainy_photos(ASKED))}
    requests = {name: image_requests(files) for name, files in asked.items()}
    with filled(
        pictures.filling(plan.items),
        folder=f"{plan.data}/image" if plan.data else None,
        bundle=SHIPPED_ENCODER,
        photos=pictures.shown,
    ) as place:
        inside = look_inside(place, requests[_LIKE])
        with running(place.data, place.bundle) as server, empty_service() as empty:
            (bundle,) = (place.data / "encoders").glob("[!.]*")
            encoder = open_tuned(bundle)
            stages = {name: Stages(server.search.Search, some) for name, some in requests.items()}
            found = _alone(plan, server, empty, requests, encoder, asked[_LIKE], inside, stages)
            bare, rates = _many(plan, server, empty, requests, encoder, asked[_LIKE])
    return [
        _alone_table(plan, found, pictures, inside),
        stages[_LIKE].table("stages_like", _LIKE),
        stages[_UNLIKE].table("stages_unlike", _UNLIKE),
        _many_table(bare, rates),
    ]


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser("image_queries", description=__doc__)
    parser.add_argument("--items", type=int, default=20_000)
    parser.add_argument("--photos", type=Path, default=None, help=PHOTOS_HELP)
    parser.add_argument("--calls", type=int, default=400, help="of one caller")
    parser.add_argument("--seconds", type=float, default=10.0, help="of a turn of many callers")
    parser.add_argument("--rounds", type=int, default=3, help="turns of many callers")
    parser.add_argument("--data", default=None, help="folder that is kept and used again")
    return parser.parse_args(arguments)


def _alone(
    plan: argparse.Namespace,
    server: ServerProcess,
    empty: str,
    requests: Mapping[str, Sequence[search_pb2.SearchRequest]],
    encoder: Encoder,
    files: Sequence[bytes],
    inside: Inside,
    stages: Mapping[str, Stages],
) -> dict[str, float]:
    """Median seconds of the parts and of the round trips; the stages are asked between."""
    like, unlike = requests[_LIKE], requests[_UNLIKE]
    with tempfile.TemporaryDirectory() as folder, grpc.insecure_channel(empty) as channel:
        graph = BareNgt(inside.vectors, Path(folder) / "ngt", inside.composed, LIMIT)
        nothing = search_pb2_grpc.SearchServiceStub(channel)
        parts: dict[str, Callable[[int], object]] = {
            _DECODE: lambda n: _decoded(encoder, files[n % ASKED]),
            _ENCODE: _pass(encoder, files),
            _GRAPH: lambda n: graph.search(inside.composed[n % ASKED]),
            _EXACT: lambda n: best(inside.vectors @ inside.composed[n % ASKED], LIMIT),
            _EMPTY: lambda n: nothing.Search(like[n % ASKED]),
            _LIKE: lambda n: server.search.Search(like[n % ASKED]),
            _UNLIKE: lambda n: server.search.Search(unlike[n % ASKED]),
            **{f"stages, {name}": timed.ask for name, timed in stages.items()},
        }
        found = block_medians(parts, plan.calls)
        graph.close()
    return found


def _alone_table(
    plan: argparse.Namespace, found: Mapping[str, float], pictures: Photos, inside: Inside
) -> Table:
    parts = [_DECODE, _ENCODE, min((_GRAPH, _EXACT), key=found.__getitem__)]
    floor = sum(found[part] for part in parts)
    # What no row is near cannot be found by a graph.
    compared = found[_DECODE] + found[_ENCODE] + found[_EXACT]
    like, unlike, empty = found[_LIKE], found[_UNLIKE], found[_EMPTY]
    rows = [[f"bare {name}", _ms(found[name]), ""] for name in parts]
    rows += [
        ["sum of these", _ms(floor), ""],
        [f"{_EMPTY}, round trip", _ms(empty), ""],
        [
            f"{_LIKE}, round trip",
            _ms(like),
            f"{like / floor:.2f} × the sum; {like / (floor + empty):.2f} × with the empty call",
        ],
        ["the sum with all compared", _ms(compared), ""],
        [
            f"{_UNLIKE}, round trip",
            _ms(unlike),
            f"{unlike / compared:.2f} × that sum;"
            f" {unlike / (compared + empty):.2f} × with the empty call",
        ],
    ]
    size = sum(map(len, pictures.files)) // len(pictures.files) // 1000
    title = (
        f"JPEG of {SIZE[0]}×{SIZE[1]}, {size} KB ({pictures.kind}); {plan.items} items of"
        f" {inside.vectors.shape[1]} dimensions, one caller, medians"
    )
    return Table("alone", title, ["one caller", "p50, ms", "ratio"], rows)


def _many(
    plan: argparse.Namespace,
    server: ServerProcess,
    empty: str,
    requests: Mapping[str, Sequence[search_pb2.SearchRequest]],
    encoder: Encoder,
    files: Sequence[bytes],
) -> tuple[float, dict[str, Rate]]:
    """Images a second of the bare parts, and of the servers, in turns."""
    address = f"127.0.0.1:{server.port}"
    sent = {name: [one.SerializeToString() for one in some] for name, some in requests.items()}
    targets = {name: GrpcTarget(address, some) for name, some in sent.items()}
    targets[_EMPTY] = GrpcTarget(empty, sent[_LIKE])
    bare, rates = [], {name: Rate() for name in targets}
    with ThreadPoolExecutor(cores() + 1) as pool:
        for _ in range(plan.rounds):
            begin, done = time.perf_counter(), 0
            while time.perf_counter() - begin < plan.seconds:
                done += len(list(pool.map(lambda file: _embedded(encoder, file), files)))
            bare.append(done / (time.perf_counter() - begin))
            for name, target in targets.items():
                rates[name].add(closed_loop(target, CALLERS, plan.seconds))
    return statistics.median(bare), rates


def _many_table(bare: float, rates: Mapping[str, Rate]) -> Table:
    empty = rates[_EMPTY].per_second
    # An image takes of the cores what it takes for each, since all share them.
    both = 1 / (1 / bare + 1 / empty)
    rows = [
        ["decoder and encoder on all cores", f"{bare:.0f}", ""],
        [_EMPTY, f"{empty:.0f}", ""],
        [
            "decoder, encoder and transport, one after the other on the same cores",
            f"{both:.0f}",
            f"{both / bare:.2f}",
        ],
    ]
    for name in (_LIKE, _UNLIKE):
        rate = rates[name].per_second
        ratio = f"{rate / bare:.2f}; {rate / both:.2f} with the transport"
        rows.append([name, f"{rate:.0f}", ratio])
    failed = sum(sum(rate.failures.values()) for rate in rates.values())
    title = f"{CALLERS} callers, images a second; {failed} failed"
    return Table("many", title, ["work", "images/s", "ratio"], rows)


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
