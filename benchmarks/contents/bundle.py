"""An encoder bundle for items that are given as vectors: small, of any dimension."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tashihiki_server.encoder.manifest import MODEL_FILE, Manifest, sha256

SIZE = 32


def write_bundle(folder: Path, dimension: int) -> Manifest:
    """Writes a bundle whose embedding is a fixed mixture of a picture's mean colour."""
    folder.mkdir(parents=True)
    weights = np.random.default_rng(0).random((3, dimension), dtype=np.float32) + 0.1
    nodes = [
        helper.make_node("Cast", ["pixels"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["float"], ["colour"], axes=[1, 2], keepdims=0),
        helper.make_node("MatMul", ["colour", "weights"], ["mixed"]),
        helper.make_node("Add", ["mixed", "floor"], ["positive"]),
        helper.make_node("LpNormalization", ["positive"], ["embedding"], axis=1, p=2),
    ]
    graph = helper.make_graph(
        nodes,
        "mixture",
        [helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["n", SIZE, SIZE, 3])],
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["n", dimension])],
        [
            numpy_helper.from_array(weights, "weights"),
            helper.make_tensor("floor", TensorProto.FLOAT, [1], [1.0]),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    onnx.save(model, str(folder / MODEL_FILE))
    manifest = Manifest(
        name=f"mixture-{dimension}",
        version="1",
        architecture="mixture",
        input_size=SIZE,
        mean=(0.0, 0.0, 0.0),
        std=(1.0, 1.0, 1.0),
        pooling="mean",
        dimension=dimension,
        model_sha256=sha256(folder / MODEL_FILE),
    )
    manifest.write(folder)
    return manifest
