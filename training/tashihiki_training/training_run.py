"""A training from the catalogue to the bundle."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from tashihiki.errors import FailedPreconditionError, InvalidArgumentError
from tashihiki_server.dataset import Dataset, Photo, Skipped, none_readable
from tashihiki_server.encoder.manifest import Manifest
from tashihiki_training.batch_norm import fold_batch_norm
from tashihiki_training.evaluation import measure, report
from tashihiki_training.export import export
from tashihiki_training.initial_weights import InitialWeights, initial_stages
from tashihiki_training.labels import vocabulary
from tashihiki_training.mobilenet import STAGES, make_stages
from tashihiki_training.network import EncoderNetwork
from tashihiki_training.pixels import Pictures
from tashihiki_training.provenance import provenance
from tashihiki_training.run_folder import RunFolder
from tashihiki_training.seen_pictures import known_pictures, write_pictures
from tashihiki_training.settings import Settings
from tashihiki_training.split import split
from tashihiki_training.trainer import Observer, Trainer
from tashihiki_training.training_data import TrainingData

SAMPLES = 16


@dataclass(frozen=True)
class Plan:
    """What is to be trained, and where to.

    Attributes:
        source: the catalogue, for the manifest.
        folder: of the run.
        settings: how to train.
        device: where to compute.
        weights: `imagenet`, `none` or a file.
        name: of the encoder.
        resume: go on with the training in the folder.
        max_seconds: no epoch begins after so long; None: no limit.
    """

    source: Path
    folder: RunFolder
    settings: Settings
    device: torch.device
    weights: str = "imagenet"
    name: str = "tashihiki"
    resume: bool = False
    max_seconds: float | None = None


def limited(dataset: Dataset, limit: int | None, seed: int) -> Dataset:
    """So many of the photos, drawn at random."""
    if limit is None or limit >= len(dataset.photos):
        return dataset
    drawn = np.random.default_rng(seed).permutation(len(dataset.photos))[:limit]
    return replace(dataset, photos=[dataset.photos[i] for i in sorted(drawn)])


def training_data(pictures: Pictures, facets: list[str], seed: int) -> TrainingData:
    """Labels and split of the pictures.

    Raises:
        InvalidArgumentError: CATALOGUE_EMPTY, DATASET_TOO_SMALL or NOTHING_TO_LEARN.
    """
    if pictures.unreadable and not pictures.photos:
        raise none_readable(pictures.unreadable)
    words = vocabulary(pictures.photos, facets)
    if not any(len(values) > 1 for values in words.values):
        raise InvalidArgumentError(
            "no facet has two values to tell apart",
            reason="NOTHING_TO_LEARN",
            field="facet",
            remedy="Name facets with --facet; a table's columns count as facets "
            "where values repeat.",
        )
    codes = words.codes(pictures.photos)
    parts = split(pictures.digests, codes, seed)
    return TrainingData(pictures.pixels, codes, words, parts, pictures.digests)


def make_network(settings: Settings, weights: str) -> tuple[EncoderNetwork, InitialWeights]:
    """The network to train, with batch norm folded where it is not to learn."""
    if not 0 <= settings.freeze_stages < STAGES:
        raise InvalidArgumentError(
            f"{settings.freeze_stages} stages cannot be frozen",
            reason="SETTING_INVALID",
            field="freeze_stages",
            remedy=f"There are {STAGES}; leave at least one to learn.",
        )
    # What the first call imports draws random numbers of its own.
    make_stages()
    torch.manual_seed(settings.seed)
    stages, origin = initial_stages(weights)
    if settings.freeze_batch_norm or not origin.learnt_norm:
        fold_batch_norm(stages)
    return EncoderNetwork(stages, settings.pooling, settings.freeze_stages), origin


def train(plan: Plan, data: TrainingData, left_out: list[Skipped], observer: Observer) -> Manifest:
    """Trains, reports on the test part, and writes the bundle."""
    torch.use_deterministic_algorithms(True, warn_only=plan.device.type != "cpu")
    network, origin = make_network(plan.settings, plan.weights)
    trainer = Trainer(
        network, data, plan.settings, plan.folder, plan.device, observer, origin=repr(origin)
    )
    deadline = None if plan.max_seconds is None else time.monotonic() + plan.max_seconds
    trainer.run(resume=plan.resume, deadline=deadline)
    tested = measure(network, data, data.split.test, plan.device, observer.measured)
    manifest = export(
        network,
        plan.folder.encoder,
        np.asarray(data.pixels[data.split.test[:SAMPLES]]),
        name=plan.name,
        training=provenance(
            plan.source, data, plan.settings, origin, trainer.progress, len(left_out)
        ),
        metrics=report(tested, data, plan.settings.seed),
    )
    seen = known_pictures(plan.weights)
    if trainer.progress.best_epoch:
        seen |= {data.digests[n] for n in (*data.split.train, *data.split.validation)}
    write_pictures(seen, plan.folder.encoder)
    return manifest


def choose_device(name: str) -> torch.device:
    """The device of that name; `auto`: the GPU if there is one.

    Raises:
        FailedPreconditionError: DEVICE_UNAVAILABLE.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise FailedPreconditionError(
            f"the device {name} cannot be used: {str(error).splitlines()[0]}",
            reason="DEVICE_UNAVAILABLE",
            field="device",
            remedy="Choose auto or cpu.",
        ) from error
    return device


def known_photos(photos: Sequence[Photo]) -> list[Photo]:
    """Those with at least one label."""
    return [photo for photo in photos if photo.attributes]
