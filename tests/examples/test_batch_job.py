from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from client.scripted_server import ScriptedServer
from demo_server import DemoServer
from examples import batch_job
from examples.batch_job import AT_ONCE, every_combination, run
from tashihiki import (
    DeadlineExceededError,
    FailedPreconditionError,
    Item,
    NotFoundError,
    ResourceExhaustedError,
    TashihikiError,
)
from tashihiki.testing import FakeServer
from tashihiki.v1 import search_pb2


def lines(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]


async def test_a_job_that_was_cut_short_goes_on(demo: DemoServer, tmp_path: Path) -> None:
    out = tmp_path / "answers.jsonl"
    queries = await every_combination(demo.address)
    assert len(queries) == 10 * 7
    assert await run(demo.address, queries[:12], out) == 12
    with out.open("a") as file:
        file.write('{"query": "pers')

    assert await run(demo.address, [*queries, "person:KR + HAPY"], out) == 70 - 12 + 1
    answers = {line["query"]: line for line in lines(out)}
    assert len(answers) == len(lines(out)) == 71
    assert answers.pop("person:KR + HAPY")["error"]["reason"] == "UNKNOWN_VALUE"
    for query, answer in answers.items():
        person, _, expression = query.removeprefix("person:").partition(" + expression:")
        assert answer["hits"][0]["id"].startswith(f"{person}.{expression[:2]}")

    assert await run(demo.address, queries, out) == 0


async def test_a_busy_server_is_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch_job, "PAUSES", (0.001, 0.001))
    busy = ResourceExhaustedError("Busy.", reason="OVERLOADED", retry_delay=0.001)
    server = ScriptedServer()
    # The client asks four times by itself, for each of the first two times that the job does.
    found = search_pb2.SearchResponse(hits=[search_pb2.Hit(id="one")])
    server.answer("Search", *[busy] * 8, found)
    server.start()
    try:
        out = tmp_path / "answers.jsonl"
        assert await run(server.target, ["KR"], out) == 1
        assert lines(out)[0]["hits"][0]["id"] == "one"
        assert len(server.received("Search")) == 9

        server.answer("Search", busy)
        with pytest.raises(ResourceExhaustedError):
            await run(server.target, ["UY", "TM"], out)
        assert len(lines(out)) == 1, "what was not answered is for the next run"
    finally:
        server.stop()


@pytest.mark.parametrize(
    ("error", "asked_again"),
    [
        (FailedPreconditionError("Soon.", reason="PROTOTYPE_PENDING"), True),
        (DeadlineExceededError("Late.", reason="DEADLINE_EXCEEDED"), True),
        (FailedPreconditionError("Never.", reason="FACET_WITHOUT_CONTRAST"), False),
        (NotFoundError("Gone.", reason="UNKNOWN_ITEM"), False),
    ],
)
async def test_an_error_of_one_query_is_a_line_and_the_job_goes_on(
    tmp_path: Path, error: TashihikiError, asked_again: bool
) -> None:
    server = ScriptedServer()
    found = search_pb2.SearchResponse(hits=[search_pb2.Hit(id="one")])
    server.answer("Search", error, found)
    server.start()
    try:
        out = tmp_path / "answers.jsonl"
        assert await run(server.target, ["KR", "UY"], out) == 2
        assert [line.get("error", {}).get("reason") for line in lines(out)].count(error.reason) == 1
        assert await run(server.target, ["KR", "UY"], out) == asked_again
        assert await run(server.target, ["KR", "UY"], out) == 0
    finally:
        server.stop()


async def test_an_error_of_the_collection_ends_the_job(tmp_path: Path) -> None:
    server = ScriptedServer()
    server.answer("Search", NotFoundError("None.", reason="UNKNOWN_COLLECTION"))
    server.start()
    try:
        out = tmp_path / "answers.jsonl"
        with pytest.raises(NotFoundError):
            await run(server.target, ["KR"], out)
        assert out.read_text() == ""
    finally:
        server.stop()


async def test_values_of_several_words_are_asked_for(tmp_path: Path) -> None:
    people = ["Mary Ann", "Jean-Luc", 'the "third"']
    items = [
        Item(
            name,
            image=b"\xff\xd8\xff\xe0" + name.encode(),
            attributes={"person": name, "expression": "in love"},
        )
        for name in people
    ]
    with FakeServer({batch_job.COLLECTION: items}) as server:
        queries = await every_combination(server.address)
        out = tmp_path / "answers.jsonl"
        assert await run(server.address, queries, out) == 3
        assert {line["hits"][0]["id"] for line in lines(out)} == set(people)


async def test_so_many_queries_are_under_way_at_once_and_no_more(tmp_path: Path) -> None:
    # Lets nobody through before so many have come; one more would have to wait for ever.
    full = threading.Barrier(AT_ONCE)
    server = ScriptedServer()

    def together(request: Any, context: Any) -> search_pb2.SearchResponse:
        full.wait(30)
        return search_pb2.SearchResponse()

    server.answer("Search", together)
    server.start()
    try:
        queries = [f"value_{number}" for number in range(3 * AT_ONCE)]
        assert await run(server.target, queries, tmp_path / "answers.jsonl") == len(queries)
    finally:
        server.stop()
