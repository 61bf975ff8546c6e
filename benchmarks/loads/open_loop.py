"""Calls that come when they are due, whatever became of those before them.

A caller that waits for its answer asks less while the server is slow, so a slow server looks
faster than it is to those who would have asked meanwhile: coordinated omission (Tene, "How NOT to
measure latency", 2013). Here arrivals are scheduled before the run, as a Poisson process or evenly;
each is sent at its time however many are under way; and its latency counts from when it was due,
not from when it was sent (as wrk2 does). So what a busy client adds is counted against the server,
never left out. Clients are processes of their own with asyncio.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection as Pipe
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.loads.targets import OK, Connection, Target

CONNECTIONS = 16
# From when all clients are ready until their first calls are due.
_LEAD_SECONDS = 0.5


@dataclass(frozen=True)
class Schedule:
    """When calls are due.

    Attributes:
        rate: calls a second of all clients together.
        seconds: to go on for.
        poisson: at random; otherwise evenly.
        timeout: seconds after which an answer is of no use any more.
        clients: processes.
    """

    rate: float
    seconds: float
    poisson: bool = True
    timeout: float = 10.0
    clients: int = 2

    def arrivals(self, client: int, seed: int = 0) -> NDArray[np.float64]:
        """When the calls of a client are due, in seconds from the begin, in order.

        Args:
            client: its number, from 0.
            seed: of what is random.
        """
        rate = self.rate / self.clients
        count = int(rate * self.seconds * 1.2) + 100
        gaps = np.ones(count)
        if self.poisson:
            gaps = np.random.default_rng([seed, client]).exponential(1.0, count)
        elif client:
            # Even together, too.
            gaps[0] = client / self.clients
        times: NDArray[np.float64] = np.cumsum(gaps) / rate
        return times[times < self.seconds]


@dataclass(frozen=True)
class Calls:
    """What became of the calls, in the order in which they were due.

    Attributes:
        due: seconds from the begin, (n,).
        seconds: from then to the answer, (n,).
        late: from then until it was sent, (n,).
        codes: OK or the status, (n,).
        hinted: whether the status said when to come again, (n,).
        begin: by the clock, seconds since 1970.
        processor_seconds: that the clients took from then on.
    """

    due: NDArray[np.float64]
    seconds: NDArray[np.float64]
    late: NDArray[np.float64]
    codes: NDArray[np.str_]
    hinted: NDArray[np.bool_]
    begin: float
    processor_seconds: float

    @property
    def answered(self) -> NDArray[np.bool_]:
        """Which were answered, (n,)."""
        found: NDArray[np.bool_] = self.codes == OK
        return found

    def quantile(self, share: float) -> float:
        """Seconds within which such a share of the answers came."""
        answered = self.seconds[self.answered]
        return float(np.quantile(answered, share)) if len(answered) else float("nan")

    @property
    def p99_to_p50(self) -> float:
        """How much longer the slowest answers took than the median one."""
        return self.quantile(0.99) / self.quantile(0.5)

    def p99_to_p50_by_minute(self) -> NDArray[np.float64]:
        """The same for the calls that were due in each minute, (m,).

        A rest of less than half a minute goes with the last one. The ratio of a minute without an
        answer is infinite.
        """
        minutes = (self.due // 60).astype(int)
        last = max(0, round(float(self.due[-1]) / 60) - 1)
        within = [np.minimum(minutes, last) == minute for minute in range(last + 1)]
        answered = [self.seconds[part & self.answered] for part in within]
        shares = [np.quantile(part, (0.5, 0.99)) if len(part) else (1, np.inf) for part in answered]
        return np.array([p99 / p50 for p50, p99 in shares])


def open_loop(target: Target, schedule: Schedule, seed: int = 0) -> Calls:
    """Sends the calls of a schedule and waits until each has ended or its time is over."""
    context = multiprocessing.get_context("spawn")
    pipes = []
    for number in range(schedule.clients):
        ours, theirs = context.Pipe()
        process = context.Process(target=_run, args=(target, schedule, number, seed, theirs))
        process.start()
        theirs.close()
        pipes.append((process, ours))
    for _, ours in pipes:
        ours.recv()
    begin = time.time() + _LEAD_SECONDS
    for _, ours in pipes:
        ours.send(begin)
    found = [ours.recv() for _, ours in pipes]
    for process, _ in pipes:
        process.join()
    return _together(found)


def _together(parts: Sequence[Calls]) -> Calls:
    order = np.argsort(np.concatenate([part.due for part in parts]), kind="stable")

    def joined(name: str) -> NDArray[Any]:
        found: NDArray[Any] = np.concatenate([getattr(part, name) for part in parts])[order]
        return found

    return Calls(
        due=joined("due"),
        seconds=joined("seconds"),
        late=joined("late"),
        codes=joined("codes"),
        hinted=joined("hinted"),
        begin=parts[0].begin,
        processor_seconds=sum(part.processor_seconds for part in parts),
    )


def _run(target: Target, schedule: Schedule, number: int, seed: int, pipe: Pipe) -> None:
    pipe.send(asyncio.run(_send(target, schedule, number, seed, pipe)))


async def _send(target: Target, schedule: Schedule, number: int, seed: int, pipe: Pipe) -> Calls:
    due = schedule.arrivals(number, seed)
    connections = [target.connect(number * CONNECTIONS + n) for n in range(CONNECTIONS)]
    first = number * len(due)
    # Connections are opened by their first calls.
    warm = (c.ask(first + n, schedule.timeout) for n, c in enumerate(connections))
    await asyncio.gather(*warm)
    pipe.send("ready")
    begin: float = pipe.recv()
    # The clock that all processes share is read once; a correction of it must not reach latencies.
    start = time.perf_counter() + begin - time.time()
    taken = time.process_time()
    seconds, late = np.zeros(len(due)), np.zeros(len(due))
    codes: list[str] = [""] * len(due)
    hinted = np.zeros(len(due), dtype=bool)

    async def call(place: int, connection: Connection) -> None:
        late[place] = time.perf_counter() - start - due[place]
        answer = await connection.ask(first + place, schedule.timeout)
        seconds[place] = time.perf_counter() - start - due[place]
        codes[place], hinted[place] = answer.code, answer.hinted

    tasks: set[asyncio.Task[None]] = set()
    for place, moment in enumerate(due):
        wait = start + moment - time.perf_counter()
        if wait > 0:
            await asyncio.sleep(wait)
        elif place % 32 == 0:
            # So that answers are taken while the client is behind.
            await asyncio.sleep(0)
        task = asyncio.create_task(call(place, connections[place % CONNECTIONS]))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    await asyncio.gather(*tasks)
    taken = time.process_time() - taken
    for connection in connections:
        await connection.close()
    return Calls(due, seconds, late, np.array(codes), hinted, begin, taken)
