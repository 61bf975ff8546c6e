"""Carries out a training request and tells the terminal how it goes."""

from __future__ import annotations

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from tashihiki_server.dataset import Dataset, Skipped
from tashihiki_server.encoder.manifest import Manifest
from tashihiki_training.history import Entry
from tashihiki_training.pixels import Pictures, load_pictures
from tashihiki_training.request import TrainingRequest
from tashihiki_training.run_folder import RunFolder
from tashihiki_training.trainer import Observer
from tashihiki_training.training_data import TrainingData
from tashihiki_training.training_run import (
    Plan,
    choose_device,
    known_photos,
    limited,
    train,
    training_data,
)

MOST_LISTED = 20


def run_training(request: TrainingRequest, console: Console | None = None) -> Manifest:
    """Trains and exports.

    Raises:
        TashihikiError: whatever is wrong with the request, the catalogue or the run folder.
    """
    console = console or Console(highlight=False, soft_wrap=True)
    settings = request.settings
    device = choose_device(request.device)
    dataset = limited(request.dataset(), request.limit, settings.seed)
    folder = RunFolder(request.out)
    folder.prepare(resume=request.resume)
    try:
        pictures = _read(request, dataset, folder, console)
        data = training_data(pictures, dataset.facets, settings.seed)
        _announce(data, console)
        plan = Plan(
            source=request.source,
            folder=folder,
            settings=settings,
            device=device,
            weights=request.weights,
            name=request.name,
            resume=request.resume,
            max_seconds=None if request.max_minutes is None else request.max_minutes * 60,
        )
        left_out = dataset.skipped + pictures.unreadable
        manifest = _train(plan, data, left_out, console)
    finally:
        folder.scratch.unlink(missing_ok=True)
    _conclude(manifest, folder, left_out, console)
    return manifest


def _read(
    request: TrainingRequest, dataset: Dataset, folder: RunFolder, console: Console
) -> Pictures:
    photos = known_photos(dataset.photos)
    with _progress(console) as progress:
        task = progress.add_task("reading", total=len(photos))
        return load_pictures(
            photos,
            request.settings.size,
            folder.scratch,
            workers=request.workers,
            progress=lambda done: progress.update(task, completed=done),
        )


def _train(plan: Plan, data: TrainingData, left_out: list[Skipped], console: Console) -> Manifest:
    steps = -(-len(data.split.train) // plan.settings.batch)
    with _progress(console) as progress:
        task = progress.add_task("training", total=steps * plan.settings.epochs)

        def epoch(entry: Entry) -> None:
            progress.update(task, completed=entry["epoch"] * steps)
            console.print(_line(entry))

        observer = Observer(step=lambda: progress.advance(task), epoch=epoch)
        return train(plan, data, left_out, observer)


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )


def _announce(data: TrainingData, console: Console) -> None:
    parts = data.split
    console.print(
        f"{len(data.codes)} photos: {len(parts.train)} to learn from, "
        f"{len(parts.validation)} to steer by, {len(parts.test)} to report on"
    )
    for facet, values in zip(data.vocabulary.facets, data.vocabulary.values, strict=True):
        console.print(f"  {facet}: {len(values)} values")


def _line(entry: Entry) -> str:
    measured = entry["validation"]
    singles = "  ".join(f"{facet} {recall:.2f}" for facet, recall in measured["facets"].items())
    loss = f"loss {entry['loss']:.4f}" if "loss" in entry else "untrained  "
    mark = " *" if entry["best"] else ""
    return (
        f"epoch {entry['epoch']:3d}  {loss}  composed {measured['composed']:.3f} "
        f"(map {measured['composed_map']:.3f})  {singles}  {entry['seconds']:.0f} s{mark}"
    )


def _conclude(
    manifest: Manifest, folder: RunFolder, left_out: list[Skipped], console: Console
) -> None:
    for skipped in left_out[:MOST_LISTED]:
        console.print(f"left out: {skipped.path}: {skipped.why}")
    if len(left_out) > MOST_LISTED:
        console.print(f"… and {len(left_out) - MOST_LISTED} more, {len(left_out)} in all")
    console.print(_reported(manifest))
    console.print(f"encoder {manifest.fingerprint} written to {folder.encoder}")


def _reported(manifest: Manifest) -> str:
    composed = manifest.metrics["composed"]
    if not composed["queries"]:
        return "no test photo carries two facets, so nothing was composed"
    low, high = composed["interval_95"]
    return (
        f"test photos: recall at 1 of composed queries {composed['recall_at_1']:.3f} "
        f"(95 % interval {low:.3f} to {high:.3f}, {composed['queries']} queries)"
    )
