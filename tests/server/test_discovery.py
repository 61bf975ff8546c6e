"""Duplicates, label suggestions and samples, against brute force."""

from __future__ import annotations

import io
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import grpc
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from calls import (
    Floats,
    create,
    delete,
    failure,
    fresh_name,
    listed_ids,
    png,
    random_picture,
    stored_vectors,
    text_filter,
    upsert,
    vector_item,
)
from gallery import fill, random_vectors, unit
from serving import Served
from tashihiki.v1 import catalog_pb2, discovery_pb2, discovery_pb2_grpc
from tashihiki_server.collection.duplicates import Group, near_duplicates
from tashihiki_server.collection.suggestions import farthest_first

Groups = list[tuple[bool, list[tuple[str, float]]]]


class Vectors:
    """Unit vectors as a gallery."""

    def __init__(self, vectors: Floats) -> None:
        self._vectors = vectors.astype(np.float32)

    def take(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        return self._vectors[rows]

    def scores(self, vector: NDArray[np.float32]) -> NDArray[np.float32]:
        scores: NDArray[np.float32] = self._vectors @ vector
        return scores


def clustered(
    count: int, dimension: int, seed: int, *, clusters: int = 40, spread: float = 0.3
) -> Floats:
    """Unit vectors around a few centres, (count, dimension)."""
    random = np.random.default_rng(seed)
    centres = np.abs(random.normal(size=(clusters, dimension)))
    noise = random.normal(size=(count, dimension)) * random.uniform(0, spread, size=(count, 1))
    rows = centres[random.integers(clusters, size=count)] + noise
    result: Floats = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return result


def greedy_groups(vectors: Floats, minimum: float) -> list[list[int]]:
    """By the definition, one item after the other."""
    cosines = np.round(vectors @ vectors.T, 9)
    vacant = set(range(len(vectors)))
    groups = []
    for first in range(len(vectors)):
        if first not in vacant:
            continue
        mates = [i for i in sorted(vacant - {first}) if cosines[first, i] >= minimum]
        vacant -= {first, *mates}
        if mates:
            groups.append([first, *sorted(mates, key=lambda i: (-cosines[first, i], i))])
    return groups


def traversal(vectors: Floats, candidates: Sequence[int], labelled: Sequence[int]) -> set[float]:
    """The smallest of the largest cosines to what is labelled."""
    return set((vectors[candidates] @ vectors[labelled].T).max(axis=1))


def stub(served: Served) -> discovery_pb2_grpc.DiscoveryServiceStub:
    return discovery_pb2_grpc.DiscoveryServiceStub(served.channel)


def duplicates(served: Served, collection: str, **options: Any) -> Groups:
    """The groups of FindDuplicates; its progress is checked by the way."""
    request = discovery_pb2.FindDuplicatesRequest(collection=collection, **options)
    groups: Groups = []
    done = total = -1
    for response in stub(served).FindDuplicates(request):
        if response.WhichOneof("event") == "progress":
            assert done <= response.progress.done_count <= response.progress.total_count
            done, total = response.progress.done_count, response.progress.total_count
        else:
            members = [(item.id, item.similarity) for item in response.group.items]
            groups.append((response.group.identical, members))
    assert done == total >= 0
    return groups


def near_ids(groups: Groups) -> list[list[str]]:
    return [[identifier for identifier, _ in items] for same, items in groups if not same]


def identical_ids(groups: Groups) -> list[list[str]]:
    return [[identifier for identifier, _ in items] for same, items in groups if same]


# Near duplicates of vectors


@pytest.mark.parametrize("dimension", [8, 200])
@pytest.mark.parametrize("minimum", [1.0, 0.98, 0.9, 0.5, 1e-9])
def test_groups_are_those_of_brute_force(dimension: int, minimum: float) -> None:
    vectors = clustered(2100, dimension, seed=dimension)
    # Exact copies, far from each other in the order.
    vectors[1000:1100] = vectors[:100]
    vectors[2000:2100] = vectors[:100]
    vectors = vectors.astype(np.float32).astype(np.float64)
    order = np.random.default_rng(1).permutation(2100)
    found = [
        group
        for group in near_duplicates(Vectors(vectors), order, minimum)
        if isinstance(group, Group)
    ]
    assert [group.places.tolist() for group in found] == greedy_groups(vectors[order], minimum)
    for group in found:
        rows = order[group.places]
        assert group.similarities == pytest.approx(vectors[rows] @ vectors[rows[0]], abs=1e-6)


def test_equal_pictures_only_are_soon_done() -> None:
    vectors = Vectors(np.repeat(random_vectors(1, 3), 60_000, axis=0))
    (group,) = [
        group
        for group in near_duplicates(vectors, np.arange(60_000), 0.98)
        if isinstance(group, Group)
    ]
    assert group.places.tolist() == list(range(60_000))


# FindDuplicates


def test_near_duplicates_are_found_in_the_order_of_ids(served: Served) -> None:
    name = fresh_name()
    vectors = clustered(300, 48, seed=5, clusters=30)
    names = [f"i{n:03}" for n in np.random.default_rng(6).permutation(300)]
    fill(served, name, {i: {} for i in names}, dict(zip(names, vectors, strict=True)))
    stored = stored_vectors(served, name)
    ids = sorted(stored)
    expected = greedy_groups(np.stack([stored[i] for i in ids]), 0.95)
    found = duplicates(served, name, min_similarity=0.95)
    assert near_ids(found) == [[ids[n] for n in group] for group in expected]
    for _, items in found:
        first = items[0][0]
        assert items[0][1] == pytest.approx(1.0)
        for identifier, similarity in items:
            assert similarity == pytest.approx(stored[first] @ stored[identifier], abs=1e-6)


def test_the_default_similarity_is_as_documented(served: Served) -> None:
    name = fresh_name()
    base, other = unit(np.eye(48)[0]), np.eye(48)[1]
    vectors = {
        f"i{n}": unit(base + np.tan(np.arccos(cosine)) * other)
        for n, cosine in enumerate([1.0, 0.9951, 0.9949])
    }
    fill(served, name, {i: {} for i in vectors}, vectors, keep_negative=True)
    assert near_ids(duplicates(served, name)) == [["i0", "i1"]]
    assert near_ids(duplicates(served, name, min_similarity=0.9948)) == [["i0", "i1", "i2"]]


def test_a_filter_bounds_what_is_looked_among(served: Served) -> None:
    name = fresh_name()
    row = random_vectors(1, 4)[0]
    labels = {f"i{n}": {"colour": "red" if n % 2 else "blue"} for n in range(6)}
    fill(served, name, labels, dict.fromkeys(labels, row))
    assert near_ids(duplicates(served, name, filter=text_filter("colour:red"))) == [
        ["i1", "i3", "i5"]
    ]


def test_changed_and_deleted_items_count_as_they_are(served: Served) -> None:
    name = fresh_name()
    rows = random_vectors(2, 8)
    fill(
        served,
        name,
        {f"i{n}": {} for n in range(5)},
        dict.fromkeys(map("i{}".format, range(5)), rows[0]),
    )
    delete(served, name, "i0")
    upsert(served, name, [vector_item("i2", rows[1])])
    assert near_ids(duplicates(served, name)) == [["i1", "i3", "i4"]]


def test_identical_files_come_first_and_the_first_of_them_stands_for_them(served: Served) -> None:
    name = create(served, fresh_name())
    pixels, picture = random_picture(1)
    noisy = pixels.copy()
    noisy[0, 0] ^= 1
    alike, other = png(noisy), random_picture(2)[1]
    files = {"e": alike, "d": picture, "a": picture, "c": picture, "b": other, "f": other}
    upsert(served, name, [catalog_pb2.ItemInput(id=i, image=data) for i, data in files.items()])
    found = duplicates(served, name, min_similarity=0.9999)
    assert [identical for identical, _ in found] == [True, True, False]
    assert identical_ids(found) == [["a", "c", "d"], ["b", "f"]]
    assert near_ids(found) == [["a", "e"]]
    assert identical_ids(duplicates(served, name, exact_only=True)) == identical_ids(found)
    assert near_ids(duplicates(served, name, exact_only=True)) == []
    upsert(served, name, [catalog_pb2.ItemInput(id="c", image=other)])
    delete(served, name, "a")
    found = duplicates(served, name, min_similarity=0.9999)
    assert identical_ids(found) == [["b", "c", "f"]]
    assert near_ids(found) == [["d", "e"]]


def test_identical_files_are_of_what_is_searched(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some are written before the state is taken, and one after it."""
    name = create(served, fresh_name())
    same, other, third = (random_picture(seed)[1] for seed in range(3))
    pictures = {"a": same, "b": same, "c": same, "d": other, "e": other, "f": other}
    upsert(served, name, [catalog_pb2.ItemInput(id=i, image=p) for i, p in pictures.items()])
    collection = served.library.collection(name)
    groups, items = collection.catalogue.identical_images, collection.catalogue.items
    late: list[catalog_pb2.ItemInput] = []

    def replaced() -> list[list[str]]:
        found = list(groups())
        upsert(served, name, [catalog_pb2.ItemInput(id="a", image=third)])
        delete(served, name, "d")
        late.append(catalog_pb2.ItemInput(id="f", image=third))
        return found

    def read(*args: Any, **options: Any) -> Any:
        # A write reads items too.
        if late:
            upsert(served, name, [late.pop()])
        return items(*args, **options)

    monkeypatch.setattr(collection.catalogue, "identical_images", replaced)
    monkeypatch.setattr(collection.catalogue, "items", read)
    assert identical_ids(duplicates(served, name, exact_only=True)) == [["b", "c"]]


def test_identical_files_that_the_filter_refuses_make_no_group(served: Served) -> None:
    name = create(served, fresh_name())
    picture = random_picture(1)[1]
    items = [
        catalog_pb2.ItemInput(id=f"i{n}", image=picture, attributes={"colour": colour})
        for n, colour in enumerate(["red", "blue", "red", "green"])
    ]
    upsert(served, name, items)
    red = duplicates(served, name, filter=text_filter("colour:red"))
    assert red == [(True, [("i0", 1.0), ("i2", 1.0)])]
    assert duplicates(served, name, filter=text_filter("colour:green")) == []


def test_duplicates_of_a_picture(served: Served) -> None:
    name = create(served, fresh_name())
    pixels, picture = random_picture(1)
    bitmap = io.BytesIO()
    Image.fromarray(pixels).save(bitmap, "BMP")
    files = {"d": picture, "b": picture, "c": bitmap.getvalue(), "a": random_picture(2)[1]}
    upsert(served, name, [catalog_pb2.ItemInput(id=i, image=data) for i, data in files.items()])
    found = duplicates(served, name, image=picture, min_similarity=0.9999)
    assert identical_ids(found) == [["b", "d"]]
    assert near_ids(found) == [["c"]]
    assert near_ids(duplicates(served, name, image=picture, exact_only=True)) == []
    low = duplicates(served, name, image=picture, min_similarity=1e-6)
    assert near_ids(low) == [["c", "a"]]
    other_file = duplicates(served, name, image=bitmap.getvalue(), min_similarity=0.9999)
    assert identical_ids(other_file) == [["c"]]
    assert near_ids(other_file) == [["b", "d"]]
    assert duplicates(served, name, image=random_picture(3)[1], min_similarity=0.9999) == []


def test_in_a_factored_space_embeddings_are_compared(served: Served) -> None:
    name = fresh_name()
    random = np.random.default_rng(7)
    people, moods = np.abs(random.normal(size=(2, 4, 48)))
    vectors = {}
    for n in range(40):
        vectors[f"i{n:02}"] = unit(
            people[n % 4] + moods[n // 4 % 4] + 0.3 * np.abs(random.normal(size=48))
        )
        vectors[f"k{n:02}"] = unit(vectors[f"i{n:02}"] + random.uniform(0, 0.03, size=48))
    labels = {
        i: {"person": f"P{int(i[1:]) % 4}", "mood": f"M{int(i[1:]) // 4 % 4}"} for i in vectors
    }
    fill(served, name, labels, vectors, space=catalog_pb2.SPACE_KIND_FACTORED)
    served.library.collection(name).settle()
    assert served.library.collection(name).state.space.kind == "factored"
    stored = stored_vectors(served, name)
    ids = sorted(stored)
    expected = greedy_groups(np.stack([stored[i] for i in ids]), 0.99)
    assert len(expected) > 10
    found = duplicates(served, name, min_similarity=0.99)
    assert near_ids(found) == [[ids[n] for n in group] for group in expected]


@pytest.mark.parametrize(
    "value", [-0.1, 5e-324, 9e-7, 1.0001, float("nan"), float("inf"), -float("inf")]
)
def test_a_similarity_out_of_range_is_refused(served: Served, value: float) -> None:
    name = create(served, fresh_name())
    found = failure(lambda: duplicates(served, name, min_similarity=value))
    assert (found.code.name, found.reason, found.field) == (
        "INVALID_ARGUMENT",
        "OUT_OF_RANGE",
        "min_similarity",
    )


def test_faults_of_requests_are_named(served: Served) -> None:
    name = create(served, fresh_name())
    assert failure(lambda: duplicates(served, "none")).reason == "UNKNOWN_COLLECTION"
    assert failure(lambda: suggested(served, "none")).reason == "UNKNOWN_COLLECTION"
    assert failure(lambda: sampled(served, "none")).reason == "UNKNOWN_COLLECTION"
    assert failure(lambda: duplicates(served, name, image=b"x")).field == "image"
    bad = text_filter("colour:")
    assert failure(lambda: duplicates(served, name, filter=bad)).reason == "FILTER_INVALID"
    assert failure(lambda: suggested(served, name, filter=bad)).reason == "FILTER_INVALID"
    assert failure(lambda: sampled(served, name, filter=bad)).reason == "FILTER_INVALID"
    found = failure(lambda: suggested(served, name, limit=1001))
    assert (found.reason, found.field) == ("OUT_OF_RANGE", "limit")
    found = failure(lambda: sampled(served, name, count=-1))
    assert (found.reason, found.field) == ("OUT_OF_RANGE", "count")
    found = failure(lambda: suggested(served, name, facet="colour"))
    assert (found.reason, found.field) == ("UNKNOWN_FACET", "facet")


def test_a_search_for_duplicates_ends_at_its_deadline(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = fresh_name()
    vectors = clustered(900, 48, seed=3)
    fill(
        served,
        name,
        {f"i{n:04}": {} for n in range(900)},
        {f"i{n:04}": v for n, v in enumerate(vectors)},
    )
    view = type(served.library.collection(name).state.rows)
    take = view.take

    def slow(self: Any, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        time.sleep(0.05)
        return take(self, rows)

    monkeypatch.setattr(view, "take", slow)
    request = discovery_pb2.FindDuplicatesRequest(collection=name, min_similarity=0.9)
    start = time.monotonic()
    with pytest.raises(grpc.RpcError) as caught:
        list(stub(served).FindDuplicates(request, timeout=0.3))
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert time.monotonic() - start < 2


def test_items_may_go_while_duplicates_are_sought(served: Served) -> None:
    name = fresh_name()
    rows = np.repeat(random_vectors(300, 8), 2, axis=0)
    vectors = {f"i{n:04}": row for n, row in enumerate(rows)}
    fill(served, name, {i: {} for i in vectors}, vectors)
    stream = stub(served).FindDuplicates(discovery_pb2.FindDuplicatesRequest(collection=name))
    next(stream)
    delete(served, name, *list(vectors)[300:])
    found = [r.group.items[0].id for r in stream if r.WhichOneof("event") == "group"]
    assert found[:150] == list(vectors)[:300:2]


def test_an_empty_collection_has_nothing_to_find(served: Served) -> None:
    name = create(served, fresh_name())
    assert duplicates(served, name) == []
    assert not suggested(served, name).suggestions
    assert not sampled(served, name).items


# Suggestions


def suggested(
    served: Served, collection: str, **options: Any
) -> discovery_pb2.SuggestLabelsResponse:
    request = discovery_pb2.SuggestLabelsRequest(collection=collection, **options)
    response: discovery_pb2.SuggestLabelsResponse = stub(served).SuggestLabels(request)
    return response


def check_traversal(
    vectors: Floats,
    candidates: Sequence[int],
    labelled: Sequence[int],
    chosen: Sequence[int],
    similarities: Sequence[float],
) -> None:
    """Each chosen one is the least like anything before it, to what float32 can tell."""
    rest, seen = list(candidates), list(labelled)
    for row, similarity in zip(chosen, similarities, strict=True):
        if not seen:
            assert similarity == 0
            typical = vectors[rest] @ vectors[rest].mean(axis=0)
            assert typical[rest.index(row)] >= typical.max() - 1e-6
        else:
            largest = (vectors[rest] @ vectors[seen].T).max(axis=1)
            assert largest[rest.index(row)] <= largest.min() + 1e-6
            assert similarity == pytest.approx(largest.min(), abs=1e-5)
        rest.remove(row)
        seen.append(row)


@pytest.mark.parametrize("labelled", [0, 1, 30, 900])
@pytest.mark.parametrize("work", [1e11, 5e7])
def test_each_suggestion_is_the_farthest(labelled: int, work: float) -> None:
    vectors = clustered(2000, 30, seed=9)
    order = np.random.default_rng(3).permutation(2000)
    known, candidates = order[:labelled], np.sort(order[labelled:])
    found = farthest_first(Vectors(vectors), candidates, known, 25, max_work=work)
    assert len(set(found.rows.tolist())) == 25
    check_traversal(
        vectors,
        candidates.tolist(),
        known.tolist(),
        found.rows.tolist(),
        found.similarities.tolist(),
    )


def test_beyond_the_bound_of_work_suggestions_are_still_far_and_different() -> None:
    vectors = clustered(3000, 30, seed=9)
    known, candidates = np.arange(1500), np.arange(1500, 3000)
    found = farthest_first(Vectors(vectors), candidates, known, 20, max_work=1e6)
    assert len(set(found.rows.tolist())) == 20
    largest = (vectors[candidates] @ vectors[known].T).max(axis=1)
    assert largest[found.rows - 1500].mean() < np.quantile(largest, 0.25)


def test_more_suggestions_than_items_are_all_of_them() -> None:
    vectors = clustered(7, 30, seed=9)
    found = farthest_first(Vectors(vectors), np.arange(2, 7), np.arange(2), 100)
    assert sorted(found.rows.tolist()) == [2, 3, 4, 5, 6]


@pytest.mark.parametrize("facet", ["", "colour", "Colour"])
@pytest.mark.parametrize("condition", [None, "not kind:cup"])
def test_suggestions_are_the_farthest_without_the_label(
    served: Served, facet: str, condition: str | None
) -> None:
    name = fresh_name()
    ids = [f"i{n:02}" for n in range(60)]
    labels: dict[str, dict[str, str]] = {i: {} for i in ids}
    for n, identifier in enumerate(ids):
        if n % 4 == 0:
            labels[identifier]["colour"] = "red"
        if n % 3 == 0:
            labels[identifier]["kind"] = "mug" if n % 2 else "cup"
    gallery = fill(served, name, labels, dict(zip(ids, random_vectors(60, 12), strict=True)))
    wanted = "colour" if facet else None
    known = [i for i in ids if (wanted in labels[i] if wanted else labels[i])]
    candidates = [
        i for i in ids if i not in known and (condition is None or labels[i].get("kind") != "cup")
    ]
    options = {} if condition is None else {"filter": text_filter(condition)}
    response = suggested(served, name, facet=facet, limit=8, **options)
    assert response.unlabelled_count == len(candidates)
    chosen = [suggestion.item.id for suggestion in response.suggestions]
    similarities = [suggestion.similarity for suggestion in response.suggestions]
    matrix = np.stack([gallery.vectors[i] for i in ids])
    check_traversal(
        matrix,
        [ids.index(i) for i in candidates],
        [ids.index(i) for i in known],
        [ids.index(i) for i in chosen],
        similarities,
    )
    assert [dict(s.item.attributes) for s in response.suggestions] == [labels[i] for i in chosen]


def test_the_default_is_ten_suggestions_and_thumbnails_come_when_asked_for(served: Served) -> None:
    name = create(served, fresh_name())
    pictures = [catalog_pb2.ItemInput(id=f"i{n}", image=random_picture(n)[1]) for n in range(12)]
    upsert(served, name, pictures)
    response = suggested(served, name)
    assert len(response.suggestions) == 10
    assert response.suggestions[0].similarity == 0
    assert not any(s.item.thumbnail for s in response.suggestions)
    with_thumbnails = suggested(served, name, include_thumbnails=True)
    assert all(s.item.thumbnail for s in with_thumbnails.suggestions)


# Samples


def sampled(served: Served, collection: str, **options: Any) -> discovery_pb2.SampleItemsResponse:
    request = discovery_pb2.SampleItemsRequest(collection=collection, **options)
    response: discovery_pb2.SampleItemsResponse = stub(served).SampleItems(request)
    return response


def sampled_ids(served: Served, collection: str, **options: Any) -> list[str]:
    return [item.id for item in sampled(served, collection, **options).items]


@pytest.fixture(scope="module")
def urn(module_served: Served) -> str:
    """Ten items, half of them red."""
    name = fresh_name()
    labels: Mapping[str, Mapping[str, str]] = {
        f"i{n}": {"colour": "red" if n % 2 else "blue"} for n in range(10)
    }
    fill(module_served, name, labels, dict(zip(labels, random_vectors(10, 2), strict=True)))
    return name


def test_every_item_and_every_order_is_as_likely(module_served: Served, urn: str) -> None:
    draws = [sampled_ids(module_served, urn, count=3) for _ in range(600)]
    assert all(len(set(draw)) == 3 for draw in draws)
    # 60 expected at each place; 6 standard deviations either side.
    for place in range(3):
        counts = Counter(draw[place] for draw in draws)
        assert len(counts) == 10
        assert all(16 <= count <= 104 for count in counts.values())


def test_more_than_there_are_is_all_of_them(module_served: Served, urn: str) -> None:
    response = sampled(module_served, urn, count=1000)
    assert sorted(item.id for item in response.items) == listed_ids(module_served, urn)
    assert response.admitted_count == 10


def test_a_filter_bounds_the_draw(module_served: Served, urn: str) -> None:
    response = sampled(module_served, urn, filter=text_filter("colour:red"))
    assert {item.id for item in response.items} == {f"i{n}" for n in (1, 3, 5, 7, 9)}
    assert response.admitted_count == 5


@pytest.mark.parametrize("seed", [0, 1, -1, 2**63 - 1, -(2**63)])
def test_a_seed_draws_the_same_again(module_served: Served, urn: str, seed: int) -> None:
    first, second = (sampled_ids(module_served, urn, count=10, seed=seed) for _ in range(2))
    assert first == second


def test_seeds_draw_differently(module_served: Served, urn: str) -> None:
    draws = {tuple(sampled_ids(module_served, urn, count=10, seed=seed)) for seed in range(20)}
    assert len(draws) == 20


def test_a_sample_does_not_depend_on_the_order_of_writes(served: Served) -> None:
    vectors = dict(zip((f"i{n}" for n in range(30)), random_vectors(30, 2), strict=True))
    forwards, backwards = fresh_name(), fresh_name()
    fill(served, forwards, {i: {} for i in vectors}, vectors)
    fill(served, backwards, {i: {} for i in reversed(vectors)}, vectors)
    first = sampled_ids(served, forwards, count=10, seed=5)
    assert sampled_ids(served, backwards, count=10, seed=5) == first


def test_a_sample_has_vectors_when_asked_for(module_served: Served, urn: str) -> None:
    stored = stored_vectors(module_served, urn)
    response = sampled(module_served, urn, include_vectors=True, count=4)
    assert len(response.items) == 4
    for item in response.items:
        assert list(item.vector.values) == pytest.approx(stored[item.id])
    assert not sampled(module_served, urn, count=1).items[0].vector.values
