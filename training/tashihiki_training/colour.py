"""What colours a picture shows, as a soft histogram."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

LUMA_BINS = 6
CHROMA_BINS = 7
COLOUR_DIMENSION = LUMA_BINS * CHROMA_BINS * CHROMA_BINS
# Edge of the squares of pixels that count as one.
SQUARE = 4
# Chroma is at most .5 in magnitude, and stored by its root: greys and pastels lie close to 0.
_CHROMA_END = 0.5**0.5


def colour_histogram(images: Tensor, importance: Tensor) -> Tensor:
    """A histogram of luma and chroma (ITU-R BT.601), every pixel shared out linearly among bins.

    Args:
        images: (batch, 3, size, size), RGB in [0, 1].
        importance: (batch, 1, h, w), non-negative: how much the pixels under each place count.

    Returns:
        (batch, COLOUR_DIMENSION), non-negative; each row sums to 1.
    """
    small = functional.avg_pool2d(images, SQUARE)
    weights = importance / importance.amax((2, 3), keepdim=True).clamp_min(1e-6)
    weights = functional.interpolate(
        weights, size=small.shape[2:], mode="bilinear", align_corners=False
    ).flatten(2)
    weights = weights / weights.sum(2, keepdim=True).clamp_min(1e-6)
    red, green, blue = small.flatten(2).unbind(1)
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    lumas = _shares(luma, 0.0, 1.0, LUMA_BINS)
    blues = _shares(_root(0.564 * (blue - luma)), -_CHROMA_END, _CHROMA_END, CHROMA_BINS)
    reds = _shares(_root(0.713 * (red - luma)), -_CHROMA_END, _CHROMA_END, CHROMA_BINS)
    pairs = (lumas[:, :, None] * blues[:, None]).flatten(1, 2)
    return ((pairs * weights) @ reds.transpose(1, 2)).flatten(1)


def _shares(values: Tensor, first: float, last: float, bins: int) -> Tensor:
    """(batch, pixels) → (batch, bins, pixels): how much of each value the bins take."""
    centres = torch.linspace(first, last, bins, device=values.device)
    width = (last - first) / (bins - 1)
    return (1 - (values[:, None] - centres[None, :, None]).abs() / width).clamp_min(0)


def _root(values: Tensor) -> Tensor:
    return values.sign() * values.abs().sqrt()
