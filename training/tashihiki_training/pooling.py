"""From feature maps to one vector."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from tashihiki_training.colour import COLOUR_DIMENSION, colour_histogram
from tashihiki_training.mobilenet import DIMENSION, hidden_map, widths

Pooling = Literal["stages", "mean", "median"]

# Middle stages tell textures, parts and expressions, the last one kinds of things.
POOLED_STAGES = (11, 14, 17)
# Keeps the root's slope finite where a channel is silent.
_FLOOR = 1e-6


def dimension(pooling: Pooling) -> int:
    """Length of an embedding."""
    if pooling == "stages":
        return sum(widths(POOLED_STAGES)) + COLOUR_DIMENSION
    return DIMENSION


def pool(features: Tensor, pooling: Literal["mean", "median"]) -> Tensor:
    """Pools a map, (batch, channels, height, width), to (batch, channels)."""
    flat = features.flatten(2)
    return flat.mean(2) if pooling == "mean" else median(flat)


def median(values: Tensor) -> Tensor:
    """The median over the last axis; of an even count, the mean of the two middle values.

    `torch.median` takes the lower of the two instead.
    """
    count = values.shape[-1]
    ordered = torch.sort(values, dim=-1).values
    return (ordered[..., (count - 1) // 2] + ordered[..., count // 2]) / 2


def pool_stages(images: Tensor, features: Tensor, stages: nn.Sequential, start: int) -> Tensor:
    """Describes pictures by several stages and their colours.

    The parts are the means of the hidden maps of `POOLED_STAGES` and the colour histogram, in
    which places count by the sum of the last of these maps. Each part is replaced by its root
    and brought to unit length, as Perronnin et al. do with Fisher vectors (ECCV 2010), so that
    no part and no loud channel drowns the others.

    Args:
        images: (batch, 3, size, size), RGB in [0, 1].
        features: (batch, channels, height, width), what goes into stage `start`.
        stages: the network.
        start: at most the first of `POOLED_STAGES`.

    Returns:
        (batch, dimension), non-negative, of unit length.
    """
    parts = []
    hidden = features
    for number in range(start, POOLED_STAGES[-1] + 1):
        if number in POOLED_STAGES:
            hidden = hidden_map(stages[number], features)
            parts.append(hidden.mean((2, 3)))
        if number < POOLED_STAGES[-1]:
            features = stages[number](features)
    parts.append(colour_histogram(images, hidden.sum(1, keepdim=True)))
    roots = [functional.normalize((part + _FLOOR).sqrt()) for part in parts]
    embedding: Tensor = torch.cat(roots, 1) / math.sqrt(len(roots))
    return embedding
