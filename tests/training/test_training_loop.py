"""Training itself: repeatable, resumable, and it stops when it should."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tashihiki.errors import AlreadyExistsError, FailedPreconditionError, InvalidArgumentError
from tashihiki_training.run_folder import RunFolder
from tashihiki_training.schedule import learning_rate
from tashihiki_training.settings import PRESETS, Settings
from tashihiki_training.trainer import Observer, Trainer
from tashihiki_training.training_data import TrainingData
from tashihiki_training.training_run import make_network

SIZE = 32
SHORT = Settings(size=SIZE, epochs=2, batch=8, patience=9)
Data = Callable[[int], TrainingData]


class Killed(Exception):
    """Stands for the end of the process."""


def trainer(
    data: TrainingData, folder: Path, settings: Settings = SHORT, observer: Observer | None = None
) -> Trainer:
    run = RunFolder(folder)
    run.prepare(resume=True)
    network, _ = make_network(settings, "none")
    return Trainer(network, data, settings, run, torch.device("cpu"), observer)


def weights(trained: Trainer) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in trained.network.parameters()])


def killing_after(steps: int) -> Observer:
    left = steps

    def step() -> None:
        nonlocal left
        left -= 1
        if not left:
            raise Killed

    return Observer(step=step)


@pytest.mark.parametrize("preset", ["default", "article"])
def test_resuming_in_the_middle_of_an_epoch_equals_never_having_stopped(
    shapes_data: Data, tmp_path: Path, preset: str
) -> None:
    data = shapes_data(SIZE)
    settings = replace(PRESETS[preset], size=SIZE, epochs=2, batch=8)
    straight = trainer(data, tmp_path / "straight", settings)
    straight.run()
    steps = straight.steps_per_epoch
    with pytest.raises(Killed):
        trainer(data, tmp_path / "broken", settings, killing_after(steps + 2)).run()
    resumed = trainer(data, tmp_path / "broken", settings)
    resumed.run(resume=True)
    assert torch.equal(weights(resumed), weights(straight))
    for left, right in zip(resumed.progress.history, straight.progress.history, strict=True):
        assert {**left, "seconds": 0} == {**right, "seconds": 0}


def test_the_seed_decides(shapes_data: Data, tmp_path: Path) -> None:
    data = shapes_data(SIZE)
    short = replace(SHORT, epochs=1)
    runs = [
        trainer(data, tmp_path / str(number), replace(short, seed=seed))
        for number, seed in enumerate((0, 0, 1))
    ]
    for run in runs:
        run.run()
    losses = [run.progress.history[-1]["loss"] for run in runs]
    assert losses[0] == losses[1] != losses[2]
    assert torch.equal(weights(runs[0]), weights(runs[1]))


def test_it_ends_when_patience_or_time_runs_out(shapes_data: Data, tmp_path: Path) -> None:
    data = shapes_data(SIZE)
    # A learning rate of 0 never improves on the start.
    still = replace(SHORT, epochs=50, learning_rate=0.0, patience=2)
    impatient = trainer(data, tmp_path / "patience", still)
    impatient.run()
    assert impatient.progress.epoch == 2
    late = trainer(data, tmp_path / "late")
    late.run(deadline=0.0)
    assert late.progress.epoch == 0


def test_losses_of_weight_0_are_left_out(shapes_data: Data, tmp_path: Path) -> None:
    lone = replace(SHORT, epochs=1, batch=24, triplet_weight=0.0, composition=0.0, additive=0.5)
    run = trainer(shapes_data(SIZE), tmp_path, lone)
    run.run()
    entry = run.progress.history[1]
    assert {"triplets", "composition"}.isdisjoint(entry)
    assert 0 < entry["additive"] == entry["loss"] <= 0.5


def test_epochs_are_scored_on_combinations_that_were_not_learnt_from(
    shapes_data: Data, tmp_path: Path
) -> None:
    run = trainer(shapes_data(SIZE), tmp_path, replace(SHORT, epochs=0))
    run.run()
    measured = run.progress.history[0]["validation"]
    assert run.progress.best == pytest.approx(
        [measured["unseen"], measured["unseen_map"]], abs=1e-4
    )
    assert 0 < measured["unseen_queries"] < measured["factored_queries"]
    assert measured["sum_queries"] == measured["factored_queries"]
    assert run.progress.best_epoch == 0


def test_the_best_epoch_is_kept(shapes_data: Data, tmp_path: Path) -> None:
    # So fast that it destroys what was there.
    wild = replace(SHORT, learning_rate=5.0, epochs=1, warm_up=0.0)
    run = trainer(shapes_data(SIZE), tmp_path, wild)
    before = weights(run)
    run.run()
    assert run.progress.history[1]["best"] == (not torch.equal(before, weights(run)))


@pytest.mark.parametrize("change", [{"seed": 5}, {"learning_rate": 1e-5}])
def test_a_training_is_not_resumed_as_another(
    shapes_data: Data, tmp_path: Path, change: dict[str, float]
) -> None:
    data = shapes_data(SIZE)
    trainer(data, tmp_path, replace(SHORT, epochs=0)).run()
    with pytest.raises(FailedPreconditionError, match=next(iter(change))) as caught:
        trainer(data, tmp_path, replace(SHORT, epochs=0, **change)).run(resume=True)  # type: ignore[arg-type]
    assert caught.value.reason == "CHECKPOINT_MISMATCH"


def test_a_broken_checkpoint(shapes_data: Data, tmp_path: Path) -> None:
    run = trainer(shapes_data(SIZE), tmp_path)
    run.folder.last.write_bytes(b"cut short")
    with pytest.raises(FailedPreconditionError) as caught:
        run.run(resume=True)
    assert caught.value.reason == "CHECKPOINT_INVALID"


def test_a_finished_run_is_not_overwritten(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    run.prepare(resume=False)
    run.last.write_bytes(b"x")
    with pytest.raises(AlreadyExistsError):
        run.prepare(resume=False)
    run.prepare(resume=True)


def test_the_learning_rate_rises_then_falls() -> None:
    settings = replace(SHORT, learning_rate=1.0, warm_up=0.1)
    rates = [learning_rate(settings, step, 100) for step in range(100)]
    assert rates[:10] == pytest.approx([0.1 * n for n in range(1, 11)])
    assert rates[10] == 1.0
    assert all(a > b for a, b in itertools.pairwise(rates[10:]))
    constant = replace(settings, warm_up=0.0, cosine=False)
    assert {learning_rate(constant, step, 100) for step in range(100)} == {1.0}


def test_batch_norm_is_folded_unless_it_is_to_learn() -> None:
    from tashihiki_training.batch_norm import has_batch_norm

    assert not has_batch_norm(make_network(PRESETS["default"], "none")[0])
    assert has_batch_norm(make_network(PRESETS["article"], "none")[0])


def test_at_least_one_stage_must_learn() -> None:
    with pytest.raises(InvalidArgumentError):
        make_network(replace(SHORT, freeze_stages=19), "none")
