"""Encoders trained anew for every split, on nothing but the pictures that it is fitted on."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tashihiki_evaluation.catalogue import Indices, Labels
from tashihiki_evaluation.request import Recipe
from tashihiki_server.space.base import Vectors
from tashihiki_training.evaluation import BATCH, embed
from tashihiki_training.labels import Vocabulary
from tashihiki_training.pixels import Pixels
from tashihiki_training.provenance import outcome
from tashihiki_training.run_folder import RunFolder
from tashihiki_training.split import SHARES, Split, split
from tashihiki_training.trainer import Observer, Trainer
from tashihiki_training.training_data import TrainingData
from tashihiki_training.training_run import make_network

# A training step takes about three times as long as the forward pass alone.
_STEP = 3


@dataclass(frozen=True)
class Training:
    """One that is done.

    Attributes:
        vectors: (pictures, d), all pictures as the encoder embeds them.
        facts: for the report.
    """

    vectors: Vectors
    facts: dict[str, Any]


class TrainedEncoders:
    """Trains once for every set of pictures to learn from, and keeps the embeddings."""

    def __init__(
        self,
        pixels: Pixels,
        digests: Sequence[str],
        labels: Labels,
        recipe: Recipe,
        folder: Path,
        device: torch.device,
    ) -> None:
        """Prepares trainings.

        Args:
            pixels: (pictures, size, size, 3).
            digests: of the pixels.
            labels: of the pictures.
            recipe: how to train.
            folder: that keeps what is done, and states of what is not.
            device: where to compute.
        """
        torch.use_deterministic_algorithms(True, warn_only=device.type != "cpu")
        self.pixels = pixels
        self.digests = list(digests)
        self.labels = labels
        self.recipe = recipe
        self.folder = folder
        self.device = device
        network, self.origin = make_network(recipe.settings, recipe.weights)
        self.dimension = network.dimension

    def embeddings(self, fit: Indices) -> Vectors:
        """All pictures' embeddings (pictures, d), by an encoder that saw only those in `fit`."""
        return self.train(fit).vectors

    def kept(self, fit: Indices) -> bool:
        """Whether the training on these pictures was done before."""
        return self._file(self._data(fit)).exists()

    def train(self, fit: Indices, step: Callable[[], None] = lambda: None) -> Training:
        """Trains on some of the pictures, or takes over what was kept of that.

        Args:
            fit: positions of the pictures to learn from; the validation part is drawn of them.
            step: told after every step.
        """
        data = self._data(fit)
        path = self._file(data)
        done = _read(path)
        if done is None:
            done = self._trained(data, path.with_suffix(""), step)
            _write(done, path)
            shutil.rmtree(path.with_suffix(""))
        return done

    def steps(self, fit: Indices) -> int:
        """Of a training that is not ended early."""
        learnt = len(self._data(fit).split.train)
        return self.recipe.settings.epochs * -(-learnt // self.recipe.settings.batch)

    def seconds(self, fits: Sequence[Indices]) -> float:
        """About how long so many trainings take here, if none is ended early."""
        network, _ = make_network(self.recipe.settings, self.recipe.weights)
        tried = np.arange(min(BATCH, len(self.pixels)))
        began = time.monotonic()
        embed(network.to(self.device), self.pixels, tried, self.device)
        each = (time.monotonic() - began) / len(tried)
        passes = 0
        for fit in fits:
            learnt = len(self._data(fit).split.train)
            epochs = self.recipe.settings.epochs
            passes += epochs * _STEP * learnt + (epochs + 1) * len(fit) + len(self.pixels)
        return each * passes

    def _trained(self, data: TrainingData, folder: Path, step: Callable[[], None]) -> Training:
        settings = self.recipe.settings
        network, origin = make_network(settings, self.recipe.weights)
        run = RunFolder(folder)
        run.prepare(resume=True)
        trainer = Trainer(
            network, data, settings, run, self.device, Observer(step=step), repr(origin)
        )
        trainer.run(resume=True)
        vectors = embed(network, self.pixels, np.arange(len(self.pixels)), self.device)
        progress = trainer.progress
        return Training(
            vectors,
            {
                "learnt_from": len(data.split.train),
                "steered_by": len(data.split.validation),
                "epochs_run": progress.epoch,
                "best_epoch": progress.best_epoch,
                "outcome": outcome(progress),
                "validation": [entry["validation"] for entry in progress.history],
                "seconds": round(sum(entry["seconds"] for entry in progress.history), 1),
            },
        )

    def _data(self, fit: Indices) -> TrainingData:
        drawn = split(
            [self.digests[n] for n in fit],
            self.labels.codes[fit],
            self.recipe.settings.seed,
            replace(SHARES, test=0.0),
        )
        parts = Split(fit[drawn.train], fit[drawn.validation], fit[drawn.test])
        words = Vocabulary(self.labels.facets, self.labels.values)
        return TrainingData(self.pixels, self.labels.codes, words, parts, self.digests)

    def _file(self, data: TrainingData) -> Path:
        parts = (data.fingerprint, _settings(self.recipe), repr(self.origin), self.dimension)
        name = hashlib.sha256(repr(parts).encode()).hexdigest()[:16]
        return self.folder / f"{name}.npz"


def described(encoders: TrainedEncoders, trainings: Sequence[Training]) -> dict[str, Any]:
    """The report's `encoder`."""
    recipe, origin = encoders.recipe, encoders.origin
    name = hashlib.sha256(f"{_settings(recipe)}{origin!r}".encode()).hexdigest()[:16]
    return {
        "name": "trained for each split",
        "version": recipe.settings.preset,
        "fingerprint": name,
        "dimension": encoders.dimension,
        "input_size": recipe.settings.size,
        "precision": "f32",
        "settings": asdict(recipe.settings),
        "initial_weights": asdict(origin),
        "trainings": [training.facts for training in trainings],
    }


def _settings(recipe: Recipe) -> str:
    return json.dumps(asdict(recipe.settings), sort_keys=True)


def _read(path: Path) -> Training | None:
    """What was kept; a file that cannot be read is as good as none."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return Training(arrays["vectors"], json.loads(str(arrays["facts"])))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None


def _write(training: Training, path: Path) -> None:
    unfinished = path.with_suffix(".new.npz")
    np.savez(unfinished, vectors=training.vectors, facts=np.array(json.dumps(training.facts)))
    unfinished.replace(path)
