"""Carries out a training request and tells the terminal how it goes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from statistics import fmean
from typing import Any

from rich.console import Console

from tashihiki_server.dataset import Dataset, Skipped
from tashihiki_server.encoder.manifest import Manifest
from tashihiki_training import checkpoint
from tashihiki_training.bars import MEASURING, READING, TRAINING, TimeLeft, stages
from tashihiki_training.history import COMPOSED, Entry
from tashihiki_training.pixels import Pictures, load_pictures
from tashihiki_training.request import TrainingRequest
from tashihiki_training.run_folder import RunFolder
from tashihiki_training.sample_sizes import value_counts, warnings
from tashihiki_training.trainer import Observer
from tashihiki_training.training_data import TrainingData
from tashihiki_training.training_run import (
    Plan,
    choose_device,
    known_photos,
    limited,
    make_network,
    train,
    training_data,
)

MOST_LISTED = 20


def run_training(request: TrainingRequest, console: Console | None = None) -> Manifest:
    """Trains and exports.

    Raises:
        TashihikiError: whatever is wrong with the request, the catalogue or the run folder.
    """
    console = console or Console(highlight=False, soft_wrap=True, markup=False)
    settings = request.settings
    device = choose_device(request.device)
    dataset = limited(request.dataset(), request.limit, settings.seed)
    # Before the photos are read, which takes long: weights may have to be downloaded.
    make_network(settings, request.weights)
    folder = RunFolder(request.out)
    folder.prepare(resume=request.resume)
    with _interruptible(folder), _scratch(folder):
        pictures = _read(request, dataset, folder, console)
        data = training_data(pictures, dataset.facets, settings.seed)
        _announce(data, console)
        plan = Plan(
            source=request.source,
            folder=folder,
            settings=settings,
            device=device,
            weights=request.weights,
            name=request.encoder_name,
            resume=request.resume,
            max_seconds=None if request.max_minutes is None else request.max_minutes * 60,
        )
        left_out = dataset.skipped + pictures.unreadable
        manifest = _train(plan, data, left_out, console)
    _conclude(manifest, folder, left_out, request.max_minutes, console)
    return manifest


@contextmanager
def _scratch(folder: RunFolder) -> Iterator[None]:
    try:
        yield
    finally:
        folder.scratch.unlink(missing_ok=True)


@contextmanager
def _interruptible(folder: RunFolder) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        Console(stderr=True, highlight=False, soft_wrap=True, markup=False).print(
            _interrupted(folder)
        )
        raise


def _interrupted(folder: RunFolder) -> str:
    if not folder.last.exists():
        return "interrupted before there was anything to keep; run the same command again"
    epoch = checkpoint.read(folder.last).state["progress"]["epoch"]
    return f"interrupted after epoch {epoch}; go on with --resume"


def _read(
    request: TrainingRequest, dataset: Dataset, folder: RunFolder, console: Console
) -> Pictures:
    photos = known_photos(dataset.photos)
    with stages(console) as progress:
        return load_pictures(
            photos,
            request.settings.size,
            folder.scratch,
            workers=request.workers,
            progress=lambda done: progress(READING, done, len(photos)),
        )


def _train(plan: Plan, data: TrainingData, left_out: list[Skipped], console: Console) -> Manifest:
    steps = -(-len(data.split.train) // plan.settings.batch)
    total, done = steps * plan.settings.epochs, 0
    with stages(console, TimeLeft(steps, plan.max_seconds)) as progress:

        def step() -> None:
            nonlocal done
            done += 1
            progress(TRAINING, done, total)

        def begins(epoch: int) -> None:
            nonlocal done
            done = (epoch - 1) * steps

        def epoch(entry: Entry) -> None:
            console.print(_line(entry))

        def measured(embedded: int, pictures: int) -> None:
            progress(MEASURING, embedded, pictures)

        return train(plan, data, left_out, Observer(step, epoch, measured, begins))


def _announce(data: TrainingData, console: Console) -> None:
    parts = data.split
    console.print(
        f"{len(data.codes)} photos: {len(parts.train)} to learn from, "
        f"{len(parts.validation)} to steer by, {len(parts.test)} to report on"
    )
    for line in value_counts(data):
        console.print(f"  {line}")
    for warning in warnings(data):
        console.print(f"warning: {warning}")


def _line(entry: Entry) -> str:
    measured = entry["validation"]
    singles = "  ".join(f"{facet} {recall:.2f}" for facet, recall in measured["facets"].items())
    loss = f"loss {entry['loss']:.4f}" if "loss" in entry else "untrained  "
    mark = " *" if entry["best"] else ""
    return (
        f"epoch {entry['epoch']:3d}  {loss}  {_steered(measured)}"
        f"{singles}  {entry['seconds']:.0f} s{mark}"
    )


def _steered(measured: dict[str, Any]) -> str:
    """The figures that decide which epoch is the best, then the other compositions."""
    composed = [name for name in COMPOSED if name in measured]
    if composed:
        first = composed[0]
        others = "".join(f"{name} {measured[name]:.2f}  " for name in composed[1:])
        return f"{first} {measured[first]:.3f} (map {measured[f'{first}_map']:.3f})  {others}"
    if not measured["facets"]:
        return ""
    recall, precision = (fmean(measured[key].values()) for key in ("facets", "facets_map"))
    return f"facets {recall:.3f} (map {precision:.3f})  "


def _conclude(
    manifest: Manifest,
    folder: RunFolder,
    left_out: list[Skipped],
    max_minutes: float | None,
    console: Console,
) -> None:
    for skipped in left_out[:MOST_LISTED]:
        console.print(f"left out: {skipped.path}: {skipped.why}")
    if len(left_out) > MOST_LISTED:
        console.print(f"… and {len(left_out) - MOST_LISTED} more, {len(left_out)} in all")
    for line in _reported(manifest.metrics):
        console.print(line)
    if max_minutes is not None and _cut_short(manifest.training):
        epochs = f"{manifest.training['epochs_run']} of {manifest.training['settings']['epochs']}"
        console.print(f"ended by --max-minutes {max_minutes:g} after epoch {epochs}")
    console.print(manifest.training["outcome"])
    console.print(f"encoder {manifest.fingerprint} written to {folder.encoder}")
    if manifest.training["epochs_run"] and not manifest.training["best_epoch"]:
        console.print(
            "nothing was learnt that helps with other photos: keep the shipped encoder, or train"
            " on more photos or with a lower --learning-rate"
        )


def _cut_short(training: dict[str, Any]) -> bool:
    """Whether neither the epochs were over nor patience had run out."""
    settings, epochs = training["settings"], training["epochs_run"]
    waited: int = epochs - training["best_epoch"]
    return bool(epochs < settings["epochs"] and waited < settings["patience"])


def _reported(metrics: dict[str, Any]) -> list[str]:
    figures = {
        f"{space}, {kind}": found[f"composed_{kind}_in_training"]
        for space, found in (("factored", metrics.get("factored")), ("plain sum", metrics))
        for kind in ("unseen", "seen")
        if found is not None
    }
    figures |= metrics["facets"]
    lines = [_figures(name, found) for name, found in figures.items() if found["queries"]]
    if not metrics["composed"]["queries"]:
        lines.append("  no test photo carries two facets, so nothing was composed")
    return ["test photos, recall at 1:", *lines]


def _figures(name: str, figures: dict[str, Any]) -> str:
    low, high = figures["interval_95"]
    queries = "1 query" if figures["queries"] == 1 else f"{figures['queries']} queries"
    recall = figures["recall_at_1"]
    return f"  {name} {recall:.3f} (95 % interval {low:.3f} to {high:.3f}, {queries})"
