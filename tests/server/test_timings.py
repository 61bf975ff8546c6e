"""Where a call's time went, as the server tells it."""

from __future__ import annotations

import threading
import time
from contextlib import suppress

import pytest

from calls import compose, png, query, random_picture, search, term, text_filter
from gallery import Gallery, goods
from server_process import eventually
from serving import LOOPBACK, Served, serving
from tashihiki.v1 import search_pb2
from tashihiki_server.library import Library
from tashihiki_server.service.search import SearchApi
from tashihiki_server.service.server import ServerConfig
from tashihiki_server.stopwatch import Stopwatch, running, stage


@pytest.fixture(scope="module")
def shop(module_served: Served) -> Gallery:
    return goods(module_served, "items")


def names(timings: search_pb2.Timings) -> list[str]:
    return [stage.name for stage in timings.stages]


def check_sum(timings: search_pb2.Timings) -> None:
    assert all(stage.seconds >= 0 for stage in timings.stages)
    assert 0 < sum(stage.seconds for stage in timings.stages) <= timings.total_seconds


def test_a_search_tells_its_stages_in_the_order_of_its_way(
    module_served: Served, shop: Gallery
) -> None:
    found = search(module_served, shop.name, "red", include_timings=True)
    assert names(found.timings) == ["queue", "resolve", "compose", "look_up", "fetch", "respond"]
    check_sum(found.timings)


def test_what_a_search_needs_besides_has_stages_of_its_own(
    module_served: Served, shop: Gallery
) -> None:
    pixels, _ = random_picture(3)
    found = search(
        module_served,
        shop.name,
        [term(image=png(pixels)), term(attribute=("colour", "red"))],
        filter=text_filter("colour:red"),
        rerank=search_pb2.RERANK_ON,
        include_timings=True,
    )
    assert names(found.timings) == [
        "queue",
        "resolve",
        "decode",
        "encode",
        "compose",
        "filter",
        "look_up",
        "rerank",
        "fetch",
        "respond",
    ]
    check_sum(found.timings)


def test_a_composition_tells_its_stages_too(module_served: Served, shop: Gallery) -> None:
    composed = compose(module_served, shop.name, "red", include_timings=True)
    assert names(composed.timings) == ["queue", "resolve", "compose"]
    check_sum(composed.timings)


def test_nobody_is_told_who_did_not_ask(module_served: Served, shop: Gallery) -> None:
    assert not search(module_served, shop.name, "red").HasField("timings")
    assert not compose(module_served, shop.name, "red").HasField("timings")
    single = search_pb2.SearchRequest(
        collection=shop.name, query=query("red"), include_timings=True
    )
    batch = search_pb2.BatchSearchRequest(requests=[single])
    (result,) = module_served.search.BatchSearch(batch).results
    assert result.response.hits
    assert not result.response.HasField("timings")


def test_waiting_for_a_thread_is_the_queue(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, opened = threading.Event(), threading.Event()

    def slow(_: object, request: search_pb2.SearchRequest) -> search_pb2.SearchResponse:
        begun.set()
        assert opened.wait(20)
        return search_pb2.SearchResponse()

    monkeypatch.setattr(SearchApi, "search", slow)
    monkeypatch.setattr(SearchApi, "search_at_once", lambda api, request: None)
    with serving(library, ServerConfig(address=LOOPBACK, threads=1)) as served:
        request = search_pb2.SearchRequest(include_timings=True)
        first = served.search.Search.future(request, timeout=20)
        assert begun.wait(20)
        begin = time.perf_counter()
        second = served.search.Search.future(request, timeout=20)
        eventually(lambda: time.perf_counter() - begin > 0.5, "half a second passes")
        opened.set()
        stages = [
            {s.name: s.seconds for s in call.result(20).timings.stages} for call in (first, second)
        ]
    assert stages[0]["queue"] < stages[1]["queue"]
    assert stages[1]["queue"] > 0.25


def test_time_counts_for_the_innermost_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(time, "perf_counter", lambda: now)
    watch = Stopwatch(now)
    now += 1
    watch.lap("waited")
    with running(watch):
        with stage("outer"):
            now += 2
            with stage("inner"):
                now += 4
            now += 8
        now += 16
        with stage("inner"):
            now += 32
    with stage("after"):
        now += 64
    assert dict(watch.stages) == {"waited": 1, "outer": 10, "inner": 36}
    assert list(watch.stages) == ["waited", "outer", "inner"]
    assert watch.total == 127


def test_a_stage_that_fails_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(time, "perf_counter", lambda: now)
    watch = Stopwatch(now)
    with running(watch), stage("outer"):
        with suppress(LookupError), stage("inner"):
            now += 1
            raise LookupError
        now += 2
    assert dict(watch.stages) == {"outer": 2, "inner": 1}
