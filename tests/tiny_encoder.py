"""An encoder bundle without training: colours on a coarse grid, so that tests know its answers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from tashihiki_server.encoder.manifest import MODEL_FILE, Manifest, sha256

SIZE = 32
GRID = 4
DIMENSION = 3 * GRID * GRID
_NOTHING = 1e-30


def write_tiny_encoder(
    folder: Path, name: str = "tiny", *, grid: int = GRID, negative: bool = False, work: int = 0
) -> Manifest:
    """Writes a bundle whose embedding is the normalised mean colour of GRID × GRID tiles.

    Args:
        folder: that does not exist.
        name: of the encoder.
        grid: tiles on a side; `tiny_embedding` knows the answers for GRID.
        negative: whether colours are inverted, which `tiny_embedding` does not do.
        work: edge of a square matrix that is multiplied in vain for each picture, to take time.
    """
    folder.mkdir(parents=True)
    tile = SIZE // grid
    dimension = 3 * grid * grid
    colours = "planes"
    added = []
    if negative:
        colours = "colours"
        added.append(helper.make_node("Sub", ["white", "planes"], ["colours"]))
    if work:
        added += [
            helper.make_node("ReduceMax", ["float"], ["brightest"], keepdims=0),
            helper.make_node("Expand", ["brightest", "square"], ["matrix"]),
            helper.make_node("MatMul", ["matrix", "matrix"], ["product"]),
            helper.make_node("ReduceMean", ["product"], ["mean"], keepdims=0),
            helper.make_node("Mul", ["mean", "nothing"], ["vain"]),
        ]
    nodes = [
        helper.make_node("Cast", ["pixels"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["float"], ["planes"], perm=[0, 3, 1, 2]),
        *added,
        helper.make_node(
            "AveragePool", [colours], ["tiles"], kernel_shape=[tile, tile], strides=[tile, tile]
        ),
        helper.make_node("Flatten", ["tiles"], ["flat"]),
        helper.make_node("Add", ["flat", "floor"], ["positive"]),
        helper.make_node("Add", ["positive", "vain"], ["busy"]),
        helper.make_node("LpNormalization", ["busy"], ["embedding"], axis=1, p=2),
    ]
    graph = helper.make_graph(
        nodes,
        name,
        [helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["n", SIZE, SIZE, 3])],
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["n", dimension])],
        [
            helper.make_tensor("floor", TensorProto.FLOAT, [1], [1.0]),
            helper.make_tensor("white", TensorProto.FLOAT, [1], [255.0]),
            helper.make_tensor("square", TensorProto.INT64, [2], [work, work]),
            helper.make_tensor("nothing" if work else "vain", TensorProto.FLOAT, [1], [_NOTHING]),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    onnx.save(model, str(folder / MODEL_FILE))
    manifest = Manifest(
        name=name,
        version="1",
        architecture="colour-grid",
        input_size=SIZE,
        mean=(0.0, 0.0, 0.0),
        std=(1.0, 1.0, 1.0),
        pooling="mean",
        dimension=dimension,
        model_sha256=sha256(folder / MODEL_FILE),
    )
    manifest.write(folder)
    return manifest


def tiny_embedding(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """The same in numpy: (SIZE, SIZE, 3) to (DIMENSION,)."""
    tile = SIZE // GRID
    means = pixels.astype(np.float64).reshape(GRID, tile, GRID, tile, 3).mean(axis=(1, 3))
    flat = means.transpose(2, 0, 1).ravel() + 1.0
    embedding: NDArray[np.float64] = flat / np.linalg.norm(flat)
    return embedding
