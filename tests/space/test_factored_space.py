"""Composing in the factored space, against its definition."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from space.labelled import Floats, Labelled, drawn, fitted, probabilities
from tashihiki.errors import FailedPreconditionError, InvalidArgumentError
from tashihiki_server.space.base import (
    AttributeMode,
    AttributeTerm,
    EmbeddingTerm,
    IgnoreTerm,
    SpaceTerm,
    Vectors,
)
from tashihiki_server.space.factored import FactoredSpace, FitSettings
from tashihiki_server.space.posterior import best_first
from tashihiki_server.space.prototype import Prototypes
from tashihiki_server.vocabulary import AttributeKey

DATA = drawn(200, 24, (4, 3), noise=0.3)
SPACE = fitted(DATA, FitSettings(shrinkage=1.0, rest_weight=0.5))
GALLERY = SPACE.project(DATA.embeddings)
ADD, REPLACE = AttributeMode.ADD, AttributeMode.REPLACE


def item(number: int, weight: float = 1.0) -> EmbeddingTerm:
    return EmbeddingTerm(weight, DATA.embeddings[number])


def value(facet: int, code: int, weight: float = 1.0) -> AttributeTerm:
    return AttributeTerm(weight, AttributeKey(f"facet{facet}", code))


def ignore(facet: int) -> IgnoreTerm:
    return IgnoreTerm(f"facet{facet}")


def block(vector: Vectors, number: int) -> Floats:
    found = SPACE.blocks[number]
    return vector[found.start : found.stop].astype(np.float64)


def unit(vector: Floats) -> Floats:
    result: Floats = vector / np.linalg.norm(vector)
    return result


def seen(number: int, facet: int) -> Floats:
    """An item's unit vector in a block, by the fit's definition."""
    coordinates = (DATA.embeddings[number].astype(float) - SPACE.fit.mean) @ SPACE.fit.matrix
    return unit(block(coordinates, facet))


def prototype(facet: int, code: int) -> Floats:
    """The median of the members' unit vectors, of unit length."""
    members = np.flatnonzero(DATA.labels[:, facet] == code)
    return unit(np.median([seen(int(member), facet) for member in members], axis=0))


def check(terms: Sequence[SpaceTerm], mode: AttributeMode, *expected: Floats) -> None:
    """The composed vector has these blocks, up to their common length."""
    composed = SPACE.compose(terms, mode)
    assert_allclose(composed.vector, unit(np.concatenate(expected)), atol=2e-5)
    lengths = sum(np.linalg.norm(part) for part in expected)
    agreement = [sum(part @ seen(n, b) for b, part in enumerate(expected)) for n in range(200)]
    found = composed.scale * (GALLERY @ composed.vector)
    assert_allclose(found, np.array(agreement) / lengths, atol=2e-5)


NOTHING = [np.zeros(b.stop - b.start) for b in SPACE.blocks]


def test_a_gallery_vector_is_made_of_unit_blocks_of_equal_share() -> None:
    assert [b.facet for b in SPACE.blocks] == ["facet0", "facet1", ""]
    assert [b.start for b in SPACE.blocks] == [0, *(b.stop for b in SPACE.blocks[:-1])]
    for number in range(5):
        expected = np.concatenate([seen(number, b) for b in range(3)]) / np.sqrt(3)
        assert_allclose(GALLERY[number], expected, atol=2e-5)
    assert GALLERY.dtype == np.float32
    assert GALLERY.shape == (200, SPACE.dimension)


def test_an_embedding_at_the_mean_still_has_a_gallery_vector() -> None:
    vector = SPACE.project(SPACE.fit.mean[None])[0]
    assert np.linalg.norm(vector) == pytest.approx(1)


def test_prototypes_are_medians_in_their_block_and_nothing_elsewhere() -> None:
    vector = SPACE.prototypes.vectors[AttributeKey("facet1", 2)]
    expected = np.concatenate([NOTHING[0], prototype(1, 2), NOTHING[2]])
    assert_allclose(vector, expected, atol=2e-5)
    assert not SPACE.prototype("unknown", GALLERY[:3]).any()


@pytest.mark.parametrize("mode", [REPLACE, ADD])
def test_attributes_alone_fill_their_blocks(mode: AttributeMode) -> None:
    check([value(0, 1), value(1, 2)], mode, prototype(0, 1), prototype(1, 2), NOTHING[2])
    check([value(1, 2, 3.0)], mode, NOTHING[0], prototype(1, 2), NOTHING[2])


@pytest.mark.parametrize("mode", [REPLACE, ADD])
def test_items_fill_all_blocks(mode: AttributeMode) -> None:
    check([item(3)], mode, seen(3, 0), seen(3, 1), 0.5 * seen(3, 2))
    both = [seen(3, b) - 0.25 * seen(8, b) for b in range(3)]
    check([item(3), item(8, -0.25)], mode, both[0], both[1], 0.5 * both[2])


def test_an_attribute_replaces_what_the_item_shows() -> None:
    terms: list[SpaceTerm] = [item(3), value(1, 2)]
    check(terms, REPLACE, seen(3, 0), prototype(1, 2), 0.5 * seen(3, 2))
    check(terms, ADD, seen(3, 0), seen(3, 1) + prototype(1, 2), 0.5 * seen(3, 2))


def test_blue_less_red() -> None:
    terms: list[SpaceTerm] = [item(3), value(1, 0, -1.0), value(1, 2)]
    change = prototype(1, 2) - prototype(1, 0)
    check(terms, REPLACE, seen(3, 0), change, 0.5 * seen(3, 2))
    check(terms, ADD, seen(3, 0), seen(3, 1) + change, 0.5 * seen(3, 2))


def test_away_from_a_value() -> None:
    terms: list[SpaceTerm] = [item(3), value(1, 0, -1.0)]
    check(terms, REPLACE, seen(3, 0), -prototype(1, 0), 0.5 * seen(3, 2))
    check(terms, ADD, seen(3, 0), seen(3, 1) - prototype(1, 0), 0.5 * seen(3, 2))


@pytest.mark.parametrize("mode", [REPLACE, ADD])
def test_an_ignored_facet_is_left_to_the_values_asked_for(mode: AttributeMode) -> None:
    check([item(3), ignore(1)], mode, seen(3, 0), NOTHING[1], 0.5 * seen(3, 2))
    wanted: list[SpaceTerm] = [item(3), ignore(1), value(1, 2)]
    check(wanted, mode, seen(3, 0), prototype(1, 2), 0.5 * seen(3, 2))


def test_an_attribute_of_weight_0_is_as_good_as_absent() -> None:
    assert_allclose(
        SPACE.compose([item(3), value(1, 2, 0.0)]).vector, SPACE.compose([item(3)]).vector
    )


def test_full_agreement_has_similarity_1() -> None:
    queries: list[list[SpaceTerm]] = [[item(3)], [item(3), ignore(0)], [item(3, 0.2)]]
    for terms in queries:
        composed = SPACE.compose(terms)
        similarities = composed.scale * (GALLERY @ composed.vector)
        assert similarities[3] == pytest.approx(1, abs=1e-5)
        assert np.abs(similarities).max() <= 1 + 1e-5


weights = st.floats(0.1, 5).flatmap(lambda size: st.sampled_from([size, -size]))
operands: st.SearchStrategy[Callable[[float], SpaceTerm]] = st.one_of(
    st.integers(0, 199).map(lambda number: lambda weight: item(number, weight)),
    st.integers(0, 3).map(lambda code: lambda weight: value(0, code, weight)),
    st.integers(0, 2).map(lambda code: lambda weight: value(1, code, weight)),
    st.integers(0, 1).map(lambda facet: lambda weight: ignore(facet)),
)
queries = st.lists(st.tuples(operands, weights), min_size=1, max_size=6)


@given(
    query=queries, mode=st.sampled_from([ADD, REPLACE]), factor=st.floats(1e-6, 1e6), data=st.data()
)
def test_composing_is_linear_and_blind_to_order_and_scale(
    query: list[tuple[Callable[[float], SpaceTerm], float]],
    mode: AttributeMode,
    factor: float,
    data: st.DataObject,
) -> None:
    terms = [operand(weight) for operand, weight in query]
    try:
        composed = SPACE.compose(terms, mode)
    except InvalidArgumentError as error:
        caught = error
        with pytest.raises(InvalidArgumentError, match=caught.reason):
            SPACE.compose([operand(factor * weight) for operand, weight in query], mode)
        return
    assert np.linalg.norm(composed.vector) == pytest.approx(1, abs=1e-5)
    tolerance = 1e-6 * max(1.0, float(np.abs(composed.parts).max()))
    assert_allclose(composed.parts.sum(axis=0), composed.vector, atol=10 * tolerance)
    # Contributions of the terms make up a hit's similarity.
    explained = composed.scale * (composed.parts @ GALLERY[7])
    similarity = composed.scale * float(GALLERY[7] @ composed.vector)
    assert explained.sum() == pytest.approx(similarity, abs=20 * tolerance)
    assert -1 - 1e-5 <= similarity <= 1 + 1e-5
    scaled = SPACE.compose([operand(factor * weight) for operand, weight in query], mode)
    assert_allclose(scaled.vector, composed.vector, atol=tolerance)
    assert scaled.norm == pytest.approx(factor * composed.norm, rel=1e-5)
    assert scaled.scale == pytest.approx(composed.scale, rel=1e-5)
    shuffled = data.draw(st.permutations(terms))
    assert_allclose(SPACE.compose(shuffled, mode).vector, composed.vector, atol=tolerance)


@pytest.mark.parametrize(
    "terms",
    [
        [item(3), item(3, -1.0)],
        [value(1, 2), value(1, 2, -1.0)],
        [ignore(0)],
    ],
)
def test_a_query_that_cancels_out_is_refused(terms: list[SpaceTerm]) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        SPACE.compose(terms)
    assert caught.value.reason == "ZERO_QUERY_VECTOR"


def with_more(**facets: int) -> FactoredSpace:
    """The space after items with these new facets and numbers of values came in."""
    more = {
        AttributeKey(facet, code): SPACE.prototype(facet, GALLERY[:2])
        for facet, count in facets.items()
        for code in range(count)
    }
    return SPACE.with_prototypes(SPACE.prototypes.replaced(more))


def reason(space: FactoredSpace, *terms: SpaceTerm) -> str:
    with pytest.raises(FailedPreconditionError) as caught:
        space.compose(terms)
    return caught.value.reason


def test_what_is_not_there_yet_says_so() -> None:
    new = AttributeTerm(1.0, AttributeKey("new", 0))
    assert reason(SPACE, value(0, 99)) == "PROTOTYPE_PENDING"
    assert reason(with_more(new=2), new) == "FACET_PENDING"
    assert reason(with_more(new=2), item(3), IgnoreTerm("new")) == "FACET_PENDING"
    assert reason(with_more(new=1), new) == "FACET_WITHOUT_CONTRAST"
    # A facet whose last label has gone, or whose items all agree, has nothing to ignore.
    composed = with_more(new=1).compose([item(3), IgnoreTerm("new"), IgnoreTerm("gone")])
    assert_allclose(composed.vector, SPACE.compose([item(3)]).vector)


def test_a_facet_that_was_fitted_with_one_value_waits_for_the_next_fit() -> None:
    labels = np.column_stack([DATA.labels, np.zeros(200, int)])
    space = fitted(Labelled(DATA.embeddings, labels, ("facet0", "facet1", "single")))
    single = AttributeTerm(1.0, AttributeKey("single", 0))
    assert reason(space, single) == "FACET_WITHOUT_CONTRAST"
    second = {AttributeKey("single", 1): space.prototype("single", GALLERY[:1])}
    later = space.with_prototypes(space.prototypes.replaced(second))
    assert reason(later, single) == "FACET_PENDING"


def test_a_value_that_came_after_the_fit_has_a_place_in_its_facets_block() -> None:
    data = drawn(400, 24, (8, 3), noise=0.3, seed=4)
    late = data.labels[:, 0] == 7
    space = fitted(data.only(~late))
    vectors = space.project(data.embeddings)
    key = AttributeKey("facet0", 7)
    prototype = space.prototype("facet0", vectors[late])
    space = space.with_prototypes(space.prototypes.replaced({key: prototype}))
    similarities = vectors @ space.compose([AttributeTerm(1.0, key)]).vector
    assert similarities[late].min() > np.quantile(similarities[~late], 0.8)


def shares(number: int, facet: int) -> Floats:
    """An item's probabilities of a facet's values, by definition."""
    cosines = [seen(number, facet) @ prototype(facet, code) for code in range((4, 3)[facet])]
    powers = np.exp(SPACE.fit.concentrations[facet] * np.array(cosines))
    found: Floats = powers / powers.sum()
    return found


def agreements(*terms: SpaceTerm, mode: AttributeMode = REPLACE) -> Floats:
    return SPACE.agreement(terms, SPACE.compose(terms, mode), GALLERY)


@pytest.mark.parametrize("factor", [1.0, 3.0])
def test_agreement_with_attributes_is_the_product_of_their_probabilities(factor: float) -> None:
    found = agreements(
        value(1, 2, factor), value(0, 3, 0.5 * factor), value(0, 1, -factor), value(0, 0, 0.0)
    )
    for number in range(10):
        expected = shares(number, 1)[2] * shares(number, 0)[3] ** 0.5 * (1 - shares(number, 0)[1])
        assert np.exp(found[number]) == pytest.approx(expected, rel=1e-3, abs=1e-6)


def shared(number: int, hit: int, facet: int) -> float:
    """How well a hit agrees with an item in a facet, by definition."""
    nearest = max(seen(number, facet) @ prototype(facet, c) for c in range((4, 3)[facet]))
    known = float(np.clip((nearest - 0.7) / 0.2, 0, 1))
    cosine = seen(number, facet) @ seen(hit, facet)
    alike = np.log(shares(number, facet) @ shares(hit, facet))
    return float(known * alike + (1 - known) * 10 * (cosine - 1))


@pytest.mark.parametrize("mode", [REPLACE, ADD])
def test_agreement_with_an_item_holds_what_it_shows_against_hits(mode: AttributeMode) -> None:
    terms: list[SpaceTerm] = [item(3), value(1, 2)]
    composed = SPACE.compose(terms, mode)
    for hit in range(10):
        similarity = composed.scale * float(GALLERY[hit] @ composed.vector)
        expected = np.log(shares(hit, 1)[2]) + shared(3, hit, 0) + 3 * (similarity - 1)
        assert agreements(*terms, mode=mode)[hit] == pytest.approx(expected, abs=1e-3)


def test_agreement_with_an_item_leaves_ignored_facets_out() -> None:
    terms: list[SpaceTerm] = [item(3), ignore(0)]
    composed = SPACE.compose(terms)
    for hit in range(10):
        similarity = composed.scale * float(GALLERY[hit] @ composed.vector)
        expected = shared(3, hit, 1) + 3 * (similarity - 1)
        assert agreements(*terms)[hit] == pytest.approx(expected, abs=1e-3)
    assert agreements(item(3))[3] > agreements(item(3))[4:].mean()


@given(query=queries, mode=st.sampled_from([ADD, REPLACE]))
def test_agreement_is_the_logarithm_of_a_probability(
    query: list[tuple[Callable[[float], SpaceTerm], float]], mode: AttributeMode
) -> None:
    terms = [operand(weight) for operand, weight in query]
    try:
        SPACE.compose(terms, mode)
    except InvalidArgumentError:
        with pytest.raises(InvalidArgumentError, match="cancel out"):
            agreements(*terms, mode=mode)
        return
    found = agreements(*terms, mode=mode)
    assert np.isfinite(found).all()
    assert found.max() <= 0


def test_an_item_of_a_new_value_is_compared_as_it_is() -> None:
    """What the fit never saw must not pass for the value that it is nearest to."""
    data = drawn(600, 24, (8, 3), strengths=(1.0, 1.0), noise=0.1, seed=4)
    new = data.labels[:, 0] >= 6
    space = fitted(data.only(~new))
    vectors = space.project(data.embeddings)
    right = []
    for base in np.flatnonzero(new)[:40]:
        code = int((data.labels[base, 1] + 1) % 3)
        terms: list[SpaceTerm] = [EmbeddingTerm(1.0, data.embeddings[base]), value(1, code)]
        best = int(space.agreement(terms, space.compose(terms), vectors).argmax())
        right.append((data.labels[best] == (data.labels[base, 0], code)).all())
    assert np.mean(right) > 0.9


def test_probabilities_of_items_that_were_held_out_are_calibrated() -> None:
    data = drawn(4000, 24, (4, 3), noise=0.9, seed=2)
    space = fitted(data.only(np.arange(2000)))
    unseen = data.only(np.arange(2000, 4000))
    keys = sorted(
        (key for key in space.prototypes.vectors if key.facet == "facet1"), key=lambda k: k.code
    )
    found = probabilities(space, space.project(unseen.embeddings), keys)
    assert_allclose(found.sum(axis=1), 1, atol=1e-5)
    right = found.argmax(axis=1) == unseen.labels[:, 1]
    assert 0.5 < right.mean() < 0.99
    assert found.max(axis=1).mean() == pytest.approx(right.mean(), abs=0.06)


def test_queries_that_name_attributes_are_ranked_by_agreement() -> None:
    for mode in AttributeMode:
        assert SPACE.ranks_by_agreement([value(0, 1), value(1, 2, -1.0)], mode)
        assert not SPACE.ranks_by_agreement([item(3)], mode)
        assert not SPACE.ranks_by_agreement([value(0, 1), value(0, 1, -1.0)], mode)
    mixed: list[SpaceTerm] = [item(3), value(1, 2)]
    assert SPACE.ranks_by_agreement(mixed, AttributeMode.REPLACE)
    assert not SPACE.ranks_by_agreement(mixed, AttributeMode.ADD)


def test_values_that_cancel_out_leave_the_item_as_it_is() -> None:
    alone = SPACE.compose([item(3), value(0, 1)])
    cancelled = SPACE.compose([item(3), value(1, 2), value(1, 2, -1.0), value(0, 1)])
    assert_allclose(cancelled.vector, alone.vector, atol=1e-6)


def test_agreements_that_are_as_good_as_equal_leave_the_order_to_the_similarities() -> None:
    agreements = np.log(np.array([0.9996, 0.9999, 0.5, 0.8]))
    similarities = np.array([0.9, 0.7, 0.95, 0.1])
    assert best_first(agreements, similarities).tolist() == [0, 1, 3, 2]


def test_agreement_needs_prototypes() -> None:
    with pytest.raises(FailedPreconditionError) as caught:
        agreements(value(0, 9))
    assert caught.value.reason == "PROTOTYPE_PENDING"
    bare = SPACE.with_prototypes(Prototypes())
    alone = [item(3)]
    assert np.isfinite(bare.agreement(alone, bare.compose(alone), GALLERY)).all()
