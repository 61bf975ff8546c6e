"""Batch norm, folded into the convolution in front of it.

On small sets the statistics of batches are too noisy to learn from, so batch norm is used as
it was learnt. Then it is an affine map, and the convolution can do it: the same function in
less time, and `encoder.onnx` needs no more.
"""

from __future__ import annotations

import itertools

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


def fold_batch_norm(network: nn.Module) -> None:
    """Folds, in place, every batch norm that follows a convolution in a `Sequential`."""
    for module in list(network.modules()):
        if isinstance(module, nn.Sequential):
            _fold_pairs(module)


def has_batch_norm(network: nn.Module) -> bool:
    """Whether any batch norm is left."""
    return any(isinstance(module, nn.BatchNorm2d) for module in network.modules())


def _fold_pairs(layers: nn.Sequential) -> None:
    for first, second in itertools.pairwise(range(len(layers))):
        convolution, norm = layers[first], layers[second]
        if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            layers[first] = fuse_conv_bn_eval(convolution.eval(), norm.eval())
            layers[second] = nn.Identity()
