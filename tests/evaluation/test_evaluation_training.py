"""`tashihiki evaluate --train`: encoders that know nothing of what they are evaluated on."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from evaluation.synthetic import factorial
from shapes_catalogue import write_shapes
from tashihiki.errors import TashihikiError
from tashihiki_evaluation.cli import command
from tashihiki_evaluation.request import Recipe
from tashihiki_evaluation.trained import TrainedEncoders
from tashihiki_training.settings import PRESETS
from tashihiki_training.trainer import Trainer

SIZE = 32


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def evaluate(*arguments: object) -> None:
    """Runs the command as the command line does, errors raised."""
    texts = [str(argument) for argument in arguments]
    command(args=texts, prog_name="tashihiki evaluate", standalone_mode=False)


def _report(folder: Path) -> dict[str, Any]:
    report: dict[str, Any] = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    return report


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with 72 pictures and labels.csv."""
    return write_shapes(tmp_path_factory.mktemp("catalogue"), copies=8).parent


TRAIN = ("--train", "--weights", "none", "--size", SIZE, "--epochs", 1, "--folds", 2)


def test_every_split_is_trained_for_once_and_kept(
    shapes: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = ("--protocol", "P1", "--protocol", "P5")
    evaluate(shapes, "--out", tmp_path, *TRAIN, *asked)
    told = capsys.readouterr().err
    # The two halves, for both protocols.
    assert "2 trainings, one for each set of pictures that is fitted on; at most about" in told
    report = _report(tmp_path)
    encoder = report["encoder"]
    assert (encoder["name"], encoder["version"]) == ("trained for each split", "default")
    assert len(encoder["trainings"]) == 2
    for training in encoder["trainings"]:
        assert training["epochs_run"] == 1
        assert training["learnt_from"] + training["steered_by"] <= 36
    assert report["leak"] == ""
    assert "- 2 trainings from the weights none, at 32 pixels" in (
        tmp_path / "report.md"
    ).read_text(encoding="utf-8")
    assert len(list((tmp_path / "trainings").iterdir())) == 2

    # A second evaluation trains nothing, and says the same.
    def refuse(*arguments: object, **options: object) -> None:
        raise AssertionError("trained again")

    monkeypatch.setattr(Trainer, "run", refuse)
    evaluate(shapes, "--out", tmp_path, *TRAIN, *asked)
    assert "2 are kept from before" in capsys.readouterr().err
    again = _report(tmp_path)
    assert {**again, "seconds": 0} == {**report, "seconds": 0}


def _encoders(folder: Path, pixels: np.ndarray[Any, np.dtype[np.uint8]]) -> TrainedEncoders:
    folder.mkdir()
    settings = replace(PRESETS["default"], size=SIZE, epochs=1, batch=16)
    digests = [picture.tobytes().hex()[:64] for picture in pixels]
    labels = factorial((3, 3), 4)
    recipe = Recipe(settings, "none")
    return TrainedEncoders(pixels, digests, labels, recipe, folder, torch.device("cpu"))


def test_a_picture_that_is_held_out_changes_no_weight(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (36, SIZE, SIZE, 3), dtype=np.uint8)
    fit = np.flatnonzero(np.arange(36) % 4 < 3)
    before = _encoders(tmp_path / "before", pixels).train(fit)
    changed = pixels.copy()
    changed[3] = 255 - changed[3]
    assert 3 not in fit
    after = _encoders(tmp_path / "after", changed).train(fit)
    others = np.arange(36) != 3
    np.testing.assert_array_equal(before.vectors[others], after.vectors[others])
    assert not np.array_equal(before.vectors[3], after.vectors[3])
    assert before.facts["validation"] == after.facts["validation"]


def test_a_training_that_was_stopped_goes_on(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (36, SIZE, SIZE, 3), dtype=np.uint8)
    fit = np.arange(0, 36, 2)
    straight = _encoders(tmp_path / "straight", pixels).train(fit)
    broken = _encoders(tmp_path / "broken", pixels)

    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        broken.train(fit, stop)
    assert not broken.kept(fit)
    resumed = broken.train(fit)
    assert broken.kept(fit)
    np.testing.assert_array_equal(resumed.vectors, straight.vectors)
    # A file that was cut short is as good as none.
    (kept,) = (tmp_path / "broken").glob("*.npz")
    kept.write_bytes(kept.read_bytes()[:100])
    np.testing.assert_array_equal(broken.train(fit).vectors, straight.vectors)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--train", "--encoder", "runs/x"), "--encoder"),
        (("--epochs", 3), "--train"),
        (("--weights", "none"), "--train"),
        (("--preset", "article"), "--train"),
    ],
)
def test_options_that_do_not_go_together(
    shapes: Path, tmp_path: Path, options: tuple[object, ...], words: str
) -> None:
    with pytest.raises(TashihikiError) as caught:
        evaluate(shapes, "--out", tmp_path, *options)
    assert caught.value.reason == "SETTING_INVALID"
    assert words in caught.value.remedy


def test_pictures_of_the_weights_are_a_leak(shapes: Path, tmp_path: Path) -> None:
    from tashihiki_server.encoder.manifest import sha256
    from tashihiki_training.mobilenet import make_stages

    run = tmp_path / "run"
    (run / "checkpoints").mkdir(parents=True)
    (run / "encoder").mkdir()
    states = {f"features.{name}": t for name, t in make_stages().state_dict().items()}
    torch.save(states, run / "checkpoints" / "best.pth")
    (run / "encoder" / "pictures.txt").write_text(sha256(shapes / "bar_red_1.png") + "\n")
    options = [*TRAIN, "--protocol", "P1", "--epochs", 0]
    options[options.index("none")] = run / "checkpoints" / "best.pth"
    evaluate(shapes, "--out", tmp_path / "out", *options)
    assert _report(tmp_path / "out")["leak"].startswith("leak: 1 of 72 pictures")
    shutil.rmtree(run)


def test_torch_is_not_needed_without_training() -> None:
    check = (
        "import sys, tashihiki_evaluation.command, tashihiki_evaluation.cli;"
        "sys.exit('torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", check], check=True)
