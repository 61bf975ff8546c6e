"""From a feature map to one vector."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

Pooling = Literal["mean", "median"]


def pool(features: Tensor, pooling: Pooling) -> Tensor:
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
