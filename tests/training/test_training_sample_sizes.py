"""What a training says beforehand of the photos that it has."""

from __future__ import annotations

import numpy as np

from tashihiki_training.labels import MISSING, Codes, Vocabulary
from tashihiki_training.sample_sizes import value_counts, warnings
from tashihiki_training.split import Split
from tashihiki_training.training_data import TrainingData


def _data(codes: Codes, counts: tuple[int, ...], parts: tuple[slice, slice, slice]) -> TrainingData:
    names = tuple(f"f{number}" for number in range(len(counts)))
    values = tuple(tuple(f"v{code}" for code in range(count)) for count in counts)
    every = np.arange(len(codes))
    return TrainingData(
        np.zeros((len(codes), 1, 1, 3), dtype=np.uint8),
        codes,
        Vocabulary(names, values),
        Split(*(every[part] for part in parts)),
        [str(number) for number in every],
    )


def _grid(*counts: int, copies: int) -> Codes:
    cells = np.stack(np.meshgrid(*map(np.arange, counts), indexing="ij"), axis=-1)
    return np.repeat(cells.reshape(-1, len(counts)), copies, axis=0)


def test_values_are_counted_and_the_rare_ones_summed_up() -> None:
    codes = np.array([[0, 0]] * 3 + [[0, 1]] * 5 + [[0, MISSING]] * 2)
    codes = np.concatenate([codes, [[0, code] for code in range(2, 14)]])
    data = _data(codes, (1, 14), (slice(0, 8), slice(8, 9), slice(9, 10)))
    first, second = value_counts(data)
    assert first == "f0: 1 value: v0 22"
    assert second.startswith("f1: 14 values: v1 5, v0 3, v2 1, ")
    assert second.endswith("2 more with 1 each; 2 photos without")


def test_a_large_set_is_not_warned_of() -> None:
    codes = np.tile(_grid(6, 6, copies=2), (3, 1))
    data = _data(codes, (6, 6), (slice(0, 72), slice(72, 144), slice(144, 216)))
    assert list(warnings(data)) == []


def test_a_small_set_is_told_what_its_own_split_can_tell() -> None:
    # f0:v1 + f1:v1 is held out, f1:v2 has no photo to learn from, f1:v1 has two.
    train = np.array([[0, 0]] * 5 + [[1, 0]] * 5 + [[0, 1]] * 2)
    steering = np.array([[1, 1], [0, 0], [0, 2]])
    reported = np.array([[0, 0], [1, 0], [1, 0], [0, 1], [1, 1]])
    codes = np.concatenate([train, steering, reported])
    data = _data(codes, (2, 3), (slice(0, 12), slice(12, 15), slice(15, 20)))
    scarce, steered, told = warnings(data)
    assert scarce.startswith("f1: fewer than 5 photos to learn from of v1 2, v2 0;")
    assert steered.startswith("only 1 unseen combination to steer by: one of them is 1.00 of")
    # Wilson's for 2 of 4: 0.15 to 0.85.
    assert told.startswith("only 4 combinations to report on: ")
    assert "up to 0.70 wide" in told


def test_with_a_single_facet_its_values_are_counted() -> None:
    codes = np.tile(np.arange(3)[:, None], (10, 1))
    data = _data(codes, (3,), (slice(0, 24), slice(24, 27), slice(27, 29)))
    steered, told = warnings(data)
    assert steered.startswith("only 3 values to steer by: one of them is 0.33 of")
    assert told.startswith("only 2 values to report on")


def test_no_single_share_is_told_where_facets_weigh_alike() -> None:
    # No photo has both facets; the score is the mean over the two.
    codes = np.array([[0, MISSING], [1, MISSING], [MISSING, 0], [MISSING, 1], [MISSING, 2]])
    data = _data(np.tile(codes, (15, 1)), (2, 3), (slice(0, 45), slice(45, 60), slice(60, 75)))
    steered, _ = warnings(data)
    assert steered.startswith("only 5 values to steer by, so ")
