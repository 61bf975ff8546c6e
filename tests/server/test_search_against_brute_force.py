"""Search over a collection that is large enough for the index, against numpy."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose

from calls import (
    Floats,
    array,
    create,
    delete,
    failure,
    fresh_name,
    get,
    hit_ids,
    search,
    stored_vectors,
    term,
    text_filter,
    upsert,
    vector,
    vector_item,
)
from gallery import Gallery, random_vectors, unit
from routes import only_route
from serving import Served, serving
from tashihiki.v1 import catalog_pb2, search_pb2
from tashihiki_server.index.base import Route
from tashihiki_server.library import Library
from tiny_encoder import DIMENSION

ROUTES = {
    Route.GRAPH: search_pb2.SEARCH_ROUTE_INDEX,
    Route.CELLS: search_pb2.SEARCH_ROUTE_CELLS,
}
COUNT = 1500
# Of 1,500 items: how many carry the label.
SHARES = {"half": 750, "tenth": 150, "hundredth": 15}


def labels_of(number: int) -> dict[str, str]:
    return {
        "size": f"s{number % 7}",
        **{name: "yes" for name, members in SHARES.items() if number % (COUNT // members) == 0},
    }


def clustered(count: int, seed: int) -> Floats:
    """Non-negative vectors around thirty centres: sums of them fall between the clusters."""
    random = np.random.default_rng(seed)
    centres = np.abs(random.normal(size=(30, DIMENSION)))
    rows = centres[random.integers(30, size=count)] + 0.4 * np.abs(
        random.normal(size=(count, DIMENSION))
    )
    result: Floats = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return result


def load(served: Served, name: str, rows: Floats, first: int = 0) -> dict[str, dict[str, str]]:
    labels = {f"i{number:05}": labels_of(number) for number in range(first, first + len(rows))}
    inputs = [
        vector_item(identifier, row, **labels[identifier])
        for identifier, row in zip(labels, rows, strict=True)
    ]
    for start in range(0, len(inputs), 1000):
        upsert(served, name, inputs[start : start + 1000])
    return labels


@pytest.fixture(scope="module", params=list(ROUTES), ids=lambda route: route.value, autouse=True)
def route(request: pytest.FixtureRequest) -> Iterator[search_pb2.SearchRoute.ValueType]:
    """How indexes of this module are searched."""
    with only_route(request.param):
        yield ROUTES[request.param]


@pytest.fixture(scope="module")
def indexed(module_served: Served, route: int) -> Gallery:
    """Fifteen hundred items, all of them in the index."""
    name = create(module_served, fresh_name("indexed"))
    labels = load(module_served, name, clustered(COUNT, 1))
    module_served.library.collection(name).settle()
    return Gallery(name, stored_vectors(module_served, name), labels)


@pytest.fixture(scope="module")
def worn(module_served: Served, route: int) -> Gallery:
    """An index that has been written over since: items came, went and changed."""
    name = create(module_served, fresh_name("worn"))
    labels = load(module_served, name, clustered(1400, 2))
    module_served.library.collection(name).settle()
    labels |= load(module_served, name, clustered(100, 3), first=1400)
    gone = [f"i{number:05}" for number in range(0, 1400, 28)]
    delete(module_served, name, *gone)
    for identifier in gone:
        del labels[identifier]
    moved = clustered(50, 4)
    load(module_served, name, moved, first=1)
    labels |= {f"i{number:05}": labels_of(number) for number in range(1, 51)}
    relabelled = [f"i{number:05}" for number in range(701, 711)]
    items = [catalog_pb2.ItemInput(id=i, attributes={"tenth": "yes"}) for i in relabelled]
    upsert(module_served, name, items)
    labels |= {identifier: {"tenth": "yes"} for identifier in relabelled}
    return Gallery(name, stored_vectors(module_served, name), labels)


def composed_queries(gallery: Gallery, count: int, seed: int) -> list[Floats]:
    """Sums of two or three items: what is hard for a graph."""
    random = np.random.default_rng(seed)
    rows = np.stack(list(gallery.vectors.values()))
    return [
        unit(rows[random.integers(len(rows), size=2 + number % 2)].sum(axis=0))
        for number in range(count)
    ]


def ask(
    served: Served, gallery: Gallery, query: Floats, limit: int, condition: str = ""
) -> search_pb2.SearchResponse:
    terms = [term(vector=vector(query))]
    admits = text_filter(condition) if condition else None
    return search(served, gallery.name, terms, limit=limit, filter=admits)


def recall(gallery: Gallery, query: Floats, found: Sequence[str], truth: Sequence[str]) -> float:
    """How many are as near as the truth's last; the items of a sum are equally near to it."""
    if not truth:
        return 1.0
    worst = float(gallery.vectors[truth[-1]] @ query) - 1e-6
    return sum(float(gallery.vectors[i] @ query) >= worst for i in found) / len(truth)


def check(
    served: Served, gallery: Gallery, limit: int, condition: str, admits: Callable[[str], bool]
) -> float:
    """Checks what must always hold; returns the mean recall."""
    allowed = [identifier for identifier in gallery.vectors if admits(identifier)]
    recalls = []
    for query in composed_queries(gallery, 200 if limit <= 10 else 12, seed=limit):
        answer = ask(served, gallery, query, limit, condition)
        found = hit_ids(answer)
        assert len(found) == len(set(found)) == min(limit, len(allowed))
        assert set(found) <= set(allowed)
        similarities = [hit.similarity for hit in answer.hits]
        assert similarities == sorted(similarities, reverse=True)
        truth = gallery.ranking(query, allowed)[:limit]
        recalls.append(recall(gallery, query, found, truth))
        assert recalls[-1] == 1.0 or answer.route != search_pb2.SEARCH_ROUTE_EXACT
        expected = [gallery.vectors[identifier] @ query for identifier in found]
        assert_allclose(similarities, expected, atol=2e-6)
    return float(np.mean(recalls))


LIMITS = (1, 10, 100, 350, 999, 1000)


@pytest.mark.parametrize("limit", LIMITS)
def test_composed_queries_find_what_brute_force_finds(
    module_served: Served, indexed: Gallery, limit: int
) -> None:
    assert check(module_served, indexed, limit, "", lambda identifier: True) >= 0.95


@pytest.mark.parametrize("limit", LIMITS)
def test_the_same_after_items_have_come_gone_and_changed(
    module_served: Served, worn: Gallery, limit: int
) -> None:
    assert check(module_served, worn, limit, "", lambda identifier: True) >= 0.95


def test_the_index_answers_small_queries(
    module_served: Served, indexed: Gallery, route: int
) -> None:
    (query,) = composed_queries(indexed, 1, seed=0)
    assert ask(module_served, indexed, query, 10).route == route


@pytest.mark.parametrize("limit", [1, 10, 200, 1000])
@pytest.mark.parametrize("share", ["half", "tenth", "hundredth"])
def test_filters_of_every_selectivity_fill_the_limit(
    module_served: Served, indexed: Gallery, worn: Gallery, share: str, limit: int
) -> None:
    for gallery in (indexed, worn):
        found = check(
            module_served,
            gallery,
            limit,
            f"{share}:yes",
            lambda identifier, g=gallery: g.attributes[identifier].get(share) == "yes",  # type: ignore[misc]
        )
        assert found >= 0.95


def test_a_filter_that_admits_nothing_finds_nothing(
    module_served: Served, indexed: Gallery
) -> None:
    condition = "size:s1 and size:s2"
    assert check(module_served, indexed, 10, condition, lambda identifier: False) == 1.0


def test_a_filter_over_unlabelled_items(module_served: Served, indexed: Gallery) -> None:
    found = check(
        module_served,
        indexed,
        50,
        "not tenth:yes and not size in (s0, s1)",
        lambda identifier: (
            "tenth" not in indexed.attributes[identifier]
            and indexed.attributes[identifier]["size"] not in ("s0", "s1")
        ),
    )
    assert found >= 0.95


def test_a_loose_filter_over_a_large_collection_goes_by_the_index(
    module_served: Served, route: int
) -> None:
    name = create(module_served, fresh_name("loose"))
    labels = load(module_served, name, clustered(4400, 8))
    module_served.library.collection(name).settle()
    gallery = Gallery(name, stored_vectors(module_served, name), labels)
    routes = [
        ask(module_served, gallery, query, 10, "not size:s0").route
        for query in composed_queries(gallery, 9, seed=1)
    ]
    # A hard one may have so many cells to look through that all rows are compared instead.
    assert sum(found == route for found in routes) >= 6
    found = check(module_served, gallery, 10, "not size:s0", lambda i: labels[i]["size"] != "s0")
    assert found >= 0.95


def test_operands_are_made_up_for_on_the_index_route(
    module_served: Served, indexed: Gallery, route: int
) -> None:
    first = list(indexed.vectors)[:20]
    text = " + ".join(f"item({identifier})" for identifier in first)
    total = unit(np.sum([indexed.vectors[identifier] for identifier in first], axis=0))
    rest = [identifier for identifier in indexed.vectors if identifier not in first]
    answer = search(module_served, indexed.name, text, limit=30)
    assert answer.route == route
    assert len(answer.hits) == 30
    assert not set(hit_ids(answer)) & set(first)
    truth = indexed.ranking(total, rest)[:30]
    assert recall(indexed, total, hit_ids(answer), truth) >= 0.9


def test_a_limit_beyond_the_indexed_items_still_finds_the_newer_ones(
    module_served: Served,
) -> None:
    name = create(module_served, fresh_name("half-indexed"))
    rows = random_vectors(500, 5)
    upsert(module_served, name, [vector_item(f"i{n:03}", row) for n, row in enumerate(rows[:300])])
    module_served.library.collection(name).settle()
    late = [vector_item(f"i{n:03}", row) for n, row in enumerate(rows[300:], start=300)]
    upsert(module_served, name, late)
    gallery = Gallery(name, stored_vectors(module_served, name), {})
    for query in random_vectors(5, 6):
        for limit in (250, 301, 400, 499, 500, 1000):
            found = hit_ids(ask(module_served, gallery, query, limit))
            assert found == gallery.ranking(query)[:limit]


def test_a_write_is_seen_by_the_next_search(module_served: Served) -> None:
    name = create(module_served, fresh_name("written"), keep_negative=True)
    load(module_served, name, clustered(600, 9))
    module_served.library.collection(name).settle()
    gallery = Gallery(name, {}, {})
    for number, row in enumerate(random_vectors(25, 10, signed=True)):
        identifier = f"new{number % 5}"
        answer = upsert(module_served, name, [vector_item(identifier, row, mark="new")])
        assert answer.upserted_count == 1
        assert hit_ids(ask(module_served, gallery, row, 1)) == [identifier]
        marked = search(
            module_served, name, [term(vector=vector(row))], filter=text_filter("mark:new")
        )
        assert hit_ids(marked)[0] == identifier
        if number % 2:
            delete(module_served, name, identifier)
            assert identifier not in hit_ids(ask(module_served, gallery, row, 1000))


def test_a_replaced_vector_is_not_found_where_it_was(module_served: Served) -> None:
    name = create(module_served, fresh_name("moved"), keep_negative=True)
    rows = clustered(400, 11)
    load(module_served, name, rows)
    module_served.library.collection(name).settle()
    gallery = Gallery(name, {}, {})
    far = random_vectors(1, 12, signed=True)[0]
    upsert(module_served, name, [vector_item("i00007", far)])
    (hit,) = ask(module_served, gallery, far, 1).hits
    assert hit.id == "i00007"
    assert hit.similarity == pytest.approx(1.0, abs=1e-6)
    everything = ask(module_served, gallery, rows[7], 1000)
    (found,) = [hit for hit in everything.hits if hit.id == "i00007"]
    assert found.similarity == pytest.approx(float(far @ rows[7]), abs=2e-6)
    assert len(everything.hits) == 400


def test_the_generation_rises_with_every_write(module_served: Served) -> None:
    name = create(module_served, fresh_name("generations"))
    query = [term(vector=vector(random_vectors(1, 13)[0]))]
    seen = [search(module_served, name, query).generation]
    for number, row in enumerate(random_vectors(4, 14)):
        upsert(module_served, name, [vector_item(f"i{number}", row)])
        seen.append(search(module_served, name, query).generation)
    delete(module_served, name, "i0")
    seen.append(search(module_served, name, query).generation)
    assert seen == sorted(set(seen))


def test_answers_are_the_same_after_a_restart(
    tmp_path: Path, open_library: Callable[..., Library], tiny_encoder_bundle: Path
) -> None:
    folder = tmp_path / "kept"
    queries = random_vectors(5, 15)

    def answers(served: Served) -> list[search_pb2.SearchResponse]:
        return [
            search(
                served,
                "kept",
                [term(vector=vector(query)), term(0.5, attribute=("size", "s3"))],
                limit=1000,
            )
            for query in queries
        ]

    library = Library(folder, tiny_encoder_bundle)
    try:
        with serving(library) as served:
            load(served, create(served, "kept"), clustered(600, 16))
            library.collection("kept").settle()
            load(served, "kept", clustered(40, 17), first=580)
            delete(served, "kept", "i00001", "i00600")
            before = answers(served)
    finally:
        library.close()
    with serving(open_library(folder)) as served:
        after = answers(served)
        assert get(served, "kept", "i00619").attributes["size"] == "s3"
        assert failure(lambda: get(served, "kept", "i00001")).reason == "UNKNOWN_ITEM"
    assert [hit_ids(answer) for answer in after] == [hit_ids(answer) for answer in before]
    assert all(len(answer.hits) == 618 for answer in after)


def test_a_response_holds_what_the_item_holds(module_served: Served, indexed: Gallery) -> None:
    (hit,) = search(module_served, indexed.name, "size:s3", limit=1).hits
    item = get(module_served, indexed.name, hit.id, include_vector=True)
    assert dict(hit.attributes) == dict(item.attributes)
    prototype = indexed.prototype("size", "s3")
    assert hit.similarity == pytest.approx(float(array(item.vector) @ prototype), abs=2e-6)
