"""How to train: the presets and what they are made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    # The help of the command line shows the presets, and torch takes seconds to import.
    from tashihiki_training.pooling import Pooling


@dataclass(frozen=True)
class Settings:
    """Everything that decides the outcome of a training, beside data and initial weights.

    Attributes:
        preset: the name of what this began as.
        size: edge of the square input in pixels.
        pooling: `stages`: several stages and colour; `mean`, `median`: the last map alone.
        epochs: as many pictures as the training split has are drawn in each.
        batch: pictures per step.
        optimiser: `sgd` (momentum 0.9) or `adamw`.
        learning_rate: at its highest.
        weight_decay: of the optimiser.
        warm_up: share of the steps in which the learning rate rises linearly.
        cosine: whether it then falls to 0 along half a cosine, or stays.
        triplet_weight: of the triplet loss; 0 leaves it out.
        triplets: `random`: one per anchor and facet. `consistent`: all whose positive shares
            with the anchor every facet that the negative shares, and the facet in turn.
        margin: in Euclidean distance between unit vectors.
        composition: weight of the composition loss; 0 leaves it out.
        temperature: of the composition loss.
        additive: weight of the additive loss; 0 leaves it out.
        combination_dropout: share of the combinations that is left out of each epoch.
        freeze_batch_norm: fold it into the convolutions before training.
        freeze_stages: how many of the 19 stages do not learn.
        flip: mirror half of the pictures.
        zoom: the smallest share of the edge that a crop keeps.
        jitter: largest relative change of brightness and of contrast; hue is never touched.
        patience: epochs without a better validation score before training ends.
        seed: of everything random.
    """

    preset: str = "default"
    size: int = 224
    pooling: Pooling = "stages"
    epochs: int = 10
    batch: int = 64
    optimiser: Literal["sgd", "adamw"] = "adamw"
    learning_rate: float = 1e-4
    weight_decay: float = 1e-4
    warm_up: float = 0.1
    cosine: bool = True
    triplet_weight: float = 1.0
    triplets: Literal["random", "consistent"] = "consistent"
    margin: float = 0.2
    composition: float = 1.0
    temperature: float = 0.1
    additive: float = 0.0
    combination_dropout: float = 0.0
    freeze_batch_norm: bool = True
    freeze_stages: int = 0
    flip: bool = True
    zoom: float = 0.8
    jitter: float = 0.1
    patience: int = 3
    seed: int = 0


PRESETS = {
    "default": Settings(),
    "article": Settings(
        preset="article",
        pooling="median",
        epochs=30,
        optimiser="sgd",
        learning_rate=1e-3,
        weight_decay=0.0,
        warm_up=0.0,
        cosine=False,
        triplets="random",
        composition=0.0,
        freeze_batch_norm=False,
        zoom=0.9,
        jitter=0.0,
        patience=10,
    ),
}
