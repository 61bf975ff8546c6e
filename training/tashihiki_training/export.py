"""The bundle that a server loads: an ONNX file and its manifest."""

from __future__ import annotations

import copy
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import openvino
import torch
from numpy.typing import NDArray

from tashihiki.errors import InternalError
from tashihiki_server.encoder.manifest import MODEL_FILE, Manifest, sha256
from tashihiki_training.batch_norm import fold_batch_norm
from tashihiki_training.mobilenet import ARCHITECTURE, MEAN, STD
from tashihiki_training.network import EncoderNetwork

AGREEMENT = 0.9999
MAX_BYTES = 10_000_000
OPSET = 18


def export(
    network: EncoderNetwork,
    folder: Path,
    samples: NDArray[np.uint8],
    *,
    name: str,
    training: dict[str, Any],
    metrics: dict[str, Any],
) -> Manifest:
    """Writes `encoder.onnx` and `manifest.json`.

    Args:
        samples: real pictures, (pictures, size, size, 3), to compare ONNX and torch on.
        training, metrics: for the manifest.

    Raises:
        InternalError: EXPORT_DISAGREES or EXPORT_TOO_LARGE; the files are then not there.
    """
    plain = _plain(network)
    unfinished = folder / f"{MODEL_FILE}.part"
    try:
        write_onnx(plain, samples.shape[1], unfinished)
        training = {**training, "export_cosine": _check(plain, unfinished, samples)}
        unfinished.replace(folder / MODEL_FILE)
    finally:
        unfinished.unlink(missing_ok=True)
    manifest = Manifest(
        name=name,
        version="1",
        architecture=ARCHITECTURE,
        input_size=int(samples.shape[1]),
        mean=MEAN,
        std=STD,
        pooling=network.pooling,
        dimension=network.dimension,
        model_sha256=sha256(folder / MODEL_FILE),
        training=training,
        metrics=metrics,
    )
    manifest.write(folder)
    return manifest


def write_onnx(network: EncoderNetwork, size: int, path: Path) -> None:
    """Writes the graph: `pixels` uint8 (batch, size, size, 3) to `embedding` float32."""
    # Two pictures: the exporter takes a batch of one for a constant.
    example = torch.zeros(2, size, size, 3, dtype=torch.uint8)
    with warnings.catch_warnings():
        # Deprecations between torch, onnxscript and onnx, none of them ours to mend.
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            network,
            (example,),
            dynamo=True,
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            input_names=["pixels"],
            output_names=["embedding"],
            opset_version=OPSET,
            verbose=False,
        )
    assert program is not None
    program.save(path, include_initializers=True, external_data=False)
    strip_provenance(path)


def strip_provenance(path: Path) -> None:
    """Drops what the exporter notes of the source code: the bytes, and with them the fingerprint,
    must not depend on the folder that the code lies in."""
    model = onnx.load(path)
    graph = model.graph
    for part in (model, graph, *graph.node, *graph.input, *graph.output, *graph.value_info):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    for tensor in graph.initializer:
        tensor.ClearField("metadata_props")
        tensor.ClearField("doc_string")
    path.write_bytes(model.SerializeToString(deterministic=True))


def run_onnx(path: Path, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The embeddings that a server will compute, in full precision."""
    core = openvino.Core()
    # By bytes, because the unfinished file does not end as OpenVINO expects.
    model = core.read_model(path.read_bytes(), b"")
    compiled = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    outputs = compiled(pixels)
    return np.array(outputs[0], dtype=np.float32)


def _plain(network: EncoderNetwork) -> EncoderNetwork:
    """A copy on the CPU, in eval mode, batch norm folded, in the usual memory format."""
    plain = copy.deepcopy(network).cpu().eval()
    fold_batch_norm(plain.stages)
    for parameter in plain.parameters():
        parameter.data = parameter.data.contiguous()
    return plain


@torch.no_grad()
def _check(network: EncoderNetwork, path: Path, samples: NDArray[np.uint8]) -> float:
    if path.stat().st_size > MAX_BYTES:
        raise _failure("EXPORT_TOO_LARGE", f"the model has {path.stat().st_size} bytes")
    expected = network(torch.from_numpy(np.ascontiguousarray(samples))).numpy()
    cosine = float((expected * run_onnx(path, samples)).sum(1).min())
    if not cosine >= AGREEMENT:
        raise _failure("EXPORT_DISAGREES", f"ONNX and torch agree to a cosine of {cosine:.6f} only")
    return round(cosine, 7)


def _failure(reason: str, message: str) -> InternalError:
    return InternalError(
        message,
        reason=reason,
        field="out",
        remedy="The checkpoints are there; report this with the versions of torch and onnx.",
    )
