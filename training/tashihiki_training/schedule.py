"""The learning rate over the steps of a training."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import nn
from torch.optim import Optimizer

from tashihiki_training.settings import Settings


def make_optimiser(parameters: Iterable[nn.Parameter], settings: Settings) -> Optimizer:
    """The optimiser over the parameters that learn."""
    learning = [parameter for parameter in parameters if parameter.requires_grad]
    if settings.optimiser == "sgd":
        return torch.optim.SGD(
            learning, settings.learning_rate, momentum=0.9, weight_decay=settings.weight_decay
        )
    return torch.optim.AdamW(learning, settings.learning_rate, weight_decay=settings.weight_decay)


def learning_rate(settings: Settings, step: int, steps: int) -> float:
    """The rate of a step, counted from 0, out of so many.

    Linear warm-up, then half a cosine: Loshchilov and Hutter, SGDR, 2017, without restarts.
    """
    warm = round(settings.warm_up * steps)
    if step < warm:
        return settings.learning_rate * (step + 1) / warm
    if not settings.cosine:
        return settings.learning_rate
    done = (step - warm) / max(1, steps - warm)
    return settings.learning_rate * (1 + math.cos(math.pi * done)) / 2


def set_learning_rate(optimiser: Optimizer, rate: float) -> None:
    """Sets it for all parameters."""
    for group in optimiser.param_groups:
        group["lr"] = rate
