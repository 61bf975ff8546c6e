"""What the plain sum has of every space's interface."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from space.labelled import attributes, drawn, probabilities, prototypes
from tashihiki.errors import FailedPreconditionError
from tashihiki_server.space.base import AttributeMode, Block, EmbeddingTerm, SpaceTerm
from tashihiki_server.space.prototype import Prototypes
from tashihiki_server.space.sum import CONCENTRATION, SumSpace
from tashihiki_server.vocabulary import AttributeKey

DATA = drawn(60, 12, (3, 2))
BARE = SumSpace(12, Prototypes(), keep_negative=True)
SPACE = BARE.with_prototypes(prototypes(BARE, DATA))


def test_everything_is_in_one_block() -> None:
    assert SPACE.identity == SPACE.kind == "sum"
    assert SPACE.blocks == (Block("", 0, 12),)
    assert_array_equal(SPACE.project(DATA.embeddings), DATA.embeddings)


def test_other_prototypes_leave_the_rest_as_it_is() -> None:
    assert SPACE.keep_negative
    assert len(SPACE.prototypes.vectors) == 5
    assert not BARE.prototypes.vectors


def test_both_modes_add() -> None:
    terms = attributes(DATA, (1, 0))
    add, replace = (SPACE.compose(terms, mode) for mode in AttributeMode)
    assert_array_equal(add.vector, replace.vector)
    assert add.scale == 1.0


def test_agreement_is_softmax_over_the_facets_values() -> None:
    rows = DATA.embeddings / np.linalg.norm(DATA.embeddings, axis=1, keepdims=True)
    keys = [AttributeKey("facet0", code) for code in (2, 0, 1)]
    powers = np.exp([CONCENTRATION * (rows @ SPACE.prototypes.vectors[key]) for key in keys])
    found = probabilities(SPACE, rows.astype(np.float32), keys)
    assert_allclose(found, (powers / powers.sum(axis=0)).T, atol=1e-4)
    with pytest.raises(FailedPreconditionError):
        probabilities(SPACE, rows.astype(np.float32), [AttributeKey("facet0", 7)])


def test_agreement_with_an_item_counts_its_likeness() -> None:
    rows = (DATA.embeddings / np.linalg.norm(DATA.embeddings, axis=1, keepdims=True)).astype("f4")
    terms: list[SpaceTerm] = [EmbeddingTerm(1.0, rows[0]), *attributes(DATA, (1, 0))]
    composed = SPACE.compose(terms)
    likeness = CONCENTRATION * (rows @ composed.vector - 1)
    alone = SPACE.agreement(terms[1:], SPACE.compose(terms[1:]), rows)
    assert_allclose(SPACE.agreement(terms, composed, rows), alone + likeness, atol=1e-3)
    assert not SPACE.ranks_by_agreement(terms[1:], AttributeMode.REPLACE)
