"""Embeddings of several stages and colours."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from numpy.typing import NDArray
from torch.nn import functional

from tashihiki.errors import InvalidArgumentError
from tashihiki_training.colour import COLOUR_DIMENSION, colour_histogram
from tashihiki_training.mobilenet import make_stages
from tashihiki_training.network import EncoderNetwork
from tashihiki_training.pooling import POOLED_STAGES

Floats = NDArray[np.float64]


def pictures(count: int, size: int = 64, seed: int = 0) -> torch.Tensor:
    """Random pixels in patches, (count, size, size, 3)."""
    random = np.random.default_rng(seed)
    patches = random.integers(0, 256, (count, size // 8, size // 8, 3), dtype=np.uint8)
    return torch.from_numpy(patches.repeat(8, axis=1).repeat(8, axis=2))


def histogram_one_by_one(image: Floats, weights: Floats) -> Floats:
    """The histogram of (3, h, w) pixels with weights (h, w), pixel by pixel."""
    bins = np.zeros((6, 7, 7))
    for y in range(image.shape[1]):
        for x in range(image.shape[2]):
            red, green, blue = image[:, y, x]
            luma = 0.299 * red + 0.587 * green + 0.114 * blue
            places = [luma * 5]
            for chroma in (0.564 * (blue - luma), 0.713 * (red - luma)):
                root = math.copysign(math.sqrt(abs(chroma)), chroma)
                places.append((root / math.sqrt(0.5) + 1) * 3)
            corners = [(int(p), p - int(p)) for p in places]
            for corner in np.ndindex(2, 2, 2):
                share = 1.0
                cell = []
                for bit, (low, over) in zip(corner, corners, strict=True):
                    share *= over if bit else 1 - over
                    cell.append(low + bit)
                if share > 1e-9:
                    bins[tuple(cell)] += share * weights[y, x]
    total: Floats = bins.ravel() / weights.sum()
    return total


def test_the_histogram_equals_one_made_pixel_by_pixel() -> None:
    images = torch.rand(3, 3, 32, 32, dtype=torch.float64)
    importance = torch.rand(3, 1, 8, 8, dtype=torch.float64)
    found = colour_histogram(images, importance).numpy()
    small = functional.avg_pool2d(images, 4).numpy()
    for number in range(3):
        wanted = histogram_one_by_one(small[number], importance[number, 0].numpy())
        assert_allclose(found[number], wanted, atol=1e-6)


def test_pixels_without_importance_do_not_count() -> None:
    images = torch.zeros(1, 3, 32, 64)
    images[:, 0, :, :32] = 1.0
    images[:, 2, :, 32:] = 1.0
    left = torch.zeros(1, 1, 8, 16)
    left[..., :8] = 1.0
    red = torch.zeros(1, 3, 32, 64)
    red[:, 0] = 1.0
    everywhere = torch.ones(1, 1, 8, 16)
    assert_allclose(colour_histogram(images, left), colour_histogram(red, everywhere), atol=1e-6)


def test_embeddings_are_non_negative_of_unit_length_and_tell_colours_apart() -> None:
    network = EncoderNetwork(make_stages(), "stages").eval()
    pixels = pictures(4)
    with torch.no_grad():
        embeddings = network(pixels).numpy()
        recoloured = network(pixels[..., [2, 0, 1]]).numpy()
    assert embeddings.shape == (4, network.dimension)
    assert embeddings.min() >= 0
    assert_allclose(np.linalg.norm(embeddings, axis=1), 1, rtol=1e-5)
    colours = slice(network.dimension - COLOUR_DIMENSION, None)
    agreement = (embeddings[:, colours] * recoloured[:, colours]).sum(1) * (len(POOLED_STAGES) + 1)
    assert agreement.max() < 0.9


@pytest.mark.parametrize("frozen", [0, 5, 11])
def test_frozen_stages_change_nothing_but_what_learns(frozen: int) -> None:
    torch.manual_seed(0)
    stages = make_stages()
    pixels = pictures(2)
    whole = EncoderNetwork(stages, "stages").eval()(pixels)
    network = EncoderNetwork(stages, "stages", frozen).eval()
    embeddings = network(pixels)
    assert_allclose(embeddings.detach(), whole.detach(), atol=1e-6)
    embeddings.square().sum().backward()
    learns = [parameter.grad is not None for parameter in stages[12].parameters()]
    assert all(learns)
    first = torch.nn.ModuleList(list(network.stages)[:frozen])
    assert not any(parameter.requires_grad for parameter in first.parameters())


def test_gradients_are_finite_where_channels_are_silent() -> None:
    network = EncoderNetwork(make_stages(), "stages").eval()
    network(torch.zeros(2, 64, 64, 3, dtype=torch.uint8))[:, ::7].sum().backward()
    for parameter in network.parameters():
        assert parameter.grad is None or bool(parameter.grad.isfinite().all())


def test_a_pooled_stage_cannot_be_frozen_away() -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        EncoderNetwork(make_stages(), "stages", 12)
    assert (caught.value.reason, caught.value.field) == ("SETTING_INVALID", "freeze_stages")
