"""Which runtime runs the shipped encoder fastest: OpenVINO or ONNX Runtime."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from benchmarks.timing import medians, table
from tashihiki_server.demo.gallery import draw_faces
from tashihiki_server.encoder.manifest import MODEL_FILE
from tashihiki_server.encoder.openvino import OpenVinoEncoder
from tashihiki_server.images import ImageLimits, decode, fit
from tashihiki_server.library import SHIPPED_ENCODER

ROUNDS = 30
PICTURES = 16

_Embed = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


def main() -> str:
    """A table: one picture at a time, and pictures a second on all cores."""
    cores = len(os.sched_getaffinity(0))
    encoder = OpenVinoEncoder(SHIPPED_ENCODER)
    size = encoder.manifest.input_size
    pictures = _pictures(size)
    rivals: dict[str, _Embed] = {
        f"OpenVINO ({encoder.precision})": encoder.embed,
        "ONNX Runtime (f32)": _onnx_runtime(cores),
    }
    single = medians({n: lambda e=e: e(pictures[:1]) for n, e in rivals.items()}, ROUNDS)  # type: ignore[misc]
    with ThreadPoolExecutor(cores) as pool:
        many = medians(
            {n: lambda e=e: list(pool.map(e, pictures[:, None])) for n, e in rivals.items()},  # type: ignore[misc]
            ROUNDS // 3,
        )
    first = next(iter(rivals))
    rows = [
        [
            name,
            f"{1000 * single[name]:.1f}",
            f"{single[name] / single[first]:.2f}",
            f"{PICTURES / many[name]:.0f}",
            f"{_cosine(embed(pictures), encoder.embed(pictures)):.4f}",
        ]
        for name, embed in rivals.items()
    ]
    header = ["runtime", "one picture, ms", "ratio", f"pictures/s, {cores} cores", "cosine"]
    return f"Encoder, {size}×{size}, medians\n\n" + table(header, rows)


def _pictures(size: int) -> NDArray[np.uint8]:
    with tempfile.TemporaryDirectory() as folder:
        drawn = draw_faces(Path(folder), seed=7, shots=1)[:PICTURES]
        limits = ImageLimits()
        decoded = [decode(picture.path.read_bytes(), size, limits) for picture in drawn]
        return np.stack([fit(picture, size) for picture in decoded])


def _onnx_runtime(cores: int) -> _Embed:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        str(SHIPPED_ENCODER / MODEL_FILE), options, providers=["CPUExecutionProvider"]
    )

    def embed(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        rows = [session.run(None, {"pixels": pixels[n : n + 1]})[0] for n in range(len(pixels))]
        return np.concatenate(rows)

    return embed


def _cosine(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    return float((a * b).sum(axis=1).min())
