"""Our service beside plain ones with the same encoder, the same items and the same answers.

The items are in the `sum` space, where a query is what the rivals add up themselves: the sum of two
prototypes, or a picture's embedding. Recall is of the ten items that a comparison of everything
finds: with the embedding that the service makes of a picture, and with the one that torch makes of
it decoded whole.
"""

from __future__ import annotations

import argparse
import io
import json
import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from benchmarks.contents.filled_server import COLLECTION, filled
from benchmarks.contents.generated import unit
from benchmarks.contents.inside import Inside, look_inside
from benchmarks.contents.photos import PHOTOS_HELP, photos
from benchmarks.contents.requests import LIMIT, image_requests, text_requests, unrepeated
from benchmarks.floors.built_index import best
from benchmarks.floors.rival_services import Rival, rivals, write_content
from benchmarks.loads.alone import block_medians
from benchmarks.loads.closed_loop import CALLERS, Rate, in_turns
from benchmarks.loads.targets import GrpcTarget, Target
from benchmarks.pictures import FOLDER, figure, save
from benchmarks.results import Table
from server_process import ServerProcess, running
from shipped_network import shipped_network
from tashihiki.v1 import composition_pb2, search_pb2
from tashihiki_server.library import SHIPPED_ENCODER
from tashihiki_server.space.base import Vectors

OURS = "Tashihiki"
TEXT, IMAGE = "/text", "/image"
_VALUE = re.compile(r"\w+:\w+")

_Requests = Sequence[search_pb2.SearchRequest]
_Ask = Callable[[int], Sequence[str]]


@dataclass(frozen=True)
class _Found:
    """What a service came to.

    Attributes:
        seconds: of one caller, median.
        rate: of many.
        recall: of its own embeddings.
        recall_of_torch: of torch's.
    """

    seconds: float
    rate: Rate
    recall: float
    recall_of_torch: float


def main(arguments: Sequence[str] = ()) -> list[Table]:
    """A table of text queries and one of image queries."""
    options = _options(arguments)
    pictures = photos(options.photos)
    filling = pictures.filling(options.items)
    texts = text_requests(filling.kind)
    expressions = [request.query.expression for request in texts]
    names = sorted({name for expression in expressions for name in _VALUE.findall(expression)})
    images = image_requests(pictures.files)
    asked = [*map(_single, names), *texts, *images]
    with (
        filled(
            filling,
            folder=f"{options.data}/image" if options.data else None,
            bundle=SHIPPED_ENCODER,
            photos=pictures.shown,
        ) as place,
        tempfile.TemporaryDirectory() as folder,
    ):
        inside = look_inside(place, asked)
        parts = [len(names), len(names) + len(texts)]
        prototypes, composed, own = np.split(inside.composed, parts)
        embedded = _embedded(pictures.files)
        queries = np.concatenate([composed, embedded])
        setting = write_content(Path(folder), inside, names, prototypes, queries)
        truth = dict(zip(names, prototypes, strict=True))
        sums = [sum(truth[n] for n in _VALUE.findall(e)) for e in expressions]
        with running(place.data, place.bundle) as server, rivals(Path(folder)) as others:
            bodies = [json.dumps(_VALUE.findall(e)).encode() for e in expressions]
            compare = partial(_compare, options, server, others, inside)
            added = unit(np.array(sums))
            found = compare(TEXT, texts, bodies, added, added, options.calls)
            shown = compare(IMAGE, images, pictures.files, own, embedded, options.calls // 5)
    if options.images:
        _draw({"text": found, "images": shown}, Path(options.images) / "rivals.png")
    about = f"{options.items} items of {inside.vectors.shape[1]} dimensions; HNSW: {setting}"
    size = len(pictures.files[0]) // 1000
    header = ["service", "one caller, p50, ms", "to ours", f"{CALLERS} callers, queries/s"]
    header += ["ours to it", f"recall@{LIMIT}", "recall of torch's", "failed"]
    return [
        Table("text", f"Two attributes, {about}", header, _cells(found)),
        Table("image", f"A JPEG of {size} KB ({pictures.kind}), {about}", header, _cells(shown)),
    ]


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser("rivals", description=__doc__)
    parser.add_argument("--items", type=int, default=20_000)
    parser.add_argument("--photos", type=Path, default=None, help=PHOTOS_HELP)
    parser.add_argument("--calls", type=int, default=500, help="of one caller; a fifth for images")
    parser.add_argument("--seconds", type=float, default=10.0, help="of a turn of many callers")
    parser.add_argument("--rounds", type=int, default=3, help="turns of many callers")
    parser.add_argument("--images", default=str(FOLDER), help="folder of the plot; '' for none")
    parser.add_argument("--data", default=None, help="folder that is kept and used again")
    return parser.parse_args(arguments)


def _single(name: str) -> search_pb2.SearchRequest:
    return search_pb2.SearchRequest(
        collection=COLLECTION, query=composition_pb2.Query(expression=name)
    )


def _embedded(files: Sequence[bytes]) -> Vectors:
    """What torch makes of whole pictures, (n, d)."""
    network = shipped_network()
    size = (224, 224)
    pictures = [Image.open(io.BytesIO(f)).convert("RGB") for f in files]
    pixels = [np.array(p.resize(size, Image.Resampling.BILINEAR)) for p in pictures]
    with torch.inference_mode():
        return unit(np.stack([network(torch.from_numpy(p)[None])[0].numpy() for p in pixels]))


def _compare(
    options: argparse.Namespace,
    server: ServerProcess,
    others: Mapping[str, Rival],
    inside: Inside,
    path: str,
    requests: _Requests,
    bodies: Sequence[bytes],
    own: Vectors,
    queries: Vectors,
    calls: int,
) -> dict[str, _Found]:
    """What each service came to, ours first.

    Args:
        options: of the command.
        server: ours.
        others: the rivals.
        inside: the items.
        path: of the rivals' method.
        requests: to ours.
        bodies: to the rivals, in the same order.
        own: (q, d), what the requests mean to ours.
        queries: (q, d), what they mean to the rivals.
        calls: of one caller.
    """
    count = len(requests)
    # Nobody gives an answer a second time.
    every = unrepeated(requests) if path == TEXT else requests
    asks: dict[str, _Ask] = {
        OURS: lambda n: [hit.id for hit in server.search.Search(every[n % len(every)]).hits]
    }
    ours = GrpcTarget(f"127.0.0.1:{server.port}", [r.SerializeToString() for r in every])
    targets: dict[str, Target] = {OURS: ours}
    for name, rival in others.items():
        asks[name] = lambda n, rival=rival: rival.ask(path, bodies[n % count])  # type: ignore[misc]
        targets[name] = rival.target(path, bodies)
    answers = {name: [ask(number) for number in range(count)] for name, ask in asks.items()}
    alone = block_medians(asks, calls)
    rates = in_turns(targets, CALLERS, options.seconds, options.rounds)
    return {
        name: _Found(
            alone[name],
            rates[name],
            _recall(answers[name], inside, own if name == OURS else queries),
            _recall(answers[name], inside, queries),
        )
        for name in asks
    }


def _recall(answers: Sequence[Sequence[str]], inside: Inside, queries: Vectors) -> float:
    places = {identifier: place for place, identifier in enumerate(inside.ids)}
    hits = 0
    for ids, query in zip(answers, queries, strict=True):
        scores = inside.vectors @ query
        worst = scores[best(scores, LIMIT)].min()
        hits += int((scores[[places[identifier] for identifier in ids]] >= worst - 1e-5).sum())
    return hits / (len(queries) * LIMIT)


def _cells(found: Mapping[str, _Found]) -> list[list[str]]:
    ours = found[OURS]
    return [
        [
            name,
            f"{1000 * one.seconds:.2f}",
            f"{one.seconds / ours.seconds:.2f}",
            f"{one.rate.per_second:.0f}",
            f"{ours.rate.per_second / one.rate.per_second:.2f}",
            f"{one.recall:.3f}",
            f"{one.recall_of_torch:.3f}",
            str(sum(one.rate.failures.values())),
        ]
        for name, one in found.items()
    ]


def _draw(kinds: Mapping[str, Mapping[str, _Found]], path: Path) -> None:
    made, axes = figure(len(kinds))
    for place, (kind, found) in zip(axes, kinds.items(), strict=True):
        names = list(found)[::-1]
        place.barh(names, [found[name].rate.per_second for name in names])
        place.set_xlabel(f"{kind}: queries a second, {CALLERS} callers")
    save(made, path)
