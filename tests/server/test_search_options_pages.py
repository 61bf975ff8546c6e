"""Pages of a search while the collection changes, against what the first page's query finds."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calls import (
    Failure,
    Floats,
    create,
    delete,
    failure,
    fresh_name,
    hit_ids,
    search,
    term,
    text_filter,
    upsert,
    vector,
    vector_item,
)
from gallery import Gallery, clipped, fill, random_vectors, unit
from picture_files import landscape, save
from serving import Served, serving
from tashihiki.v1 import catalog_pb2, composition_pb2, search_pb2
from tashihiki_server.collection.collection import Collection, State
from tashihiki_server.collection.nearest import Nearest
from tashihiki_server.index.base import Route
from tashihiki_server.library import Library
from tashihiki_server.service.hits import pages as kept_pages
from tashihiki_server.space.base import Vectors
from tiny_encoder import DIMENSION

ON = search_pb2.RERANK_ON
OFF = search_pb2.RERANK_OFF
FACTORED = catalog_pb2.SPACE_KIND_FACTORED
FACETS = {"kind": ("mug", "chair", "lamp"), "colour": ("red", "blue", "black")}
PATIENCE = 60.0
Responses = list[search_pb2.SearchResponse]
Form = str | Sequence[composition_pb2.Term]


def walk(
    served: Served,
    name: str,
    form: Form,
    limits: Iterator[int],
    between: Callable[[], None] = lambda: None,
    **options: Any,
) -> Responses:
    """All pages, with something between each and the next."""
    answers: Responses = []
    token = ""
    while token or not answers:
        if answers:
            between()
        limit = next(limits)
        answers.append(search(served, name, form, limit=limit, page_token=token, **options))
        token = answers[-1].next_page_token
        assert len(answers[-1].hits) <= limit
        # What is on a page before the last fills it.
        assert not token or len(answers[-1].hits) == limit
    return answers


def shown(answers: Responses) -> list[str]:
    return [identifier for answer in answers for identifier in hit_ids(answer)]


def labels_and_vectors(copies: int) -> tuple[dict[str, dict[str, str]], dict[str, Floats]]:
    """Every combination so many times: a shared mean, an effect for each value, and noise."""
    random = np.random.default_rng(7)
    effects = {
        value: random.normal(scale=0.3, size=DIMENSION)
        for values in FACETS.values()
        for value in values
    }
    mean = 3.0 + random.random(DIMENSION)
    labels, vectors = {}, {}
    for number, values in enumerate(copies * list(itertools.product(*FACETS.values()))):
        noise = random.normal(scale=0.15, size=DIMENSION)
        seen = mean + effects[values[0]] + effects[values[1]] + noise
        labels[f"good_{number:03}"] = dict(zip(FACETS, values, strict=True))
        vectors[f"good_{number:03}"] = unit(np.maximum(seen, 0.0))
    return labels, vectors


class Changes:
    """Writes between pages: new items, changed and relabelled ones, and removals."""

    def __init__(self, served: Served, gallery: Gallery, seed: int, each: int) -> None:
        self._served = served
        self._name = gallery.name
        self._random = np.random.default_rng(seed)
        self._untouched = list(gallery.vectors)
        self._each = each
        self._new = 0
        self.touched: set[str] = set()

    def _pick(self) -> list[str]:
        picked = self._random.choice(len(self._untouched), size=self._each, replace=False)
        chosen = [self._untouched[place] for place in picked]
        self._untouched = [i for i in self._untouched if i not in chosen]
        self.touched.update(chosen)
        return chosen

    def __call__(self) -> None:
        if len(self._untouched) < 6 * self._each:
            return
        seed = int(self._random.integers(10**6))
        rows = iter(random_vectors(2 * self._each, seed))
        items = []
        for _ in range(self._each):
            items.append(vector_item(f"new_{self._new:04}", next(rows), colour="red", kind="mug"))
            self.touched.add(items[-1].id)
            self._new += 1
        items += [vector_item(i, next(rows), colour="blue", kind="lamp") for i in self._pick()]
        items += [
            catalog_pb2.ItemInput(id=i, attributes={"colour": "red", "kind": "stool"})
            for i in self._pick()
        ]
        upsert(self._served, self._name, items)
        delete(self._served, self._name, *self._pick())


def unchanged(identifiers: Sequence[str], changes: Changes) -> list[str]:
    return [identifier for identifier in identifiers if identifier not in changes.touched]


# The sum, whose order numpy tells


def sum_gallery(served: Served, count: int = 400) -> Gallery:
    labels, vectors = labels_and_vectors(-(-count // 9))
    kept = list(labels)[:count]
    return fill(
        served, fresh_name("pages"), {i: labels[i] for i in kept}, {i: vectors[i] for i in kept}
    )


@settings(max_examples=25)
@given(
    seed=st.integers(0, 2**16),
    limits=st.lists(st.integers(1, 90), min_size=1, max_size=4),
    operands=st.booleans(),
    blue=st.booleans(),
)
def test_unchanged_items_are_on_exactly_one_page_in_their_order(
    module_served: Served, seed: int, limits: list[int], operands: bool, blue: bool
) -> None:
    gallery = sum_gallery(module_served, 150)
    base = list(gallery.vectors)[seed % 150]
    direction = clipped(gallery.vectors[base] + gallery.prototype("colour", "red"))
    changes = Changes(module_served, gallery, seed, each=2)
    options: dict[str, Any] = {"include_operands": operands}
    allowed = [i for i in gallery.vectors if operands or i != base]
    if blue:
        options["filter"] = text_filter("not colour:blue")
        allowed = [i for i in allowed if gallery.attributes[i]["colour"] != "blue"]
    answers = walk(
        module_served,
        gallery.name,
        f"item({base}) + colour:red",
        itertools.cycle([*limits, 60]),
        changes,
        **options,
    )
    truth = gallery.ranking(direction, allowed)
    assert unchanged(shown(answers), changes) == unchanged(truth, changes)
    for answer in answers:
        for hit in answer.hits:
            if hit.id not in changes.touched:
                expected = float(gallery.vectors[hit.id] @ direction)
                assert hit.similarity == pytest.approx(expected, abs=2e-6)
            assert operands or hit.id != base
            assert not hit.HasField("posterior")


@pytest.mark.parametrize("limit", [7, 130, 1000])
@pytest.mark.parametrize("form", ["colour:red + mug", "item(good_011) - colour + red"])
def test_re_ranked_pages_are_a_fixed_window_and_then_the_rest(
    module_served: Served, form: str, limit: int
) -> None:
    gallery = sum_gallery(module_served)
    window = max(limit, 100)
    first = search(module_served, gallery.name, form, limit=window, rerank=ON)
    plain = search(module_served, gallery.name, form, limit=1000, rerank=OFF)
    rest = [identifier for identifier in hit_ids(plain) if identifier not in hit_ids(first)]
    changes = Changes(module_served, gallery, seed=limit, each=3)
    answers = walk(module_served, gallery.name, form, itertools.repeat(limit), changes, rerank=ON)
    assert unchanged(shown(answers), changes) == unchanged([*hit_ids(first), *rest], changes)
    posteriors = {hit.id: hit.posterior for hit in first.hits}
    for hit in (hit for answer in answers for hit in answer.hits):
        if hit.id not in changes.touched:
            assert hit.HasField("posterior") == (hit.id in posteriors)
            assert hit.posterior == posteriors.get(hit.id, 0.0)


def test_a_least_similarity_holds_on_every_page(module_served: Served) -> None:
    gallery = sum_gallery(module_served)
    plain = search(module_served, gallery.name, "red + lamp", limit=1000)
    floor = plain.hits[222].similarity
    for rerank in (ON, OFF):
        answers = walk(
            module_served,
            gallery.name,
            "red + lamp",
            itertools.repeat(20),
            rerank=rerank,
            min_similarity=floor,
        )
        assert sorted(shown(answers)) == sorted(hit_ids(plain)[:223])
        assert len(answers) == 12


@pytest.mark.parametrize(("count", "limit", "pages"), [(120, 40, 3), (121, 40, 4), (40, 40, 1)])
def test_there_is_a_token_where_there_is_more(
    module_served: Served, count: int, limit: int, pages: int
) -> None:
    gallery = sum_gallery(module_served, count)
    for rerank in (ON, OFF):
        answers = walk(
            module_served, gallery.name, "red + lamp", itertools.repeat(limit), rerank=rerank
        )
        assert len(answers) == pages
        assert sorted(shown(answers)) == sorted(gallery.vectors)


def test_equal_items_are_told_apart_by_their_ids(module_served: Served) -> None:
    (row,) = random_vectors(1, 4)
    ids = [f"same_{number:02}" for number in range(50)]
    gallery = fill(module_served, fresh_name("same"), {i: {} for i in ids}, dict.fromkeys(ids, row))
    form = [term(vector=vector(row))]
    answers = walk(module_served, gallery.name, form, itertools.repeat(7))
    assert shown(answers) == ids


def test_a_page_can_be_asked_for_again(module_served: Served) -> None:
    gallery = sum_gallery(module_served, 200)
    first = search(module_served, gallery.name, "red", limit=10)
    second = search(module_served, gallery.name, "red", limit=10, page_token=first.next_page_token)
    wide = search(module_served, gallery.name, "red", limit=40, page_token=first.next_page_token)
    again = search(module_served, gallery.name, "red", limit=10, page_token=first.next_page_token)
    assert again == second
    assert hit_ids(wide)[:10] == hit_ids(second)
    assert search(module_served, gallery.name, "red", limit=10) == first
    assert list(second.terms) == list(first.terms)
    assert list(second.blocks) == list(first.blocks)


def test_pages_outlive_the_operands(module_served: Served) -> None:
    """Neither the item nor the value of the query is there any more."""
    gallery = sum_gallery(module_served, 120)
    only = random_vectors(1, 8)[0]
    upsert(module_served, gallery.name, [vector_item("odd", only, kind="vase")])
    form = "item(odd) + kind:vase"
    truth = gallery.ranking(clipped(only + only))
    first = search(module_served, gallery.name, form, limit=50)
    delete(module_served, gallery.name, "odd")
    assert failure(lambda: search(module_served, gallery.name, form)).reason == "UNKNOWN_ITEM"
    rest = search(module_served, gallery.name, form, limit=1000, page_token=first.next_page_token)
    assert [*hit_ids(first), *hit_ids(rest)] == truth


@pytest.mark.parametrize(
    ("condition", "admits"),
    [
        ("kind in (mug, vase)", lambda labels: labels["kind"] == "mug"),
        ("not kind:vase", lambda labels: True),
        ("kind:lamp or glaze:matt or exists(glaze)", lambda labels: labels["kind"] == "lamp"),
    ],
)
def test_pages_outlive_the_values_of_their_filter(
    module_served: Served, condition: str, admits: Callable[[Mapping[str, str]], bool]
) -> None:
    gallery = sum_gallery(module_served, 120)
    odd = vector_item("odd", -random_vectors(1, 8)[0] + 1.0, kind="vase", glaze="matt")
    upsert(module_served, gallery.name, [odd])
    given = text_filter(condition)
    form = [term(vector=vector(next(iter(gallery.vectors.values()))))]
    direction = next(iter(gallery.vectors.values()))
    ids = [i for i, labels in gallery.attributes.items() if admits(labels)]
    truth = gallery.ranking(direction, ids)
    first = search(module_served, gallery.name, form, limit=10, filter=given)
    delete(module_served, gallery.name, "odd")
    found = failure(lambda: search(module_served, gallery.name, form, filter=given))
    assert found.reason.startswith("UNKNOWN_")
    token = first.next_page_token
    rest = search(module_served, gallery.name, form, limit=1000, filter=given, page_token=token)
    assert [i for i in [*hit_ids(first), *hit_ids(rest)] if i != "odd"] == truth


@pytest.mark.parametrize("rerank", [ON, OFF])
def test_what_an_index_misses_is_on_the_page_after_the_first_candidates(
    module_served: Served, monkeypatch: pytest.MonkeyPatch, rerank: search_pb2.Rerank.ValueType
) -> None:
    gallery = sum_gallery(module_served, 300)
    truth = hit_ids(search(module_served, gallery.name, "red", limit=1000))
    missed = [truth[place] for place in (0, 13, 14)]
    every = Collection.nearest

    def some(self: Collection, state: State, vector: Vectors, limit: int, *rest: Any) -> Nearest:
        found = every(self, state, vector, limit + len(missed), *rest)
        ids = state.rows.ids(found.rows)
        kept = [n for n, identifier in enumerate(ids) if identifier not in missed][:limit]
        return Nearest(found.rows[kept], found.similarities[kept], Route.GRAPH)

    monkeypatch.setattr(Collection, "nearest", some)
    answers = walk(module_served, gallery.name, "red", itertools.repeat(40), rerank=rerank)
    routes = [answer.route for answer in answers]
    assert routes[0] == search_pb2.SEARCH_ROUTE_INDEX
    assert set(routes[1:]) == {search_pb2.SEARCH_ROUTE_EXACT}
    first = 100 if rerank == ON else 40
    found = [i for i in truth if i not in missed]
    seen = shown(answers)
    assert sorted(seen[:first]) == sorted(found[:first])
    assert seen[first:] == [*missed, *found[first:]]


# The factored space


def factored_gallery(served: Served) -> Gallery:
    labels, vectors = labels_and_vectors(30)
    gallery = fill(served, fresh_name("factored"), labels, vectors, space=FACTORED)
    served.library.collection(gallery.name).settle()
    return gallery


@pytest.mark.parametrize("rerank", [ON, OFF])
def test_pages_in_a_factored_space(
    module_served: Served, rerank: search_pb2.Rerank.ValueType
) -> None:
    gallery = factored_gallery(module_served)
    form = "item(good_004) - kind + red"
    plain = search(module_served, gallery.name, form, limit=1000, rerank=OFF)
    first = search(module_served, gallery.name, form, limit=100, rerank=rerank)
    rest = [identifier for identifier in hit_ids(plain) if identifier not in hit_ids(first)]
    # Fewer than would have the space fitted again.
    changes = Changes(module_served, gallery, seed=1, each=1)
    answers = walk(module_served, gallery.name, form, itertools.repeat(30), changes, rerank=rerank)
    assert unchanged(shown(answers), changes) == unchanged([*hit_ids(first), *rest], changes)
    similarities = {hit.id: hit.similarity for hit in plain.hits}
    for hit in (hit for answer in answers for hit in answer.hits):
        if hit.id not in changes.touched:
            assert hit.similarity == similarities[hit.id]
            assert sum(hit.contributions) == pytest.approx(hit.similarity, abs=1e-5)
            assert sum(b.contribution for b in hit.blocks) == pytest.approx(
                hit.similarity, abs=1e-5
            )


def turn(served: Served, name: str, token: str, form: str = "red", **options: Any) -> Failure:
    return failure(lambda: search(served, name, form, page_token=token, **options))


def test_a_token_ends_with_its_space(module_served: Served) -> None:
    gallery = factored_gallery(module_served)
    token = search(module_served, gallery.name, "red", limit=5).next_page_token
    rows = random_vectors(120, 3)
    kinds = itertools.cycle(FACETS["kind"])
    items = [vector_item(f"x{n}", row, kind=next(kinds)) for n, row in enumerate(rows)]
    upsert(module_served, gallery.name, items)
    module_served.library.collection(gallery.name).settle()
    found = turn(module_served, gallery.name, token)
    assert (found.code.name, found.reason) == ("FAILED_PRECONDITION", "PAGE_TOKEN_EXPIRED")
    assert found.field == "page_token"
    assert found.remedy


# Tokens


@pytest.fixture(scope="module")
def steady(module_served: Served) -> tuple[str, str, str]:
    """A collection that stays as it is, a token within the head and one beyond it."""
    gallery = sum_gallery(module_served, 150)
    first = search(module_served, gallery.name, "red", limit=5)
    second = search(module_served, gallery.name, "red", limit=5, page_token=first.next_page_token)
    return gallery.name, first.next_page_token, second.next_page_token


@pytest.mark.parametrize(
    "other",
    [
        {"form": "blue"},
        {"filter": text_filter("kind:mug")},
        {"min_similarity": 0.1},
        {"rerank": ON},
        {"include_operands": True},
        {"attribute_mode": composition_pb2.ATTRIBUTE_MODE_ADD},
    ],
)
def test_a_token_is_of_its_request_only(
    module_served: Served, steady: tuple[str, str, str], other: dict[str, Any]
) -> None:
    name, *tokens = steady
    for token in tokens:
        found = turn(module_served, name, token, **other)
        assert (found.code.name, found.reason) == ("INVALID_ARGUMENT", "PAGE_TOKEN_INVALID")
        assert found.field == "page_token"


@pytest.mark.parametrize("place", ["term", "this image", "image(photo)"])
def test_a_token_is_of_its_picture_only(
    module_served: Served, steady: tuple[str, str, str], place: str
) -> None:
    def page(picture: bytes, token: str = "") -> search_pb2.SearchResponse:
        form: Form = [composition_pb2.Term(image=picture)] if place == "term" else place
        bound: dict[str, dict[str, Any]] = {
            "this image": {"this_image": picture},
            "image(photo)": {"images": {"photo": picture}},
        }
        return search(module_served, steady[0], form, bound.get(place), page_token=token)

    one, other = save(landscape(), "PNG"), save(landscape(48, 64), "PNG")
    first = page(one)
    second = page(one, first.next_page_token)
    assert len({*hit_ids(first), *hit_ids(second)}) == 20
    found = failure(lambda: page(other, first.next_page_token))
    assert (found.code.name, found.reason) == ("INVALID_ARGUMENT", "PAGE_TOKEN_INVALID")


def test_a_token_is_of_its_collection_only(
    module_served: Served, steady: tuple[str, str, str]
) -> None:
    other = sum_gallery(module_served, 20)
    assert turn(module_served, other.name, steady[1]).reason == "PAGE_TOKEN_INVALID"


@given(place=st.integers(0, 200), character=st.sampled_from("AQgwB_-9zé= "), beyond=st.booleans())
def test_a_token_that_was_tampered_with_is_refused(
    module_served: Served, steady: tuple[str, str, str], place: int, character: str, beyond: bool
) -> None:
    name, *tokens = steady
    token = tokens[beyond]
    place %= len(token)
    changed = token[:place] + character + token[place + 1 :]
    for forged in {changed, token[:place], token + character, character + token} - {token, ""}:
        assert turn(module_served, name, forged).reason == "PAGE_TOKEN_INVALID"


@given(token=st.text(min_size=1, max_size=80))
def test_no_text_is_a_token_by_chance(
    module_served: Served, steady: tuple[str, str, str], token: str
) -> None:
    try:
        token.encode()
    except UnicodeEncodeError:
        return
    assert turn(module_served, steady[0], token).reason == "PAGE_TOKEN_INVALID"


def test_a_token_ends_with_the_server(
    tmp_path: Path, open_library: Callable[..., Library], tiny_encoder_bundle: Path
) -> None:
    folder = tmp_path / "data"
    library = Library(folder, tiny_encoder_bundle)
    try:
        with serving(library) as served:
            gallery = sum_gallery(served, 30)
            token = search(served, gallery.name, "red", limit=5).next_page_token
    finally:
        library.close()
    with serving(open_library(folder)) as served:
        assert turn(served, gallery.name, token).reason == "PAGE_TOKEN_EXPIRED"


def test_a_token_ends_with_its_collection(module_served: Served) -> None:
    gallery = sum_gallery(module_served, 30)
    token = search(module_served, gallery.name, "red", limit=5).next_page_token
    module_served.catalog.DeleteCollection(catalog_pb2.DeleteCollectionRequest(name=gallery.name))
    assert turn(module_served, gallery.name, token).reason == "UNKNOWN_COLLECTION"
    fill(module_served, gallery.name, gallery.attributes, gallery.vectors)
    assert turn(module_served, gallery.name, token).reason == "PAGE_TOKEN_EXPIRED"


@pytest.mark.parametrize("bound", ["MAX_QUERIES", "MAX_BYTES"])
def test_many_newer_queries_end_a_token(
    module_served: Served, monkeypatch: pytest.MonkeyPatch, bound: str
) -> None:
    monkeypatch.setattr(kept_pages, bound, 3 if bound == "MAX_QUERIES" else 30_000)
    gallery = sum_gallery(module_served, 60)
    old = search(module_served, gallery.name, "red", limit=5).next_page_token
    used = search(module_served, gallery.name, "blue", limit=5).next_page_token
    for weight in range(2, 12):
        search(module_served, gallery.name, f"{weight} * red + mug", limit=5)
        search(module_served, gallery.name, "blue", limit=5, page_token=used)
    assert turn(module_served, gallery.name, old).reason == "PAGE_TOKEN_EXPIRED"


def test_searches_of_a_batch_have_pages_too(module_served: Served) -> None:
    gallery = sum_gallery(module_served, 60)
    request = search_pb2.SearchRequest(
        collection=gallery.name, query=composition_pb2.Query(expression="red"), limit=7
    )
    batch = search_pb2.BatchSearchRequest(requests=[request, request])
    answers = module_served.search.BatchSearch(batch).results
    request.page_token = answers[0].response.next_page_token
    second = module_served.search.Search(request)
    everything = search(module_served, gallery.name, "red", limit=14)
    assert [*hit_ids(answers[1].response), *hit_ids(second)] == hit_ids(everything)


def test_pages_while_the_prototypes_catch_up(module_served: Served) -> None:
    """Prototypes change some time after the write that changes their members."""
    gallery = sum_gallery(module_served, 90)
    first = search(module_served, gallery.name, "red", limit=30)
    direction = gallery.prototype("colour", "red")
    reds = gallery.members("colour", "red")[:10]
    upsert(
        module_served,
        gallery.name,
        [catalog_pb2.ItemInput(id=i, attributes={"colour": "blue"}) for i in reds],
    )
    deadline = time.monotonic() + PATIENCE
    while search(module_served, gallery.name, "red", limit=30).hits == first.hits:
        assert time.monotonic() < deadline
    rest = search(module_served, gallery.name, "red", limit=90, page_token=first.next_page_token)
    assert [*hit_ids(first), *hit_ids(rest)] == gallery.ranking(direction)


def test_the_last_page_of_a_collection_that_is_re_ranked_whole(served: Served) -> None:
    create(served, "small")
    rows = random_vectors(54, 9)
    upsert(
        served,
        "small",
        [vector_item(f"i{n:02}", row, kind="ab"[n % 2]) for n, row in enumerate(rows)],
    )
    options: dict[str, Any] = {"rerank": search_pb2.RERANK_ON, "limit": 40}
    first = search(served, "small", "kind:a", **options)
    second = search(served, "small", "kind:a", page_token=first.next_page_token, **options)
    assert (len(first.hits), len(second.hits), second.next_page_token) == (40, 14, "")
    assert len({*hit_ids(first), *hit_ids(second)}) == 54
