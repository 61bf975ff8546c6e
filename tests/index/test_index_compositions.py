"""Sampled queries: of unit length, in the right blocks, and of what the gallery has."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from generated_rows import Generated, Rows, factored, raw
from tashihiki_server.index.compositions import Compositions, Gallery


def draw(gallery: Generated, count: int, seed: int = 0, facets: Sequence[str] = ()) -> Rows:
    made_of = Gallery(
        gallery.rows, gallery.labels, facets or gallery.facets, gallery.blocks, gallery.clip
    )
    queries, _ = Compositions(made_of, np.random.default_rng(seed)).draw(count)
    return queries


@pytest.mark.parametrize("gallery", [factored(2000), raw(2000)], ids=["factored", "raw"])
def test_queries_are_unit_vectors_and_repeatable(gallery: Generated) -> None:
    queries = draw(gallery, 60)
    assert queries.shape == (60, gallery.rows.shape[1])
    assert queries.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(queries, axis=1), 1, atol=1e-6)
    assert np.array_equal(queries, draw(gallery, 60))
    assert not np.array_equal(queries, draw(gallery, 60, seed=1))
    assert (queries >= 0).all() == gallery.clip


def test_factored_queries_fill_and_empty_blocks() -> None:
    gallery = factored(2000)
    filled = {
        tuple(bool(query[b.start : b.stop].any()) for b in gallery.blocks)
        for query in draw(gallery, 240)
    }
    colour, size, rest = (1, 0, 0), (0, 1, 0), (1, 1, 1)
    assert {colour, size, rest, (1, 1, 0), (0, 1, 1), (1, 0, 1)} == {
        tuple(int(part) for part in found) for found in filled
    }


def test_a_value_is_about_the_median_of_its_members() -> None:
    gallery = factored(600)
    # The fifth kind is a value alone, at times subtracted.
    lone = draw(gallery, 60)[4::6]
    values = []
    for facet, block in enumerate(gallery.blocks[:2]):
        for value in np.unique(gallery.labels[:, facet]):
            members = gallery.rows[gallery.labels[:, facet] == value]
            middle = np.median(members[:, block.start : block.stop], axis=0)
            vector = np.zeros(gallery.rows.shape[1])
            vector[block.start : block.stop] = middle / np.linalg.norm(middle)
            values.append(vector)
    # Of half of them, another one each time.
    cosines = np.abs(lone @ np.array(values).T).max(axis=1)
    assert cosines.min() > 0.9
    assert len(np.unique(np.round(cosines, 5))) > len(lone) / 2


def test_a_facet_without_a_block_is_not_asked_for() -> None:
    gallery = factored(500)
    queries = draw(gallery, 60, facets=("colour", "another"))
    assert not any(q[16:21].any() and not q[21:].any() for q in queries)
