"""Small changes that leave every label true."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.nn import functional

from tashihiki_training.settings import Settings


@dataclass(frozen=True)
class Augmentation:
    """Mirrors, crops and relights; hue stays, since colour may be a facet.

    Attributes:
        flip: mirror half of the pictures.
        zoom: the smallest share of the edge that a crop keeps.
        jitter: largest relative change of brightness and of contrast.
    """

    flip: bool
    zoom: float
    jitter: float

    def __call__(self, images: Tensor, generator: Generator) -> Tensor:
        """Changes every image, (batch, 3, size, size) in [0, 1], on its own."""
        images = self._moved(images, generator)
        return self._relit(images, generator) if self.jitter else images

    def _moved(self, images: Tensor, generator: Generator) -> Tensor:
        count = len(images)
        scale = 1 - (1 - self.zoom) * torch.rand(count, generator=generator)
        shift = (1 - scale)[:, None] * (2 * torch.rand(count, 2, generator=generator) - 1)
        mirror = torch.ones(count)
        if self.flip:
            mirror -= 2 * (torch.rand(count, generator=generator) < 0.5).float()
        affine = torch.zeros(count, 2, 3)
        affine[:, 0, 0] = scale * mirror
        affine[:, 1, 1] = scale
        affine[:, :, 2] = shift
        grid = functional.affine_grid(affine, list(images.shape), align_corners=False)
        return functional.grid_sample(
            images, grid.to(images.device), padding_mode="border", align_corners=False
        )

    def _relit(self, images: Tensor, generator: Generator) -> Tensor:
        change = 1 + self.jitter * (
            2 * torch.rand(2, len(images), 1, 1, 1, generator=generator) - 1
        )
        brightness, contrast = change.to(images.device)
        mean = images.mean((1, 2, 3), keepdim=True)
        relit: Tensor = (images - mean) * contrast + mean * brightness
        return relit.clamp(0, 1)


def augmentation(settings: Settings) -> Augmentation:
    """The augmentation that the settings ask for."""
    return Augmentation(settings.flip, settings.zoom, settings.jitter)
