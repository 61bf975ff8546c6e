"""Requests that a catalogue remembers with their answers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from item_records import everything, opened, random_record
from tashihiki.errors import InvalidArgumentError
from tashihiki_server.catalogue import requests
from tashihiki_server.catalogue.base import WriteRequest
from tashihiki_server.catalogue.sqlite import SqliteCatalogue

DIMENSION = 4


@pytest.fixture
def catalogue(tmp_path: Path) -> Iterator[SqliteCatalogue]:
    made = opened(tmp_path, DIMENSION)
    yield made
    made.close()


def request(name: str, digest: bytes = b"digest") -> WriteRequest:
    return WriteRequest(name, digest)


def test_the_answer_is_kept_with_the_write_and_over_a_restart(tmp_path: Path) -> None:
    dice = np.random.default_rng(0)
    first = opened(tmp_path, DIMENSION)
    assert first.remembered(request("one")) is None
    told: list[list[int]] = []

    def answer(versions: list[int]) -> bytes:
        told.append(versions)
        return b"answer to one"

    versions = first.upsert(
        [random_record(dice, name, DIMENSION) for name in "ab"],
        request=request("one"),
        answer=answer,
    )
    assert told == [versions]
    first.delete(["a"], request=request("two"), answer=lambda: b"\0two")
    # Also where nothing is to be done.
    first.upsert([], request=request("three"))
    first.delete(["a"], request=request("four"), answer=lambda: b"four")
    first.close()
    second = opened(tmp_path, DIMENSION)
    assert everything(second).keys() == {"b"}
    kept = [second.remembered(request(name)) for name in ("one", "two", "three", "four", "five")]
    assert kept == [b"answer to one", b"\0two", b"", b"four", None]
    second.close()


def test_an_id_stands_for_one_request(catalogue: SqliteCatalogue) -> None:
    record = random_record(np.random.default_rng(0), "a", DIMENSION)
    catalogue.delete([], request=request("one"))
    for call in (
        lambda: catalogue.remembered(request("one", b"other")),
        lambda: catalogue.upsert([record], request=request("one", b"other")),
        lambda: catalogue.upsert([record], request=request("one")),
    ):
        with pytest.raises(InvalidArgumentError) as caught:
            call()
        assert (caught.value.reason, caught.value.field) == ("REQUEST_ID_REUSED", "request_id")
    assert everything(catalogue) == {}


def test_what_fails_is_not_remembered(catalogue: SqliteCatalogue) -> None:
    record = random_record(np.random.default_rng(0), "a", DIMENSION)

    def answer(versions: list[int]) -> bytes:
        raise KeyError("no answer")

    generation = catalogue.generation
    with pytest.raises(KeyError):
        catalogue.upsert([record], request=request("one"), answer=answer)
    assert catalogue.remembered(request("one")) is None
    assert (everything(catalogue), catalogue.generation) == ({}, generation)


def test_old_requests_are_forgotten(
    catalogue: SqliteCatalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests, "REMEMBERED_REQUESTS", 10)
    for number in range(30):
        catalogue.delete([], request=request(f"r{number}"))
        known = [n for n in range(30) if catalogue.remembered(request(f"r{n}")) is not None]
        assert known == list(range(max(0, number - 9), number + 1))
    # What was forgotten may come again, with other content.
    catalogue.delete([], request=request("r0", b"other"))
    assert catalogue.remembered(request("r0", b"other")) == b""
    monkeypatch.setattr(requests, "REMEMBERED_SECONDS", -60.0)
    assert catalogue.remembered(request("r0", b"other")) is None
    catalogue.delete([], request=request("r0", b"third"))
    assert list(catalogue.labels()) == []
