"""Timings from the client, and `tashihiki profile`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from client.scripted_server import ScriptedServer
from client.shell import run
from tashihiki import AsyncClient, Client, Timings
from tashihiki.v1 import search_pb2

TIMINGS = search_pb2.Timings(
    total_seconds=0.004,
    stages=[
        search_pb2.Stage(name="queue", seconds=0.001),
        search_pb2.Stage(name="look_up", seconds=0.002),
    ],
)
FOUND = search_pb2.SearchResponse(timings=TIMINGS)
TOLD = Timings(0.004, {"queue": 0.001, "look_up": 0.002})


async def test_timings_are_asked_for_and_read(
    server: ScriptedServer, client: Client, async_client: AsyncClient
) -> None:
    server.answer("Search", FOUND)
    server.answer("Compose", search_pb2.ComposeResponse(timings=TIMINGS))
    assert client.search("items", "red", timings=True).timings == TOLD
    assert (await async_client.search("items", "red", timings=True)).timings == TOLD
    assert client.compose("items", "red", timings=True).timings == TOLD
    assert (await async_client.compose("items", "red", timings=True)).timings == TOLD
    assert all(call.request.include_timings for call in server.calls)


def test_without_asking_there_are_none(server: ScriptedServer, client: Client) -> None:
    assert client.search("items", "red").timings is None
    assert client.compose("items", "red").timings is None
    assert not any(call.request.include_timings for call in server.calls)


@pytest.mark.usefixtures("plain_terminal")
def test_profile_asks_again_and_again(
    server: ScriptedServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.answer("Search", FOUND)
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(b"\xff\xd8 a photo")
    options = ["--image", str(photo), "--repeat", "7", "--limit", "3", "--json"]
    assert run("profile", "items", "this image + red", *options) == 0
    assert len(server.calls) == 8
    request = server.calls[-1].request
    assert (request.collection, request.limit) == ("items", 3)
    assert request.query.expression == "this image + red"
    assert request.query.bindings.this_image == photo.read_bytes()

    told = json.loads(capsys.readouterr().out)
    assert told["count"] == 7
    stages = {stage.pop("name"): stage for stage in told["stages"]}
    assert list(stages) == ["queue", "look_up", "other", "network"]
    for name, seconds in (("queue", 0.001), ("look_up", 0.002), ("other", 0.001)):
        assert stages[name]["p50_seconds"] == pytest.approx(seconds)
        assert stages[name]["p99_seconds"] == pytest.approx(seconds)
    whole = told["round_trip"]["p50_seconds"]
    assert stages["network"]["p50_seconds"] == pytest.approx(whole - 0.004)
    assert stages["look_up"]["share"] == pytest.approx(2 * stages["queue"]["share"])
    assert sum(stage["share"] for stage in stages.values()) == pytest.approx(1)


@pytest.mark.usefixtures("plain_terminal")
def test_profile_prints_a_row_for_each_stage(
    server: ScriptedServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.answer("Search", FOUND)
    assert run("profile", "items", "-red + blue", "--repeat", "3") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == [
        *("stage", "queue", "look_up", "other", "network", "round", "3")
    ]
    assert lines[2].split()[1:3] == ["2.000", "2.000"]


@pytest.mark.usefixtures("plain_terminal")
def test_a_server_without_timings_is_an_error(
    server: ScriptedServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.answer("Search", search_pb2.SearchResponse())
    assert run("profile", "items", "red") == 1
    assert "TIMINGS_MISSING" in capsys.readouterr().err
