"""MobileNetV2 as cnn_finetune makes it, cut down to its feature stages."""

from __future__ import annotations

import warnings
from typing import cast

from torch import nn

from tashihiki_training.torchvision_operators import declare_missing_operators

ARCHITECTURE = "mobilenet_v2"
DIMENSION = 1280
STAGES = 19
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)


def make_stages(*, pretrained: bool = False) -> nn.Sequential:
    """The 19 feature stages, images (batch, 3, size, size) to (batch, 1280, size/32, size/32).

    Args:
        pretrained: download torchvision's ImageNet weights; otherwise they are random.

    Raises:
        OSError: the download failed.
    """
    declare_missing_operators()
    with warnings.catch_warnings():
        # cnn_finetune calls torchvision by the way of before 0.13.
        warnings.filterwarnings("ignore", category=UserWarning, module="torchvision")
        from cnn_finetune import make_model

        model = make_model(ARCHITECTURE, num_classes=1, pretrained=pretrained)
    return cast(nn.Sequential, model._features)
