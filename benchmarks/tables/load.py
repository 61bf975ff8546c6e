"""Searches while others write: 16 clients search, 4 write, and an index is folded meanwhile.

The server, the searching clients and the writing ones are processes of their own. Searches go as
fast as their clients can, and then at a given pace, where a late answer counts from when it was
due. Each pace is measured without writers first.
"""

from __future__ import annotations

import argparse
import multiprocessing
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import numpy as np
from numpy.typing import NDArray

from benchmarks.contents.bundle import write_bundle
from benchmarks.contents.filled_server import COLLECTION, SPACES, Filling, fill, settled
from benchmarks.contents.generated_items import Drawn, Items, Kind, item_id
from benchmarks.loads.watch import Watch
from benchmarks.results import Table
from server_process import ServerProcess, running
from tashihiki.v1 import (
    catalog_pb2,
    catalog_pb2_grpc,
    composition_pb2,
    search_pb2,
    search_pb2_grpc,
)
from tashihiki_server.space.base import Vectors

# Of the items; the others are written to.
STILL = 0.5
# Numbers of items that writers add, for each turn.
NEW = 10_000_000
BATCH = 25
TIMEOUT = 60.0


@dataclass(frozen=True)
class Plan:
    """What the clients do.

    Attributes:
        address: of the server.
        items: in the collection at the begin.
        dimension: of their vectors.
        seconds: to go on for.
        clients: at once.
        rate: calls (or items written) a second of all clients together; 0 for no pause.
        turn: of how many turns this one is; each writes to items of its own.
        turns: how many there are.
    """

    address: str
    items: int
    dimension: int
    seconds: float
    clients: int
    rate: float
    turn: int
    turns: int


@dataclass
class Seen:
    """What clients saw.

    Attributes:
        seconds: of each call, from when it was due.
        visible: from the begin of a write to the end of the search that found it.
        errors: of failed calls, in words.
        missed: writes that the next search did not find.
        written: items.
        late: calls that began after they were due by more than a second.
    """

    seconds: list[float] = field(default_factory=list)
    visible: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)
    written: int = 0
    late: int = 0

    def add(self, other: Seen) -> None:
        """Takes in what another client saw."""
        for name in ("seconds", "visible", "errors", "missed"):
            getattr(self, name).extend(getattr(other, name))
        self.written += other.written
        self.late += other.late


def main(arguments: Sequence[str] = ()) -> list[Table]:
    """A table with a row for each pace."""
    options = _options(arguments)
    with tempfile.TemporaryDirectory(dir=options.data) as folder:
        bundle, data = Path(folder) / "bundle", Path(folder) / "data"
        write_bundle(bundle, options.dimension)
        with running(data, bundle) as server:
            begin = time.perf_counter()
            fill(server, Filling(options.items, Kind(options.dimension), options.space))
            ready = settled(server)
            title = (
                f"{options.items} items of {options.dimension} dimensions, space"
                f" `{options.space}`, filled and indexed in {ready - begin:.0f} s"
            )
            rows = [_row(server, data, options, rate, n) for n, rate in enumerate(options.rates)]
    header = ["searches asked for", "searches/s idle", "p50 idle, ms", "p99 idle, ms"]
    header += ["searches/s under load", "p50, ms", "p99, ms", "p99 ratio", "items written/s"]
    header += ["write p50, ms", "write p99, ms", "visible p99, ms", "indexes folded"]
    header += ["errors", "writes not seen", "writes late"]
    return [Table("load", title, header, rows)]


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser("load", description=__doc__)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--dimension", type=int, default=128)
    parser.add_argument("--space", choices=list(SPACES), default="factored")
    parser.add_argument("--searchers", type=int, default=16)
    parser.add_argument("--writers", type=int, default=4)
    parser.add_argument("--write-rate", type=float, default=500.0, help="items a second, of all")
    parser.add_argument(
        "--rates",
        type=float,
        nargs="+",
        default=[0.0, 64.0],
        help="searches a second, of all; 0 for as many as go",
    )
    parser.add_argument("--idle", type=float, default=20.0, help="seconds without writers")
    parser.add_argument("--seconds", type=float, default=60.0, help="with writers")
    parser.add_argument("--data", default=None, help="folder for the data; a temporary one if none")
    return parser.parse_args(arguments)


# Clients, in processes of their own


def _process(work: Callable[[Plan, int], Seen], plan: Plan, answer: Any) -> None:
    seen = Seen()
    with ThreadPoolExecutor(plan.clients) as pool:
        for part in pool.map(lambda number: work(plan, number), range(plan.clients)):
            seen.add(part)
    answer.send(seen)


class _Pace:
    """When each call of a client is due."""

    def __init__(self, plan: Plan, number: int, each: float) -> None:
        self._step = each * plan.clients / plan.rate if plan.rate else 0.0
        self._due = time.perf_counter() + self._step * number / plan.clients
        self._end = time.perf_counter() + plan.seconds

    def next(self) -> float | None:
        """Waits for the next call; when it was due, or None at the end."""
        now = time.perf_counter()
        if now >= self._end:
            return None
        if not self._step:
            return now
        due, self._due = self._due, self._due + self._step
        if due > self._end:
            return None
        time.sleep(max(0.0, due - now))
        return due


def _search(plan: Plan, number: int) -> Seen:
    random = np.random.default_rng([plan.turn, number])
    seen = Seen()
    with grpc.insecure_channel(plan.address, [("client", number)]) as channel:
        stub = search_pb2_grpc.SearchServiceStub(channel)
        stub.Search(_query(plan, random), timeout=TIMEOUT)
        pace = _Pace(plan, number, 1)
        while (due := pace.next()) is not None:
            try:
                stub.Search(_query(plan, random), timeout=TIMEOUT)
            except grpc.RpcError as error:
                seen.errors.append(str(error))
            seen.seconds.append(time.perf_counter() - due)
    return seen


def _query(plan: Plan, random: np.random.Generator) -> search_pb2.SearchRequest:
    """An item with another colour, two values, or an item without its shape."""
    kind = Kind(plan.dimension)
    colour, shape = random.integers(kind.colours), random.integers(kind.shapes)
    item = item_id(int(random.integers(int(plan.items * STILL))))
    forms = (
        f"this item - colour + colour:c{colour}",
        f"colour:c{colour} + shape:s{shape}",
        "this item - shape",
    )
    form = forms[random.integers(len(forms))]
    query = composition_pb2.Query(
        expression=form, bindings=composition_pb2.Bindings(this_item=item)
    )
    return search_pb2.SearchRequest(collection=COLLECTION, query=query, limit=10)


def _write(plan: Plan, number: int) -> Seen:
    """Replaces, adds and removes items of its own, and looks for them."""
    random = np.random.default_rng([plan.turn, number])
    items = Items(Kind(plan.dimension), int(random.integers(2**31)))
    seen = Seen()
    first = int(plan.items * STILL)
    mine = list(range(first + number, plan.items, plan.clients))[plan.turn :: plan.turns]
    new = NEW * (1 + plan.turn) + number
    with grpc.insecure_channel(plan.address, [("client", number)]) as channel:
        catalog = catalog_pb2_grpc.CatalogServiceStub(channel)
        search = search_pb2_grpc.SearchServiceStub(channel)
        pace = _Pace(plan, number, BATCH)
        for turn in range(1_000_000):
            due = pace.next()
            if due is None:
                return seen
            seen.late += time.perf_counter() - due > 1
            begin = time.perf_counter()
            try:
                if turn % 8 == 7:
                    gone = [mine.pop(int(random.integers(len(mine)))) for _ in range(BATCH)]
                    _remove(catalog, gone)
                    seen.seconds.append(time.perf_counter() - begin)
                    _check_gone(catalog, gone[0], seen)
                else:
                    if turn % 3 == 2:
                        numbers = list(range(new, new + BATCH * plan.clients, plan.clients))
                        new = numbers[-1] + plan.clients
                        mine += numbers
                    else:
                        numbers = [int(n) for n in random.choice(mine, BATCH, replace=False)]
                    drawn = items.draw(BATCH)
                    _upsert(catalog, numbers, drawn)
                    seen.seconds.append(time.perf_counter() - begin)
                    _check_there(search, numbers[0], drawn[0].vector, seen)
                    seen.visible.append(time.perf_counter() - begin)
                seen.written += BATCH
            except grpc.RpcError as error:
                seen.errors.append(str(error))
    return seen


def _upsert(
    catalog: catalog_pb2_grpc.CatalogServiceStub,
    numbers: Sequence[int],
    drawn: Sequence[Drawn],
) -> None:
    messages = [item.message(n) for n, item in zip(numbers, drawn, strict=True)]
    request = catalog_pb2.UpsertItemsRequest(collection=COLLECTION, items=messages)
    catalog.UpsertItems(request, timeout=TIMEOUT)


def _remove(catalog: catalog_pb2_grpc.CatalogServiceStub, numbers: Sequence[int]) -> None:
    request = catalog_pb2.DeleteItemsRequest(
        collection=COLLECTION, ids=[item_id(number) for number in numbers]
    )
    catalog.DeleteItems(request, timeout=TIMEOUT)


def _check_there(
    search: search_pb2_grpc.SearchServiceStub, number: int, vector: Vectors, seen: Seen
) -> None:
    term = composition_pb2.Term(vector=composition_pb2.Vector(values=vector.tolist()))
    query = composition_pb2.Query(composition=composition_pb2.Composition(terms=[term]))
    request = search_pb2.SearchRequest(collection=COLLECTION, query=query, limit=1)
    (hit,) = search.Search(request, timeout=TIMEOUT).hits
    if hit.id != item_id(number) or hit.similarity < 0.9999:
        seen.missed.append(f"{number}: {hit.id} at {hit.similarity}")


def _check_gone(catalog: catalog_pb2_grpc.CatalogServiceStub, number: int, seen: Seen) -> None:
    try:
        catalog.GetItem(
            catalog_pb2.GetItemRequest(collection=COLLECTION, id=item_id(number)), timeout=TIMEOUT
        )
    except grpc.RpcError as error:
        if isinstance(error, grpc.Call) and error.code() is grpc.StatusCode.NOT_FOUND:
            return
        raise
    seen.missed.append(f"{number} is still there")


# A pace, idle and under load


def _row(
    server: ServerProcess, data: Path, options: argparse.Namespace, rate: float, turn: int
) -> list[str]:
    turns = len(options.rates)

    def plan(seconds: float, clients: int, pace: float) -> Plan:
        where = f"127.0.0.1:{server.port}"
        return Plan(where, options.items, options.dimension, seconds, clients, pace, turn, turns)

    settled(server)
    (idle,) = _together((_search, plan(options.idle, options.searchers, rate)))
    with _Folds(data / "collections" / COLLECTION / "derived") as folds:
        loaded, written = _together(
            (_search, plan(options.seconds, options.searchers, rate)),
            (_write, plan(options.seconds, options.writers, options.write_rate)),
        )
    before, after = _quantiles(idle.seconds), _quantiles(loaded.seconds)
    writes, visible = _quantiles(written.seconds), _quantiles(written.visible)
    errors = idle.errors + loaded.errors + written.errors
    for problem in [*errors[:3], *written.missed[:3]]:
        print(problem, flush=True)  # noqa: T201
    return [
        f"{rate:g}/s" if rate else "as fast as they can",
        f"{len(idle.seconds) / options.idle:.0f}",
        *(f"{1000 * value:.1f}" for value in before),
        f"{len(loaded.seconds) / options.seconds:.0f}",
        *(f"{1000 * value:.1f}" for value in after),
        f"{after[1] / before[1]:.2f}",
        f"{written.written / options.seconds:.0f}",
        *(f"{1000 * value:.1f}" for value in (*writes, visible[1])),
        str(folds.count),
        str(len(errors)),
        str(len(written.missed)),
        str(written.late),
    ]


def _together(*parts: tuple[Callable[[Plan, int], Seen], Plan]) -> list[Seen]:
    context = multiprocessing.get_context("spawn")
    pipes = []
    for work, plan in parts:
        ours, theirs = context.Pipe()
        process = context.Process(target=_process, args=(work, plan, theirs))
        process.start()
        theirs.close()
        pipes.append((process, ours))
    found = [ours.recv() for _, ours in pipes]
    for process, _ in pipes:
        process.join()
    return found


def _quantiles(seconds: Sequence[float]) -> NDArray[np.float64]:
    """Median and 99th percentile."""
    found: NDArray[np.float64] = np.quantile(seconds or [0.0], (0.5, 0.99))
    return found


class _Folds(Watch):
    """Counts the indexes that are put to use meanwhile."""

    def __init__(self, folder: Path) -> None:
        super().__init__(0.2)
        self._folder = folder
        self._seen: set[str] = set()

    @property
    def count(self) -> int:
        return max(0, len(self._seen) - 1)

    def look(self) -> None:
        self._seen |= {path.name for path in self._folder.glob("*/generations/[0-9]*")}
