"""The training loop."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tashihiki.errors import FailedPreconditionError
from tashihiki_training import checkpoint
from tashihiki_training.additive_loss import AdditiveLoss
from tashihiki_training.augmentation import augmentation
from tashihiki_training.balanced_batches import Indices, balanced_batches
from tashihiki_training.composition_loss import CompositionLoss
from tashihiki_training.evaluation import Measurement, measure
from tashihiki_training.facet_triplets import FacetTripletLoss
from tashihiki_training.history import Entry, write_history
from tashihiki_training.network import EncoderNetwork
from tashihiki_training.run_folder import RunFolder
from tashihiki_training.schedule import learning_rate, make_optimiser, set_learning_rate
from tashihiki_training.settings import Settings
from tashihiki_training.training_data import TrainingData

# What may differ between the two halves of a training that was interrupted.
_MAY_CHANGE = frozenset({"patience"})


@dataclass(frozen=True)
class Observer:
    """Who wants to know how it goes.

    Attributes:
        step: told after every step.
        epoch: told after every epoch, with its entry in the history.
        measured: told how many pictures of a measurement are embedded, of how many.
        begins: told the number of each epoch before its first step.
    """

    step: Callable[[], None] = lambda: None
    epoch: Callable[[Entry], None] = lambda entry: None
    measured: Callable[[int, int], None] = lambda done, total: None
    begins: Callable[[int], None] = lambda epoch: None


@dataclass
class Progress:
    """Counters that a checkpoint keeps.

    Attributes:
        epoch: the last whole one; 0 is the state before training.
        best: the best validation score.
        since_best: epochs after it.
        history: one entry per epoch.
    """

    epoch: int = 0
    best: list[float] = field(default_factory=lambda: [-1.0, -1.0])
    since_best: int = 0
    history: list[Entry] = field(default_factory=list)

    @property
    def best_epoch(self) -> int:
        """The epoch that is exported; 0 where training did not improve on the initial weights."""
        return max((entry["epoch"] for entry in self.history if entry["best"]), default=0)


class Trainer:
    """Trains a network on labelled pictures and keeps its state in a run folder."""

    def __init__(
        self,
        network: EncoderNetwork,
        data: TrainingData,
        settings: Settings,
        folder: RunFolder,
        device: torch.device,
        observer: Observer | None = None,
        origin: str = "",
    ) -> None:
        """Prepares a training.

        Args:
            origin: of the network's weights; a training is only resumed from the same.
        """
        self.network = network.to(device)
        for parameter in network.parameters():
            if parameter.dim() == 4:
                # Twice as fast on a CPU.
                parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
        self.data = data
        self.settings = settings
        self.folder = folder
        self.device = device
        self.observer = observer or Observer()
        self.origin = origin
        self.optimiser = make_optimiser(network.parameters(), settings)
        self.augment = augmentation(settings)
        self.triplets = FacetTripletLoss(settings.margin, settings.triplets)
        self.composition = CompositionLoss(settings.temperature)
        self.additive = AdditiveLoss()
        self.progress = Progress()
        self._prototypes: list[Tensor] = []

    @property
    def steps_per_epoch(self) -> int:
        """Batches in an epoch."""
        return -(-len(self.data.split.train) // self.settings.batch)

    def run(self, *, resume: bool = False, deadline: float | None = None) -> None:
        """Trains until the epochs are over, patience runs out or the deadline has passed.

        The network then has the weights of the best epoch.

        Args:
            resume: go on after the last whole epoch, if there is one.
            deadline: by `time.monotonic`; checked after every epoch.

        Raises:
            FailedPreconditionError: CHECKPOINT_INVALID or CHECKPOINT_MISMATCH.
        """
        if resume and self.folder.last.exists():
            self._resume()
        else:
            self._close_epoch(0, {}, time.monotonic())
        while not self._over(deadline):
            self._epoch(self.progress.epoch + 1)
        checkpoint.read(self.folder.best).restore_network(self.network)

    def _over(self, deadline: float | None) -> bool:
        late = deadline is not None and time.monotonic() >= deadline
        return (
            late
            or self.progress.epoch >= self.settings.epochs
            or self.progress.since_best >= self.settings.patience
        )

    def _epoch(self, epoch: int) -> None:
        began = time.monotonic()
        self.observer.begins(epoch)
        # Everything random hangs on seed and epoch alone, so an interrupted training goes on
        # as if it had not been.
        torch.manual_seed(self.settings.seed * 1_000_003 + epoch)
        draws = torch.Generator().manual_seed(self.settings.seed * 1_000_003 + epoch)
        rng = np.random.default_rng([self.settings.seed, epoch])
        train = self.data.split.train
        self.network.train()
        losses: list[dict[str, float]] = []
        batches = balanced_batches(
            self.data.codes[train], self.settings.batch, rng, self.settings.combination_dropout
        )
        for number, chosen in enumerate(batches):
            step = (epoch - 1) * self.steps_per_epoch + number
            losses.append(self._step(train[chosen], step, draws))
            self.observer.step()
        mean = {name: float(np.mean([loss[name] for loss in losses])) for name in losses[0]}
        self._close_epoch(epoch, mean, began)

    def _step(self, chosen: Indices, step: int, draws: torch.Generator) -> dict[str, float]:
        steps = self.settings.epochs * self.steps_per_epoch
        set_learning_rate(self.optimiser, learning_rate(self.settings, step, steps))
        pixels = torch.from_numpy(self.data.pixels[chosen]).to(self.device)
        images = self.augment(pixels.permute(0, 3, 1, 2).float() / 255, draws)
        codes = torch.from_numpy(self.data.codes[chosen]).to(self.device)
        terms = self._losses(self.network.embed(images), codes)
        loss = torch.stack(list(terms.values())).sum()
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()
        return {"loss": loss.item(), **{name: term.item() for name, term in terms.items()}}

    def _losses(self, embeddings: Tensor, codes: Tensor) -> dict[str, Tensor]:
        weights = self.settings
        terms: dict[str, Tensor] = {}
        if weights.triplet_weight:
            terms["triplets"] = weights.triplet_weight * self.triplets(embeddings, codes)
        if weights.composition:
            composed = self.composition(embeddings, codes, self._prototypes)
            terms["composition"] = weights.composition * composed
        if weights.additive:
            terms["additive"] = weights.additive * self.additive(embeddings, codes)
        return terms

    def _close_epoch(self, epoch: int, losses: dict[str, float], began: float) -> None:
        part = self.data.split.validation
        measured = measure(self.network, self.data, part, self.device, self.observer.measured)
        self._take_prototypes(measured)
        improved = measured.score > tuple(self.progress.best)
        self.progress.epoch = epoch
        self.progress.since_best = 0 if improved else self.progress.since_best + 1
        if improved:
            self.progress.best = list(measured.score)
        entry = {
            "epoch": epoch,
            **{name: round(value, 5) for name, value in losses.items()},
            "seconds": round(time.monotonic() - began, 1),
            "validation": measured.summary(),
            "best": improved,
        }
        self.progress.history.append(entry)
        self._save(improved)
        self.observer.epoch(entry)

    def _take_prototypes(self, measured: Measurement) -> None:
        self._prototypes = [
            torch.from_numpy(rows).to(self.device) for rows in measured.prototypes.facets
        ]

    def _save(self, improved: bool) -> None:
        state = {
            "settings": asdict(self.settings),
            "data": self.data.fingerprint,
            "origin": self.origin,
            "progress": asdict(self.progress),
        }
        taken = checkpoint.take(self.network, self.optimiser, state)
        taken.tensors.update(
            {f"prototypes.{number}": rows.cpu() for number, rows in enumerate(self._prototypes)}
        )
        # The best first: a kill in between leaves an older `last`, which repeats this epoch.
        if improved:
            checkpoint.write(taken, self.folder.best)
        checkpoint.write(taken, self.folder.last)
        write_history(self.progress.history, self.folder.root)

    def _resume(self) -> None:
        kept = checkpoint.read(self.folder.last)
        changed = _differences(kept.state["settings"], asdict(self.settings))
        if kept.state["data"] != self.data.fingerprint:
            changed.append("the photos or their labels")
        if kept.state["origin"] != self.origin:
            changed.append("initial weights")
        if changed:
            raise FailedPreconditionError(
                f"the training to resume was begun with other {', '.join(changed)}",
                reason="CHECKPOINT_MISMATCH",
                field="resume",
                remedy="Repeat its command as it was, or train into another folder.",
            )
        kept.restore(self.network, self.optimiser)
        self._prototypes = [
            kept.tensors[f"prototypes.{number}"].to(self.device)
            for number in range(len(self.data.vocabulary.facets))
        ]
        self.progress = Progress(**kept.state["progress"])


def _differences(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    names = sorted((set(before) | set(now)) - _MAY_CHANGE)
    return [name for name in names if before.get(name) != now.get(name)]
