"""The shipped encoder as the torch network that training had."""

from __future__ import annotations

import onnx
import torch

from tashihiki_server.encoder.manifest import MODEL_FILE, read_manifest
from tashihiki_server.library import SHIPPED_ENCODER
from tashihiki_training.batch_norm import fold_batch_norm
from tashihiki_training.mobilenet import make_stages
from tashihiki_training.network import EncoderNetwork


def shipped_network() -> EncoderNetwork:
    """In eval mode and f32, its batch norm folded into the convolutions, as in the file."""
    stages = make_stages()
    fold_batch_norm(stages)
    network = EncoderNetwork(stages, read_manifest(SHIPPED_ENCODER).pooling).eval()
    weights = {
        tensor.name: torch.from_numpy(onnx.numpy_helper.to_array(tensor).copy())
        for tensor in onnx.load(SHIPPED_ENCODER / MODEL_FILE).graph.initializer
        if tensor.name.startswith("stages.")
    }
    # Layers behind the last one that is pooled are not in the file.
    unknown = network.load_state_dict(weights, strict=False).unexpected_keys
    if unknown or not weights:
        raise ValueError(f"the shipped encoder is another network: {unknown}")
    return network
