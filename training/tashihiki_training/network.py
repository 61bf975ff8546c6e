"""The encoder as a torch module: pixels in, unit embeddings out."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from tashihiki.errors import InvalidArgumentError
from tashihiki_training.mobilenet import MEAN, STD
from tashihiki_training.pooling import POOLED_STAGES, Pooling, dimension, pool, pool_stages


class EncoderNetwork(nn.Module):
    """Feature stages, pooling, L2 norm 1.

    Attributes:
        stages: the network; its output is non-negative.
        pooling: `stages`, several of them and colour; or `mean` or `median` of the last map.
        frozen: how many of the first stages do not learn.
    """

    def __init__(self, stages: nn.Sequential, pooling: Pooling, frozen: int = 0) -> None:
        super().__init__()
        if pooling == "stages" and frozen > POOLED_STAGES[0]:
            raise InvalidArgumentError(
                f"stage {POOLED_STAGES[0]} is pooled, so only those before it can be frozen",
                reason="SETTING_INVALID",
                field="freeze_stages",
                remedy="Freeze fewer stages, or pool the last map alone.",
            )
        self.stages = stages
        self.pooling: Pooling = pooling
        self.frozen = frozen
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(STD).view(1, 3, 1, 1), persistent=False)
        for stage in self._frozen_stages():
            stage.requires_grad_(False)

    @property
    def dimension(self) -> int:
        """Length of an embedding."""
        return dimension(self.pooling)

    def forward(self, pixels: Tensor) -> Tensor:
        """Embeds pixels, uint8 (batch, size, size, 3) in RGB: (batch, dimension)."""
        return self.embed(pixels.permute(0, 3, 1, 2).float() / 255)

    def embed(self, images: Tensor) -> Tensor:
        """Embeds images, (batch, 3, size, size) in [0, 1]."""
        features = (images - self.mean) / self.std
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.frozen == 0):
            for stage in self._frozen_stages():
                features = stage(features)
        if self.pooling == "stages":
            return pool_stages(images, features, self.stages, self.frozen)
        for stage in list(self.stages)[self.frozen :]:
            features = stage(features)
        return functional.normalize(pool(features, self.pooling))

    def train(self, mode: bool = True) -> EncoderNetwork:
        """As usual, but frozen stages keep their batch norm's statistics."""
        super().train(mode)
        for stage in self._frozen_stages():
            stage.eval()
        return self

    def _frozen_stages(self) -> list[nn.Module]:
        return list(self.stages)[: self.frozen]
