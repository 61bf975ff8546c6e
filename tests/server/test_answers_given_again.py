"""An answer is given again while the collection is as it was, and never after."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from calls import create, delete, metadata, query, search, term, upsert, vector_item
from gallery import random_vectors
from serving import Served, serving
from tashihiki.v1 import catalog_pb2, composition_pb2, search_pb2
from tashihiki_server.collection.collection import Collection
from tashihiki_server.collection.nearest import Nearest
from tashihiki_server.encoder.embedder import Embedder
from tashihiki_server.images import ImageLimits
from tashihiki_server.library import Library
from tashihiki_server.service.hits import pages
from tashihiki_server.service.search import SearchApi

ROWS = random_vectors(30, 5)
SKIP = composition_pb2.MISSING_ITEMS_SKIP
FORM = "all:yes - 0.3 * item(i03)"


def item(number: int, **attributes: str) -> catalog_pb2.ItemInput:
    return vector_item(f"i{number:02}", ROWS[number], **({"all": "yes"} | attributes))


def described(number: int) -> catalog_pb2.ItemInput:
    made = item(number)
    made.metadata.CopyFrom(metadata({"price": 3}))
    return made


@pytest.fixture
def served(library: Library) -> Any:
    with serving(library) as running:
        create(running, "c")
        upsert(running, "c", [item(number) for number in range(20)])
        yield running


@pytest.fixture
def look_ups(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """One entry for each look-up."""
    nearest = Collection.nearest
    done: list[object] = []

    def counted(self: Collection, *args: Any) -> Nearest:
        done.append(args)
        return nearest(self, *args)

    monkeypatch.setattr(Collection, "nearest", counted)
    return done


def test_what_was_just_asked_is_not_looked_up_again(served: Served, look_ups: list[object]) -> None:
    first = search(served, "c", FORM, limit=5)
    assert look_ups
    look_ups.clear()
    assert search(served, "c", FORM, limit=5) == first
    assert not look_ups
    search(served, "c", FORM, limit=6)
    assert look_ups


@pytest.mark.parametrize("once", ["include_timings", "include_thumbnails"])
def test_what_is_asked_about_the_call_itself_is_looked_up(
    served: Served, look_ups: list[object], once: str
) -> None:
    for _ in range(2):
        look_ups.clear()
        options: dict[str, Any] = {once: True}
        search(served, "c", FORM, limit=5, **options)
        assert look_ups
    assert not search(served, "c", FORM, limit=5).HasField("timings")


@pytest.mark.parametrize(
    "write",
    [
        lambda served: upsert(served, "c", [item(25)]),
        lambda served: upsert(served, "c", [described(7)]),
        lambda served: upsert(served, "c", [item(7, all="no")]),
        lambda served: upsert(served, "c", [vector_item("i03", ROWS[28], all="yes")]),
        lambda served: delete(served, "c", "i07"),
    ],
    ids=["new item", "metadata", "attribute", "operand", "deletion"],
)
def test_after_a_write_the_answer_is_that_of_who_never_answered(
    served: Served, library: Library, write: Callable[[Served], object]
) -> None:
    request = search_pb2.SearchRequest(collection="c", query=query(FORM), limit=20)
    before = search(served, "c", FORM, limit=20)
    write(served)
    after = search(served, "c", FORM, limit=20)
    fresh = SearchApi(library, Embedder(ImageLimits(), 1)).search(request)
    assert after.hits == fresh.hits
    assert after.hits != before.hits


@pytest.mark.parametrize(
    "write",
    [
        lambda served: upsert(served, "c", [vector_item("i03", ROWS[28], all="yes")]),
        lambda served: delete(served, "c", "i03"),
    ],
    ids=["operand", "deletion"],
)
def test_an_answer_that_a_write_overtook_is_not_given_again(
    served: Served,
    library: Library,
    monkeypatch: pytest.MonkeyPatch,
    write: Callable[[Served], object],
) -> None:
    resolve, left = SearchApi._resolve, iter([write])

    def overtaken(self: SearchApi, *args: Any) -> Any:
        found = resolve(self, *args)
        for late in left:
            late(served)
        return found

    monkeypatch.setattr(SearchApi, "_resolve", overtaken)
    api, other = (SearchApi(library, Embedder(ImageLimits(), 1)) for _ in range(2))
    form = query([term(item_id="i03"), term(attribute=("all", "yes"))])
    request = search_pb2.SearchRequest(collection="c", query=form, limit=5, missing_items=SKIP)
    api.search(request)
    again, fresh = api.search(request), other.search(request)
    assert again.hits == fresh.hits
    assert again.unresolved_terms == fresh.unresolved_terms


def test_a_page_token_that_is_given_again_still_leads_on(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "MAX_QUERIES", 1)
    search(served, "c", FORM, limit=5)
    search(served, "c", "item(i05)", limit=5)
    token = search(served, "c", FORM, limit=5).next_page_token
    assert len(search(served, "c", FORM, limit=5, page_token=token).hits) == 5
