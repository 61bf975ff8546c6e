"""Long work tells how far it is, and ends when nobody waits for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator

import pytest

from server_process import SECONDS
from tashihiki.errors import DeadlineExceededError
from tashihiki_server.deadline import deadline
from tashihiki_server.service.reporting import reported


def _run(work: Generator[float, None, int]) -> tuple[list[float], int]:
    shares = []
    while True:
        try:
            shares.append(next(work))
        except StopIteration as end:
            return shares, end.value


class _Endless:
    """Work that only ends when it is told to."""

    def __init__(self) -> None:
        self.ended = threading.Event()

    def __call__(self, advanced: Callable[[float], None]) -> int:
        end = time.monotonic() + SECONDS
        try:
            while time.monotonic() < end:
                advanced(0.5)
                time.sleep(0.001)
        finally:
            self.ended.set()
        return 0


def test_shares_rise_and_the_result_is_returned() -> None:
    def work(advanced: Callable[[float], None]) -> int:
        for n in range(10_000):
            advanced(n / 10_000)
        return 7

    shares, result = _run(reported(work))
    assert result == 7
    assert len(shares) <= 100
    assert all(b - a >= 0.01 for a, b in zip([0.0, *shares], shares, strict=False))


def test_what_the_work_raises_is_raised() -> None:
    def work(advanced: Callable[[float], None]) -> int:
        advanced(0.3)
        raise OSError("full")

    with pytest.raises(OSError, match="full"):
        _run(reported(work))


def test_a_generator_that_is_closed_ends_the_work() -> None:
    endless = _Endless()
    work = reported(endless)
    assert next(work) == 0.5
    work.close()
    assert endless.ended.is_set()


def test_a_deadline_ends_the_work() -> None:
    endless = _Endless()
    end = time.monotonic() + 0.3
    with deadline(lambda: end - time.monotonic()), pytest.raises(DeadlineExceededError):
        _run(reported(endless))
    assert endless.ended.is_set()
