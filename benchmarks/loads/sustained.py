"""What `steady` and `overload` share: a server with items, and its peak."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.contents.filled_server import filled
from benchmarks.contents.photos import PHOTOS_HELP, photos
from benchmarks.contents.requests import (
    image_requests,
    text_filling,
    text_requests,
    unrepeated,
)
from benchmarks.loads.closed_loop import CALLERS, Rate, closed_loop
from benchmarks.loads.targets import GrpcTarget
from benchmarks.pictures import FOLDER
from server_process import ServerProcess, running
from tashihiki_server.library import SHIPPED_ENCODER

KINDS = ("text", "image")


@dataclass(frozen=True)
class Loaded:
    """A server that has been warm for a while.

    Attributes:
        server: it.
        target: text queries to it.
        peak: what 16 callers that never pause get out of it.
        name: what is asked of what, in words.
    """

    server: ServerProcess
    target: GrpcTarget
    peak: Rate
    name: str


def parser(name: str, description: str | None, *, timeout: float = 10.0) -> argparse.ArgumentParser:
    """The options that both have."""
    made = argparse.ArgumentParser(name, description=description)
    made.add_argument("--items", type=int, default=100_000, help="for text queries")
    made.add_argument("--image-items", type=int, default=20_000, help="for image queries")
    made.add_argument("--dimension", type=int, default=128, help="of the items for text queries")
    made.add_argument("--photos", type=Path, default=None, help=PHOTOS_HELP)
    made.add_argument("--peak-seconds", type=float, default=20.0, help="for finding the peak")
    made.add_argument("--timeout", type=float, default=timeout, help="of a call, seconds")
    made.add_argument("--clients", type=int, default=2, help="processes that send")
    made.add_argument("--data", default=None, help="folder that is kept and used again")
    made.add_argument("--images", default=str(FOLDER), help="folder of the plot; '' for none")
    return made


@contextmanager
def loaded(options: argparse.Namespace, kind: str) -> Iterator[Loaded]:
    """Starts the server and finds its peak with CALLERS that ask again once they are answered.

    Args:
        options: of `parser`.
        kind: of queries, one of KINDS.
    """
    folder = f"{options.data}/{kind}" if options.data else None
    if kind == "text":
        filling = text_filling(options.items, options.dimension)
        asked = unrepeated(text_requests(filling.kind))
        content = filled(filling, folder=folder)
    else:
        pictures = photos(options.photos)
        filling = pictures.filling(options.image_items)
        asked = image_requests(pictures.files)
        content = filled(filling, folder=folder, bundle=SHIPPED_ENCODER, photos=pictures.shown)
    requests = [request.SerializeToString() for request in asked]
    with content as place, running(place.data, place.bundle) as server:
        target = GrpcTarget(f"127.0.0.1:{server.port}", requests)
        closed_loop(target, CALLERS, options.peak_seconds / 2)
        peak = closed_loop(target, CALLERS, options.peak_seconds)
        yield Loaded(server, target, peak, f"{filling.count} items, {kind} queries")
