"""Embeddings by encoders that are trained for the splits of a plan; needs torch."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from rich.console import Console

from tashihiki_evaluation.episodes import Plan
from tashihiki_evaluation.evaluation import EmbeddingSource, fits
from tashihiki_evaluation.pictures import Pictures
from tashihiki_evaluation.request import Recipe
from tashihiki_evaluation.trained import TrainedEncoders, Training, described
from tashihiki_server.cli.progress import counting
from tashihiki_server.dataset import Photo
from tashihiki_training.pixels import Pixels, load_pictures
from tashihiki_training.seen_pictures import known_pictures
from tashihiki_training.training_run import choose_device, make_network


class TrainedEncoding:
    """By encoders trained for each split, which are kept in the folder of the report."""

    def __init__(self, recipe: Recipe) -> None:
        # Before the photos are read, which takes long: weights may have to be downloaded.
        make_network(recipe.settings, recipe.weights)
        self.recipe = recipe
        self.pixels: Pixels | None = None
        self.encoders: TrainedEncoders | None = None
        self.trainings: list[Training] = []

    def load(self, photos: Sequence[Photo], out: Path, workers: int) -> Pictures:
        """Decodes the photos."""
        scratch = out / "pixels.npy"
        with counting("reading") as progress:
            found = load_pictures(
                photos,
                self.recipe.settings.size,
                scratch,
                workers=workers,
                progress=lambda done: progress(done, len(photos)),
            )
        # Of a file that is unlinked, the map stays until it is closed.
        scratch.unlink(missing_ok=True)
        self.pixels = found.pixels
        digests = [hashlib.sha256(picture.tobytes()).hexdigest() for picture in found.pixels]
        return Pictures(found.photos, found.digests, digests, found.unreadable)

    def source(self, plan: Plan, out: Path, console: Console) -> EmbeddingSource:
        """Trains for every split whose training is not kept from before."""
        assert self.pixels is not None
        folder = out / "trainings"
        folder.mkdir(exist_ok=True)
        encoders = TrainedEncoders(
            self.pixels,
            plan.digests,
            plan.labels,
            self.recipe,
            folder,
            choose_device("auto"),
        )
        asked = fits(plan)
        ahead = [fit for fit in asked if not encoders.kept(fit)]
        console.print(_announced(len(asked), len(ahead), encoders.seconds(ahead)))
        total, done = sum(encoders.steps(fit) for fit in ahead), 0
        with counting("training") as progress:

            def step() -> None:
                nonlocal done
                done += 1
                progress(done, total)

            self.trainings = [encoders.train(fit, step) for fit in asked]
        self.encoders = encoders
        return encoders

    def known_pictures(self) -> frozenset[str]:
        """Of the weights that all trainings started from, as far as these have a list."""
        return frozenset(known_pictures(self.recipe.weights))

    def facts(self) -> dict[str, Any]:
        """Of the recipe and of every training."""
        assert self.encoders is not None
        return described(self.encoders, self.trainings)


def _announced(count: int, ahead: int, seconds: float) -> str:
    text = f"{count} trainings, one for each set of pictures that is fitted on"
    if ahead < count:
        text += f"; {count - ahead} are kept from before"
    if ahead:
        text += (
            f"; at most about {timedelta(seconds=round(seconds))}, less where training ends early"
        )
    return text
