"""Which pictures come together, and which stay apart."""

from __future__ import annotations

import itertools
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tashihiki.errors import InvalidArgumentError
from tashihiki_server.dataset import Photo
from tashihiki_training.augmentation import Augmentation
from tashihiki_training.balanced_batches import balanced_batches
from tashihiki_training.labels import MISSING, Codes, vocabulary
from tashihiki_training.split import Shares, held_out, split

ROWS = st.lists(st.tuples(st.integers(-1, 2), st.integers(-1, 1)), min_size=1, max_size=60).map(
    lambda rows: np.array(rows, dtype=np.int64)
)


@given(ROWS, st.integers(1, 16), st.integers(0, 5))
def test_an_epoch_draws_as_many_as_there_are_and_combinations_take_turns(
    codes: Codes, size: int, seed: int
) -> None:
    batches = list(balanced_batches(codes, size, np.random.default_rng(seed)))
    assert [len(batch) for batch in batches[:-1]] == [size] * (len(batches) - 1)
    drawn = np.concatenate(batches)
    assert len(drawn) == len(codes)
    kinds: dict[tuple[bool, ...], Counter[tuple[int, ...]]] = {}
    for row in codes[drawn].tolist():
        kinds.setdefault(tuple(c != MISSING for c in row), Counter())[tuple(row)] += 1
    for counts in kinds.values():
        assert max(counts.values()) - min(counts.values()) <= 1
    everything = {tuple(row) for row in codes.tolist()}
    assert everything == {combination for counts in kinds.values() for combination in counts}


def test_kinds_share_every_batch() -> None:
    faces = np.stack([np.arange(60) % 6, np.full(60, MISSING)], axis=1)
    items = np.stack([np.full(20, MISSING), np.arange(20) % 4], axis=1)
    codes = np.concatenate([faces, items])
    for batch in balanced_batches(codes, 16, np.random.default_rng(0)):
        assert 2 <= (batch >= 60).sum() <= 6


def test_dropped_combinations_stay_out_of_an_epoch() -> None:
    codes = np.array([(a, b) for a in range(5) for b in range(4)] * 3)
    epochs = []
    for seed in range(6):
        drawn = np.concatenate(
            list(balanced_batches(codes, 16, np.random.default_rng(seed), dropout=0.2))
        )
        assert len(drawn) == len(codes)
        epochs.append({tuple(row) for row in codes[drawn].tolist()})
    assert {len(shown) for shown in epochs} == {16}
    assert set.union(*epochs) == {tuple(row) for row in codes.tolist()}


@given(
    st.lists(
        st.tuples(st.sampled_from("abcdefghijklmnop"), st.integers(-1, 2), st.integers(-1, 1)),
        min_size=1,
        max_size=60,
    ),
    st.integers(0, 9),
)
def test_identical_files_stay_together_whatever_their_order(
    files: list[tuple[str, int, int]], seed: int
) -> None:
    digests = [digest for digest, *_ in files]
    codes = np.array([labels for _, *labels in files], dtype=np.int64)
    if len(set(digests)) < 3:
        with pytest.raises(InvalidArgumentError):
            split(digests, codes, seed)
        return
    parts = split(digests, codes, seed)
    named = [{digests[i] for i in part} for part in (parts.train, parts.validation, parts.test)]
    assert all(named)
    assert sum(len(part) for part in named) == len(set(digests))
    every = np.concatenate([parts.train, parts.validation, parts.test])
    assert sorted(every.tolist()) == list(range(len(digests)))
    turned = split(digests[::-1], codes[::-1], seed)
    assert [
        {digests[::-1][i] for i in part} for part in (turned.train, turned.validation, turned.test)
    ] == named


def test_another_seed_splits_differently() -> None:
    digests = [str(number) for number in range(100)]
    codes = np.zeros((100, 1), dtype=np.int64)
    assert split(digests, codes, 0).test.tolist() != split(digests, codes, 1).test.tolist()


@pytest.mark.parametrize("counts", [(2, 2), (3, 3), (10, 7), (16, 12), (4, 3, 3)])
@pytest.mark.parametrize("seed", range(3))
def test_validation_has_combinations_that_are_not_learnt_from(
    counts: tuple[int, ...], seed: int
) -> None:
    grid = np.stack(np.meshgrid(*map(np.arange, counts), indexing="ij"), -1)
    codes = np.repeat(grid.reshape(-1, len(counts)), 5, axis=0)
    digests = [str(number) for number in range(len(codes))]
    parts = split(digests, codes, seed)
    for facet, count in enumerate(counts):
        assert len(np.unique(codes[parts.train, facet])) == count
    pairs = list(itertools.combinations(range(len(counts)), 2))
    for pair in pairs:
        learnt, steering = (
            {tuple(row) for row in codes[part][:, pair].tolist()}
            for part in (parts.train, parts.validation)
        )
        unseen = steering - learnt
        assert 1 <= len(unseen) <= len(learnt)
        assert steering & learnt
    assert len(parts.train) >= 0.4 * len(codes)


def test_held_out_combinations_leave_every_value_some_others() -> None:
    # The value 2 of the first facet has one combination only.
    codes = np.array([[0, 0], [0, 1], [0, 2], [1, 0], [1, 1], [1, 2], [2, 0]] * 3)
    usable = np.ones(len(codes), dtype=bool)
    drawn = [held_out(codes, usable, seed, 0.3) for seed in range(20)]
    assert any(held.any() for held in drawn)
    for held in drawn:
        assert not held[codes[:, 0] == 2].any()
        for facet in range(2):
            assert set(codes[~held, facet]) == {0, 1, 2}
    assert not held_out(codes, usable, 0, 0.0).any()


def test_nothing_has_to_be_kept_for_the_report() -> None:
    codes = np.array([[n % 3, n % 4] for n in range(48)])
    parts = split([str(n) for n in range(48)], codes, 0, Shares(test=0.0))
    assert not len(parts.test)
    assert len(parts.train) + len(parts.validation) == 48


def test_missing_labels_have_no_code() -> None:
    photos = [
        Photo("1", Path("1"), {"colour": "red", "kind": "mug"}),
        Photo("2", Path("2"), {"kind": "lamp"}),
    ]
    words = vocabulary(photos, ["kind", "colour"])
    assert words.values == (("lamp", "mug"), ("red",))
    assert words.codes(photos).tolist() == [[1, 0], [0, MISSING]]


def test_augmentation_keeps_shape_range_and_hue_and_follows_its_generator() -> None:
    grey = torch.rand(4, 1, 32, 32).expand(4, 3, 32, 32)
    augment = Augmentation(flip=True, zoom=0.8, jitter=0.2)
    once = augment(grey, torch.Generator().manual_seed(1))
    again = augment(grey, torch.Generator().manual_seed(1))
    assert torch.equal(once, again)
    assert once.shape == grey.shape
    assert 0 <= once.min() <= once.max() <= 1
    torch.testing.assert_close(once[:, 0], once[:, 2])


def test_no_augmentation_changes_nothing() -> None:
    images = torch.rand(2, 3, 16, 16)
    same = Augmentation(flip=False, zoom=1.0, jitter=0.0)(images, torch.Generator())
    torch.testing.assert_close(same, images, atol=1e-5, rtol=1e-5)
