"""Short searches are answered by the event loop, whatever the threads do."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

from calls import (
    create,
    hit_ids,
    metadata,
    query,
    search,
    term,
    text_filter,
    upsert,
    vector,
    vector_item,
)
from gallery import random_vectors
from serving import LOOPBACK, Served, serving
from tashihiki.v1 import search_pb2
from tashihiki_server.collection.collection import Collection
from tashihiki_server.collection.nearest import Nearest
from tashihiki_server.deadline import check_deadline
from tashihiki_server.encoder.embedder import Embedder
from tashihiki_server.images import ImageLimits
from tashihiki_server.library import Library
from tashihiki_server.service import at_once
from tashihiki_server.service.search import SearchApi
from tashihiki_server.service.server import ServerConfig

ROWS = random_vectors(30, 5)
SECONDS = 30.0


def fill(served: Served) -> None:
    create(served, "c")
    upsert(served, "c", [vector_item(f"i{n:02}", row, all="yes") for n, row in enumerate(ROWS)])


def test_a_short_search_needs_no_thread_and_a_filtered_one_does(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, opened = threading.Event(), threading.Event()

    def held(api: SearchApi, request: object) -> search_pb2.BatchSearchResponse:
        begun.set()
        while not opened.wait(0.01):
            check_deadline()
        return search_pb2.BatchSearchResponse()

    monkeypatch.setattr(SearchApi, "batch_search", held)
    config = ServerConfig(address=LOOPBACK, grace=2.0, threads=1)
    with serving(library, config) as served:
        fill(served)
        stub: Any = served.search
        batch = stub.BatchSearch.future(search_pb2.BatchSearchRequest(), timeout=SECONDS)
        assert begun.wait(SECONDS)
        assert len(hit_ids(search(served, "c", "all:yes", limit=7))) == 7
        filtered = search_pb2.SearchRequest(
            collection="c", query=query("all:yes"), filter=text_filter("all:yes")
        )
        waiting = stub.Search.future(filtered, timeout=SECONDS)
        assert not waiting.done()
        opened.set()
        batch.result()
        assert len(waiting.result().hits) == 10


def test_both_ways_give_the_same_answer(library: Library) -> None:
    with serving(library) as served:
        fill(served)
        # Each by itself, since one that has answered before would do so again.
        patient, prompt = (SearchApi(library, Embedder(ImageLimits(), 1)) for _ in range(2))
        for form in ("all:yes", "this item", "item(i03)", "item(i03) - 0.5 * item(i07) + all:yes"):
            asked = query(form, this_item="i03")
            request = search_pb2.SearchRequest(collection="c", query=asked, limit=12)
            found = prompt.search_at_once(request)
            assert found is not None
            answer = patient.search(request)
            assert found.hits == answer.hits
            assert found.terms == answer.terms


@pytest.mark.parametrize(
    "change",
    [
        {"limit": 101},
        {"page_token": "next"},
        {"include_thumbnails": True},
        {"filter": text_filter("all:yes")},
        {"grouping": search_pb2.Grouping(facet="all")},
        {"diversity": search_pb2.Diversity(balance=0.5)},
        {"query": query("this image + all:yes", this_image=b"x")},
        {"query": query(" + ".join(["all:yes"] * 40))},
        {"query": query("all:yse")},
        {"query": query("item(i01) + item(i02) + item(i03)")},
        {"query": query("all:yes + item(i99)")},
        {"query": query("all:yes + this item", this_item="i99")},
        {"query": query("item(i01) - all")},
        {"query": query([term(item_id="i" * 2000)])},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_may_take_longer_is_left_to_a_thread(library: Library, change: dict[str, Any]) -> None:
    with serving(library) as served:
        fill(served)
    api = SearchApi(library, Embedder(ImageLimits(), 1))
    given: dict[str, Any] = {"collection": "c", "query": query("all:yes"), "limit": 5}
    request = search_pb2.SearchRequest(**(given | change))
    assert api.search_at_once(request) is None


def test_hits_with_much_to_tell_are_left_to_a_thread_unread(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(library) as served:
        fill(served)
        api = SearchApi(library, Embedder(ImageLimits(), 1))
        request = search_pb2.SearchRequest(collection="c", query=query("all:yes"), limit=5)
        assert api.search_at_once(request) is not None
        items = [vector_item(f"i{n:02}", row, all="yes") for n, row in enumerate(ROWS)]
        for item in items:
            item.metadata.CopyFrom(metadata({f"key{n}": n for n in range(1000)}))
        upsert(served, "c", items)
        reads: list[object] = []
        read = Collection.hit_items

        def counted(self: Collection, *args: Any, **options: Any) -> Any:
            reads.append(args)
            return read(self, *args, **options)

        monkeypatch.setattr(Collection, "hit_items", counted)
        assert api.search_at_once(request) is None
        assert not reads
        assert len(search(served, "c", "all:yes", limit=5).hits) == 5
        assert len(reads) == 1


def test_many_equal_hits_are_left_to_a_thread(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = 60
    monkeypatch.setattr(at_once, "MAX_COORDINATES", 30 * ROWS.shape[1])
    with serving(library) as served:
        create(served, "c")
        random = np.random.default_rng(2)
        names = [f"{number:02}" for number in random.permutation(many)]
        # Two are nearer to the query, and those farther off than the rest are never hits.
        equal, far = (ROWS[0] + noise * ROWS[1] for noise in (0.2, 2.0))
        items = [vector_item(name, equal) for name in names]
        items += [vector_item(f"z{number}", ROWS[0]) for number in (1, 0)]
        items += [vector_item(f"a{number}", far) for number in range(10)]
        upsert(served, "c", items)
        api = SearchApi(library, Embedder(ImageLimits(), 1))
        request = search_pb2.SearchRequest(
            collection="c", query=query("item(z1)"), include_operands=True
        )
        for limit in (1, 7):
            request.limit = limit
            found = api.search_at_once(request)
            assert (found is None) == (limit == 7)
            answer = api.search(request)
            expected = ["z0", "z1", *sorted(names)][:limit]
            assert [hit.id for hit in answer.hits] == expected


def test_a_hit_that_is_deleted_meanwhile_is_looked_for_again_by_a_thread(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(library) as served:
        fill(served)
        nearest = Collection.nearest
        gone = iter(["i04"])

        def disturbed(self: Collection, *args: Any) -> Nearest:
            found = nearest(self, *args)
            for identifier in gone:
                self.delete([identifier], skip_missing=False)
            return found

        monkeypatch.setattr(Collection, "nearest", disturbed)
        similar = np.argsort(-(ROWS @ ROWS[4]), kind="stable")
        expected = [f"i{n:02}" for n in similar if n != 4][:5]
        form = [term(vector=vector(ROWS[4]))]
        assert hit_ids(search(served, "c", form, limit=5)) == expected
