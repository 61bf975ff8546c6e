"""What `steady` and `overload` share: a server with items, and its peak."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from benchmarks.contents.filled_server import Filling, filled
from benchmarks.contents.generated_items import Kind
from benchmarks.loads.closed_loop import Rate, closed_loop
from benchmarks.loads.targets import GrpcTarget
from benchmarks.pictures import FOLDER
from benchmarks.tables.text_queries import COLOURS, SHAPES, text_requests, unrepeated
from server_process import ServerProcess, running

CALLERS = 16


@dataclass(frozen=True)
class Loaded:
    """A server that has been warm for a while.

    Attributes:
        server: it.
        target: text queries to it.
        peak: what 16 callers that never pause get out of it.
    """

    server: ServerProcess
    target: GrpcTarget
    peak: Rate


def parser(name: str, description: str | None, *, timeout: float = 10.0) -> argparse.ArgumentParser:
    """The options that both have."""
    made = argparse.ArgumentParser(name, description=description)
    made.add_argument("--items", type=int, default=100_000)
    made.add_argument("--dimension", type=int, default=128, help="of the items")
    made.add_argument("--peak-seconds", type=float, default=20.0, help="for finding the peak")
    made.add_argument("--timeout", type=float, default=timeout, help="of a call, seconds")
    made.add_argument("--clients", type=int, default=2, help="processes that send")
    made.add_argument("--even", action="store_true", help="evenly, not as a Poisson process")
    made.add_argument("--data", default=None, help="folder that is kept and used again")
    made.add_argument("--images", default=str(FOLDER), help="folder of the plot; '' for none")
    return made


@contextmanager
def loaded(options: argparse.Namespace, serve: Sequence[str] = ()) -> Iterator[Loaded]:
    """Starts the server and finds its peak with CALLERS that ask again once they are answered."""
    filling = Filling(options.items, Kind(options.dimension, COLOURS, SHAPES), "factored")
    asked = unrepeated(text_requests(filling.kind))
    requests = [request.SerializeToString() for request in asked]
    folder = f"{options.data}/text" if options.data else None
    with (
        filled(filling, folder=folder) as place,
        running(place.data, place.bundle, *serve) as server,
    ):
        target = GrpcTarget(f"127.0.0.1:{server.port}", requests)
        closed_loop(target, CALLERS, options.peak_seconds / 2)
        yield Loaded(server, target, closed_loop(target, CALLERS, options.peak_seconds))
