"""Callers that ask again as soon as they are answered: how much a server can do at most."""

from __future__ import annotations

import asyncio
import multiprocessing
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection as Pipe

from benchmarks.loads.targets import OK, Target

# How many the tables call many.
CALLERS = 16
TIMEOUT = 60.0
WARM_UP_SECONDS = 1.0


@dataclass
class Rate:
    """What callers saw, after a warm-up.

    Attributes:
        elapsed: seconds that they went on for.
        seconds: of each call that was answered.
        failures: calls that failed, by status.
    """

    elapsed: float = 0.0
    seconds: list[float] = field(default_factory=list)
    failures: Counter[str] = field(default_factory=Counter)

    @property
    def per_second(self) -> float:
        """Calls that were answered."""
        return len(self.seconds) / self.elapsed

    def add(self, other: Rate) -> None:
        """Takes in another turn."""
        self.elapsed += other.elapsed
        self.seconds += other.seconds
        self.failures += other.failures


def closed_loop(target: Target, callers: int, seconds: float) -> Rate:
    """Lets callers, all in one other process, ask for so long."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(
        target=_run, args=(target, callers, seconds, theirs)
    )
    process.start()
    theirs.close()
    rate: Rate = ours.recv()
    process.join()
    return rate


def in_turns(
    targets: Mapping[str, Target], callers: int, seconds: float, rounds: int
) -> dict[str, Rate]:
    """All rivals, each in every round."""
    rates = {name: Rate() for name in targets}
    for _ in range(rounds):
        for name, target in targets.items():
            rates[name].add(closed_loop(target, callers, seconds))
    return rates


def _run(target: Target, callers: int, seconds: float, pipe: Pipe) -> None:
    pipe.send(asyncio.run(_all(target, callers, seconds)))


async def _all(target: Target, callers: int, seconds: float) -> Rate:
    begin = time.perf_counter() + WARM_UP_SECONDS
    tasks = (_ask(target, number, callers, begin, begin + seconds) for number in range(callers))
    return _together(await asyncio.gather(*tasks), seconds)


async def _ask(target: Target, number: int, callers: int, begin: float, end: float) -> Rate:
    rate = Rate()
    connection = target.connect(number)
    while (start := time.perf_counter()) < end:
        answer = await connection.ask(number, TIMEOUT)
        done = time.perf_counter()
        number += callers
        if begin <= done < end:
            if answer.code == OK:
                rate.seconds.append(done - start)
            else:
                rate.failures[answer.code] += 1
    await connection.close()
    return rate


def _together(rates: Sequence[Rate], seconds: float) -> Rate:
    total = Rate()
    for rate in rates:
        total.add(rate)
    total.elapsed = seconds
    return total
