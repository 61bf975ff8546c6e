"""`tashihiki train` from the catalogue to the bundle."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tashihiki.errors import InternalError, InvalidArgumentError, TashihikiError
from tashihiki_server.encoder.manifest import read_manifest, sha256
from tashihiki_training.cli import command
from tashihiki_training.export import run_onnx

BASE = ("--weights", "none", "--size", "64", "--batch", "16", "--device", "cpu")


def train(*arguments: object) -> None:
    """Runs the command as the command line does, errors raised."""
    texts = [str(argument) for argument in arguments]
    command(args=[*texts, *BASE], prog_name="tashihiki train", standalone_mode=False)


@pytest.fixture(scope="module")
def run(shapes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of one epoch."""
    out = tmp_path_factory.mktemp("run") / "run"
    train(shapes, "--out", out, "--epochs", 1, "--pooling", "median", "--name", "shapes")
    return out


def test_the_run_folder_holds_everything(run: Path) -> None:
    files = {path.relative_to(run).as_posix() for path in run.rglob("*") if path.is_file()}
    assert files == {
        "checkpoints/best.safetensors",
        "checkpoints/last.safetensors",
        "encoder/encoder.onnx",
        "encoder/manifest.json",
        "encoder/pictures.txt",
        "history.json",
        "loss.png",
        "recall.png",
    }
    with Image.open(run / "loss.png") as plot:
        assert plot.size[0] > 300
    history = json.loads((run / "history.json").read_text())
    assert [entry["epoch"] for entry in history] == [0, 1]
    assert set(history[1]["validation"]["facets"]) == {"shape", "colour"}


def test_the_manifest_says_where_the_encoder_comes_from(run: Path) -> None:
    manifest = read_manifest(run / "encoder")
    assert (manifest.name, manifest.pooling, manifest.dimension) == ("shapes", "median", 1280)
    assert manifest.input_size == 64
    training: dict[str, Any] = manifest.training
    assert training["data"]["pictures"] == 45
    assert training["data"]["facets"]["shape"] == {"bar": 15, "disc": 15, "square": 15}
    assert training["settings"]["seed"] == 0
    assert training["initial_weights"]["name"] == "none"
    assert training["export_cosine"] >= 0.9999
    metrics: dict[str, Any] = manifest.metrics
    assert metrics["part"] == "test"
    pictures = metrics["pictures"]
    assert pictures["test"] == 7
    assert sum(pictures.values()) == 45
    assert pictures["validation"] > 7
    for figures in (metrics["composed"], metrics["factored"]["composed"]):
        low, high = figures["interval_95"]
        assert low <= figures["recall_at_1"] <= high
    for figures in (metrics, metrics["factored"]):
        halves = [figures[f"composed_{kind}_in_training"]["queries"] for kind in ("seen", "unseen")]
        assert min(halves) > 0
        assert sum(halves) == figures["composed"]["queries"]


def test_the_bundle_lists_what_it_learnt_from(run: Path, shapes: Path, tmp_path: Path) -> None:
    known = {sha256(path) for path in shapes.glob("*.png")}
    listed = (run / "encoder" / "pictures.txt").read_text().splitlines()
    manifest = read_manifest(run / "encoder")
    pictures: dict[str, int] = manifest.metrics["pictures"]
    best = manifest.training["best_epoch"]
    if best:
        assert listed == sorted(set(listed))
        assert set(listed) < known
        assert len(listed) == pictures["train"] + pictures["validation"]
        assert manifest.training["outcome"] == f"exported epoch {best} of 1"
    else:
        assert listed == []
        assert "exported the initial weights" in manifest.training["outcome"]
    # What starts from its weights knows these pictures too.
    (run / "encoder" / "pictures.txt").write_text("".join(f"{name}\n" for name in listed or "a"))
    best_weights = str(run / "checkpoints" / "best.safetensors")
    args = [str(shapes), "--out", str(tmp_path / "next"), *BASE]
    args += ["--weights", best_weights, "--epochs", "0"]
    command(args=args, prog_name="tashihiki train", standalone_mode=False)
    inherited = (tmp_path / "next" / "encoder" / "pictures.txt").read_text().splitlines()
    assert inherited == (listed or ["a"])


def test_only_the_most_frequent_values_are_learnt(shapes: Path, tmp_path: Path) -> None:
    train(shapes, "--out", tmp_path, "--epochs", 0, "--top", "colour=2")
    data = read_manifest(tmp_path / "encoder").training["data"]
    assert data["pictures"] == 24
    # All are as frequent; those without a colour stay out.
    assert data["facets"]["colour"] == {"blue": 12, "green": 12}


def test_nothing_is_a_recipe_that_can_win(
    shapes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train(shapes, "--out", tmp_path, "--epochs", 1, "--learning-rate", 0)
    told = "training did not improve unseen combinations; exported the initial weights"
    out = capsys.readouterr().out
    assert told in out
    assert "keep the shipped encoder" in out.splitlines()[-1]
    manifest = read_manifest(tmp_path / "encoder")
    assert manifest.name == tmp_path.name
    assert manifest.training["outcome"] == told
    assert manifest.training["best_epoch"] == 0
    assert (tmp_path / "encoder" / "pictures.txt").read_text() == ""


@pytest.mark.parametrize("count", [1, 3])
def test_the_graph_takes_any_batch_and_gives_unit_vectors(run: Path, count: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (count, 64, 64, 3), dtype=np.uint8)
    embeddings = run_onnx(run / "encoder" / "encoder.onnx", pixels)
    assert embeddings.shape == (count, 1280)
    assert embeddings.dtype == np.float32
    assert (embeddings >= 0).all()
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1, rtol=1e-5)
    assert (run / "encoder" / "encoder.onnx").stat().st_size <= 10_000_000


def test_unreadable_photos_are_listed_at_the_end(
    shapes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "broken.png"
    broken.write_text("no picture")
    rows = (shapes / "labels.csv").read_text().splitlines()[1:19]
    table = tmp_path / "labels.csv"
    lines = [*rows, f"{broken},disc,red", "gone.png,disc,red"]
    table.write_text("\n".join(["path,shape,colour", *lines]) + "\n")
    train(table, "--out", tmp_path / "run", "--epochs", 0, "--image-root", shapes)
    out = capsys.readouterr().out
    assert "18 photos" in out
    assert "broken.png: the data is not an image that can be read" in out
    assert "gone.png: there is no such file" in out
    manifest = read_manifest(tmp_path / "run" / "encoder")
    assert manifest.training["data"]["left_out"] == 2
    assert manifest.training["epochs_run"] == 0


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("none.csv",), "CATALOGUE_NOT_FOUND"),
        (("{shapes}", "--facet", "form"), "UNKNOWN_COLUMN"),
        (("{shapes}", "--alias", "nonsense"), "ALIAS_INVALID"),
        (("{shapes}", "--top", "colour"), "SETTING_INVALID"),
        (("{shapes}", "--top", "size=3"), "UNKNOWN_FACET"),
        (("{shapes}", "--pattern", "{shape"), "PATTERN_INVALID"),
        (("{shapes}", "--weights", "none.pth", "--epochs", "0"), "WEIGHTS_NOT_FOUND"),
        (("{shapes}", "--device", "abacus"), "DEVICE_UNAVAILABLE"),
    ],
)
def test_bad_requests(
    shapes: Path, tmp_path: Path, arguments: tuple[str, ...], reason: str
) -> None:
    texts = [text.replace("{shapes}", str(shapes)) for text in arguments]
    # BASE first, so that what is tried here wins.
    args = [*BASE, *texts, "--out", str(tmp_path / "run")]
    with pytest.raises(TashihikiError) as caught:
        command(args=args, prog_name="train", standalone_mode=False)
    assert caught.value.reason == reason
    assert caught.value.remedy


def test_weights_are_looked_for_before_photos_are_read(
    shapes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    args = [str(shapes), *BASE, "--weights", str(tmp_path / "none.pth")]
    with pytest.raises(TashihikiError) as caught:
        command(
            args=[*args, "--out", str(tmp_path / "run")], prog_name="train", standalone_mode=False
        )
    assert caught.value.reason == "WEIGHTS_NOT_FOUND"
    assert capsys.readouterr().err == ""
    assert not (tmp_path / "run").exists()


def test_the_photos_are_announced_and_a_limit_that_ended_it_is_told(
    shapes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train(shapes, "--out", tmp_path / "run", "--epochs", 8, "--max-minutes", 0)
    told = capsys.readouterr()
    counts = json.loads((tmp_path / "run" / "encoder" / "manifest.json").read_text())
    pictures = counts["metrics"]["pictures"]
    before = told.out[: told.out.index("epoch   0")]
    assert f"45 photos: {pictures['train']} to learn from" in before
    assert "  shape: 3 values: bar 15, disc 15, square 15\n" in before
    assert "  colour: 3 values: blue 12, green 12, red 12; 9 photos without\n" in before
    queries = counts["metrics"]["composed"]["queries"]
    assert f"warning: only {queries} combinations to report on" in before
    assert told.err.splitlines() == ["reading", "measuring"]
    assert "ended by --max-minutes 0 after epoch 0 of 8\n" in told.out


def test_a_run_is_not_overwritten(shapes: Path, run: Path) -> None:
    with pytest.raises(TashihikiError, match="already holds a training"):
        train(shapes, "--out", run)


def test_nothing_to_tell_apart(shapes: Path, tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    rows = (shapes / "labels.csv").read_text().splitlines()[1:7]
    table.write_text("path,k\n" + "".join(f"{row.split(',')[0]},same\n" for row in rows))
    with pytest.raises(TashihikiError) as caught:
        train(table, "--image-root", shapes, "--out", tmp_path / "run")
    assert caught.value.reason == "NOTHING_TO_LEARN"


def test_a_graph_that_disagrees_is_not_left_behind(
    run: Path, shapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write_another(network: object, size: int, path: Path) -> None:
        shutil.copy(run / "encoder" / "encoder.onnx", path)

    monkeypatch.setattr("tashihiki_training.export.write_onnx", write_another)
    options = ("--epochs", 0, "--seed", 1, "--pooling", "median")
    with pytest.raises(InternalError) as caught:
        train(shapes, "--out", tmp_path / "run", *options)
    assert caught.value.reason == "EXPORT_DISAGREES"
    assert list((tmp_path / "run" / "encoder").iterdir()) == []


def test_help_does_not_import_torch() -> None:
    check = "import sys, tashihiki_training.cli; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", check], check=True)


def test_one_facet_is_steered_and_reported_by_itself(
    shapes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train(shapes, "--out", tmp_path / "run", "--epochs", 0, "--facet", "shape")
    out = capsys.readouterr().out
    history = json.loads((tmp_path / "run" / "history.json").read_text())
    measured = history[0]["validation"]
    assert set(measured) == {"facets", "facets_map"}
    assert f"facets {measured['facets']['shape']:.3f} (map " in out
    assert "unseen" not in out
    assert re.search(r"^  shape [01]\.\d{3} \(95 % interval .*, 3 queries\)$", out, re.MULTILINE)
    manifest = read_manifest(tmp_path / "run" / "encoder")
    assert manifest.metrics["composed"] == {"queries": 0}


@pytest.mark.parametrize(
    ("epochs_done", "told"),
    [(None, "run the same command again"), (0, "after epoch 0; go on with --resume")],
)
def test_an_interruption_says_how_to_go_on(
    shapes: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    epochs_done: int | None,
    told: str,
) -> None:
    def interrupt(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    where = "command.load_pictures" if epochs_done is None else "trainer.Trainer._epoch"
    monkeypatch.setattr(f"tashihiki_training.{where}", interrupt)
    texts = [str(shapes), "--out", str(tmp_path / "run"), *BASE]
    assert command(args=texts, prog_name="train", standalone_mode=False) == 130
    assert told in capsys.readouterr().err


def test_help_shows_the_presets(capsys: pytest.CaptureFixture[str]) -> None:
    command(args=["--help"], prog_name="train", standalone_mode=False)
    words = " ".join(re.sub(r"[│\s]+", " ", capsys.readouterr().out).split())
    for default in ("10; article 30", "(64)", "stages; article median", "0.0001; article 0.001"):
        assert default in words


def test_a_catalogue_of_unreadable_photos_says_why(tmp_path: Path) -> None:
    rows = ["path,shape,colour"]
    for number in range(6):
        (tmp_path / f"{number}.png").write_text("no picture")
        rows.append(f"{number}.png,s{number % 2},c{number % 3}")
    (tmp_path / "labels.csv").write_text("\n".join(rows))
    with pytest.raises(InvalidArgumentError) as caught:
        train(tmp_path / "labels.csv", "--out", tmp_path / "run", "--epochs", 0)
    assert caught.value.reason == "CATALOGUE_EMPTY"
    assert (
        f"none of 6 photos can be read; the first, {tmp_path / '0.png'}: " in caught.value.message
    )
    assert "not an image" in caught.value.message
