"""MobileNetV2 as cnn_finetune makes it, cut down to its feature stages."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import cast

from torch import Tensor, nn

from tashihiki_training.torchvision_operators import declare_missing_operators

ARCHITECTURE = "mobilenet_v2"
DIMENSION = 1280
STAGES = 19
# Six times the width of a block's input (Sandler et al., CVPR 2018, table 2).
_HIDDEN_WIDTHS = dict(
    zip(range(2, 18), [96, 144, 144, *[192] * 3, *[384] * 4, *[576] * 3, *[960] * 3], strict=True)
)
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)


def imagenet_url() -> str:
    """Where torchvision has the weights trained on ImageNet."""
    declare_missing_operators()
    from torchvision.models import MobileNet_V2_Weights

    return str(MobileNet_V2_Weights.IMAGENET1K_V1.url)


def make_stages() -> nn.Sequential:
    """The 19 feature stages, images (batch, 3, size, size) to (batch, 1280, size/32, size/32).

    Their weights are random.
    """
    declare_missing_operators()
    with warnings.catch_warnings():
        # cnn_finetune calls torchvision by the way of before 0.13.
        warnings.filterwarnings("ignore", category=UserWarning, module="torchvision")
        from cnn_finetune import make_model

        model = make_model(ARCHITECTURE, num_classes=1, pretrained=False)
    return cast(nn.Sequential, model._features)


def hidden_map(stage: nn.Module, features: Tensor) -> Tensor:
    """The map inside an inverted residual in front of its linear projection.

    It is the widest of the block, and non-negative, which the block's output is not.
    """
    layers = list(cast(nn.Sequential, stage.conv))
    projection = max(n for n, layer in enumerate(layers) if isinstance(layer, nn.Conv2d))
    for layer in layers[:projection]:
        features = layer(features)
    return features


def widths(stages: Sequence[int]) -> list[int]:
    """How many channels the hidden maps of these stages have, 2 to 17."""
    return [_HIDDEN_WIDTHS[number] for number in stages]
