"""Minimum similarity, grouping and diversity, against numpy and against searches without them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

from calls import Floats, failure, hit_ids, search, term, text_filter, vector
from gallery import Gallery, fill, unit
from serving import Served
from tashihiki.v1 import search_pb2
from tiny_encoder import DIMENSION

ON = search_pb2.RERANK_ON
COUNT = 700
SIZES = {"crowd": 450, "few": 60, "some": 90, "rare": 4}


def drawn() -> tuple[dict[str, dict[str, str]], dict[str, Floats]]:
    """A crowd about the first axis, other values further off, and items without any."""
    random = np.random.default_rng(5)
    values = [value for value, size in SIZES.items() for _ in range(size)]
    labels, vectors = {}, {}
    for number in range(COUNT):
        identifier = f"i{number:03}"
        colour = {"colour": values[number]} if number < len(values) else {}
        labels[identifier] = {"shape": f"s{number % 3}", **colour}
        near = 2.0 if colour.get("colour") == "crowd" else 0.5
        axis = near * np.eye(DIMENSION)[0]
        vectors[identifier] = unit(axis + 0.25 * random.normal(size=DIMENSION))
    return labels, vectors


@pytest.fixture(scope="module")
def crowd(module_served: Served) -> Gallery:
    labels, vectors = drawn()
    return fill(module_served, "crowd", labels, vectors, keep_negative=True)


def directions(count: int = 4) -> list[Floats]:
    random = np.random.default_rng(9)
    return [unit(np.eye(DIMENSION)[0] + 0.2 * random.normal(size=DIMENSION)) for _ in range(count)]


def ask(
    served: Served, gallery: Gallery, direction: Floats, **options: Any
) -> search_pb2.SearchResponse:
    return search(served, gallery.name, [term(vector=vector(direction))], **options)


def similarity(gallery: Gallery, identifier: str, direction: Floats) -> float:
    return float(gallery.vectors[identifier] @ direction)


# Minimum similarity


@pytest.mark.parametrize("limit", [1, 25, 1000])
@pytest.mark.parametrize("floor", [-1.0, 0.3, 0.75, 1.0])
def test_no_hit_is_less_similar_than_asked(
    module_served: Served, crowd: Gallery, floor: float, limit: int
) -> None:
    for direction in directions():
        answer = ask(module_served, crowd, direction, min_similarity=floor, limit=limit)
        truth = [i for i in crowd.ranking(direction) if similarity(crowd, i, direction) >= floor]
        assert hit_ids(answer) == truth[:limit]
        assert bool(answer.next_page_token) == (len(truth) > limit)


def test_the_least_similarity_is_that_which_hits_have(
    module_served: Served, crowd: Gallery
) -> None:
    (direction,) = directions(1)
    everything = ask(module_served, crowd, direction, limit=1000)
    floor = everything.hits[6].similarity
    answer = ask(module_served, crowd, direction, limit=1000, min_similarity=floor)
    assert hit_ids(answer) == hit_ids(everything)[:7]
    above = math.nextafter(floor, 2.0)
    answer = ask(module_served, crowd, direction, limit=1000, min_similarity=above)
    assert hit_ids(answer) == hit_ids(everything)[:6]


def test_what_is_re_ranked_is_similar_enough(module_served: Served, crowd: Gallery) -> None:
    options: dict[str, Any] = {"limit": 100, "rerank": ON}
    full = search(module_served, crowd.name, "few + s1", **options)
    floor = sorted(hit.similarity for hit in full.hits)[60]
    answer = search(module_served, crowd.name, "few + s1", min_similarity=floor, **options)
    assert hit_ids(answer) == [hit.id for hit in full.hits if hit.similarity >= floor]
    assert all(hit.HasField("posterior") for hit in answer.hits)


# Grouping


def greedy(
    gallery: Gallery, ranking: Sequence[str], facet: str, most: int, limit: int
) -> list[str]:
    chosen: list[str] = []
    counts: Counter[str] = Counter()
    for identifier in ranking:
        value = gallery.attributes[identifier].get(facet)
        if len(chosen) < limit and (value is None or counts[value] < most):
            chosen.append(identifier)
            if value is not None:
                counts[value] += 1
    return chosen


def grouped(facet: str, most: int = 0) -> search_pb2.Grouping:
    return search_pb2.Grouping(facet=facet, max_per_value=most)


@pytest.mark.parametrize("limit", [3, 10, 60, 1000])
@pytest.mark.parametrize(("facet", "most"), [("colour", 1), ("colour", 3), ("Shape", 20)])
def test_a_value_has_at_most_so_many_hits_and_none_is_missing(
    module_served: Served, crowd: Gallery, facet: str, most: int, limit: int
) -> None:
    for direction in directions(2):
        answer = ask(module_served, crowd, direction, limit=limit, grouping=grouped(facet, most))
        ranking = crowd.ranking(direction)
        assert hit_ids(answer) == greedy(crowd, ranking, facet.lower(), most, limit)
        assert not answer.next_page_token


def test_one_for_each_value_unless_told_otherwise(module_served: Served, crowd: Gallery) -> None:
    (direction,) = directions(1)
    answer = ask(module_served, crowd, direction, limit=50, grouping=grouped("colour"))
    assert answer == ask(module_served, crowd, direction, limit=50, grouping=grouped("colour", 1))


@pytest.mark.parametrize("limit", [5, 200])
def test_grouping_keeps_the_order_of_re_ranking(
    module_served: Served, crowd: Gallery, limit: int
) -> None:
    window = max(limit, 100)
    first = search(module_served, crowd.name, "few + s1", limit=window, rerank=ON)
    plain = search(module_served, crowd.name, "few + s1", limit=1000)
    rest = [identifier for identifier in hit_ids(plain) if identifier not in hit_ids(first)]
    answer = search(
        module_served,
        crowd.name,
        "few + s1",
        limit=limit,
        rerank=ON,
        grouping=grouped("colour", 2),
    )
    ranking = [*hit_ids(first), *rest]
    assert hit_ids(answer) == greedy(crowd, ranking, "colour", 2, limit)
    posteriors = {hit.id: hit.posterior for hit in first.hits}
    for hit in answer.hits:
        assert hit.HasField("posterior") == (hit.id in posteriors)
        if hit.id in posteriors:
            assert hit.posterior == posteriors[hit.id]


def test_grouping_within_a_filter_and_a_least_similarity(
    module_served: Served, crowd: Gallery
) -> None:
    for direction in directions():
        allowed = [
            identifier
            for identifier in crowd.ranking(direction)
            if crowd.attributes[identifier]["shape"] != "s0"
            and similarity(crowd, identifier, direction) >= 0.2
        ]
        answer = ask(
            module_served,
            crowd,
            direction,
            limit=40,
            grouping=grouped("colour", 2),
            filter=text_filter("not shape:s0"),
            min_similarity=0.2,
        )
        assert hit_ids(answer) == greedy(crowd, allowed, "colour", 2, 40)


def test_grouping_by_what_is_no_facet(module_served: Served, crowd: Gallery) -> None:
    (direction,) = directions(1)
    for facet in ("size", ""):
        found = failure(lambda f=facet: ask(module_served, crowd, direction, grouping=grouped(f)))  # type: ignore[misc]
        assert (found.code.name, found.reason) == ("INVALID_ARGUMENT", "UNKNOWN_FACET")
        assert found.field == "grouping.facet"


# Diversity


def marginal(
    gallery: Gallery,
    ranking: Sequence[str],
    direction: Floats,
    balance: float,
    limit: int,
    facet: str = "",
    most: int = 0,
) -> list[str]:
    """Maximal marginal relevance by its definition, a pool at a time."""
    rest, chosen = list(ranking), list[str]()
    counts: Counter[str | None] = Counter()
    size = max(100, 4 * limit)

    def full(identifier: str) -> bool:
        value = gallery.attributes[identifier].get(facet)
        return bool(facet) and value is not None and counts[value] >= most

    while rest and len(chosen) < limit:
        pool, rest = rest[:size], rest[size:]
        size *= 4
        while (pool := [i for i in pool if not full(i)]) and len(chosen) < limit:
            scores = [
                balance * similarity(gallery, i, direction)
                - (1 - balance)
                * max((float(gallery.vectors[i] @ gallery.vectors[c]) for c in chosen), default=0.0)
                for i in pool
            ]
            best = pool.pop(int(np.argmax(scores)))
            chosen.append(best)
            counts[gallery.attributes[best].get(facet)] += 1
        rest = [identifier for identifier in rest if not full(identifier)]
    return chosen


def diverse(balance: float) -> search_pb2.Diversity:
    return search_pb2.Diversity(balance=balance)


@pytest.mark.parametrize("limit", [1, 10, 30])
@pytest.mark.parametrize("balance", [0.05, 0.5, 0.8, 1.0])
def test_diverse_hits_are_those_of_the_definition(
    module_served: Served, crowd: Gallery, balance: float, limit: int
) -> None:
    for direction in directions(2):
        answer = ask(module_served, crowd, direction, limit=limit, diversity=diverse(balance))
        truth = marginal(crowd, crowd.ranking(direction), direction, balance, limit)
        assert hit_ids(answer) == truth
        expected = [similarity(crowd, identifier, direction) for identifier in truth]
        assert_allclose([hit.similarity for hit in answer.hits], expected, atol=2e-6)
        assert not answer.next_page_token


def test_diversity_of_1_is_similarity_alone(module_served: Served, crowd: Gallery) -> None:
    for direction in directions():
        answer = ask(module_served, crowd, direction, limit=50, diversity=diverse(1.0))
        assert hit_ids(answer) == crowd.ranking(direction)[:50]


def test_diversity_reaches_the_end_of_the_collection(module_served: Served, crowd: Gallery) -> None:
    (direction,) = directions(1)
    answer = ask(module_served, crowd, direction, limit=1000, diversity=diverse(0.7))
    assert sorted(hit_ids(answer)) == sorted(crowd.vectors)


def test_diversity_takes_identical_pictures_apart(module_served: Served) -> None:
    random = np.random.default_rng(3)
    kinds = [unit(np.eye(DIMENSION)[0] + random.normal(size=DIMENSION) / 9) for _ in range(5)]
    vectors = {f"{kind}-{copy}": kinds[kind] for kind in range(5) for copy in range(20)}
    gallery = fill(module_served, "copies", {i: {} for i in vectors}, vectors, keep_negative=True)
    answer = ask(module_served, gallery, kinds[0], limit=5, diversity=diverse(0.3))
    assert sorted(hit_ids(answer)) == [f"{kind}-0" for kind in range(5)]


def test_attributes_are_not_re_ranked_where_hits_are_to_differ(
    module_served: Served, crowd: Gallery
) -> None:
    answer = search(module_served, crowd.name, "few + s1", diversity=diverse(0.9))
    assert not any(hit.HasField("posterior") for hit in answer.hits)


@pytest.mark.parametrize(("most", "limit"), [(1, 4), (2, 30), (5, 150), (3, 1000)])
def test_diversity_passes_over_full_values(
    module_served: Served, crowd: Gallery, most: int, limit: int
) -> None:
    """The crowd fills the first pool where the limit is small."""
    (direction,) = directions(1)
    answer = ask(
        module_served,
        crowd,
        direction,
        limit=limit,
        diversity=diverse(0.6),
        grouping=grouped("colour", most),
        filter=text_filter("colour in (crowd, few, some, rare)"),
    )
    ranking = [i for i in crowd.ranking(direction) if "colour" in crowd.attributes[i]]
    truth = marginal(crowd, ranking, direction, 0.6, limit, "colour", most)
    assert hit_ids(answer) == truth
    assert len(truth) == min(limit, sum(min(most, size) for size in SIZES.values()))


# What is refused


@pytest.mark.parametrize(
    ("field", "options"),
    [
        ("min_similarity", {"min_similarity": 1.01}),
        ("min_similarity", {"min_similarity": -1.01}),
        ("min_similarity", {"min_similarity": math.nan}),
        ("min_similarity", {"min_similarity": math.inf}),
        ("grouping.max_per_value", {"grouping": grouped("colour", -1)}),
        ("grouping.max_per_value", {"grouping": grouped("colour", 1001)}),
        ("diversity.balance", {"diversity": diverse(0.0)}),
        ("diversity.balance", {"diversity": diverse(-0.5)}),
        ("diversity.balance", {"diversity": diverse(1.5)}),
        ("diversity.balance", {"diversity": diverse(math.nan)}),
        ("limit", {"limit": 1001}),
    ],
)
def test_numbers_out_of_their_range(
    module_served: Served, crowd: Gallery, field: str, options: dict[str, Any]
) -> None:
    (direction,) = directions(1)
    found = failure(lambda: ask(module_served, crowd, direction, **options))
    assert (found.code.name, found.reason) == ("INVALID_ARGUMENT", "OUT_OF_RANGE")
    assert found.field == field
    assert found.remedy


@pytest.mark.parametrize(
    ("field", "options"),
    [
        ("rerank", {"diversity": diverse(0.5), "rerank": ON}),
        ("page_token", {"diversity": diverse(0.5)}),
        ("page_token", {"grouping": grouped("colour")}),
    ],
)
def test_options_that_exclude_each_other(
    module_served: Served, crowd: Gallery, field: str, options: dict[str, Any]
) -> None:
    first = search(module_served, crowd.name, "few + s1", limit=3)
    if field == "page_token":
        options = {**options, "page_token": first.next_page_token}
    found = failure(lambda: search(module_served, crowd.name, "few + s1", limit=3, **options))
    assert (found.code.name, found.reason) == ("INVALID_ARGUMENT", "CHOICE_CONFLICT")
    assert found.field == field
