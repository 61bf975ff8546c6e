"""The encoder against torch and ONNX Runtime, and photos in bulk against a plain torch loop.

`python -m benchmarks encoder`. The rivals have the weights of the shipped encoder and see the same
pictures; torch has as many threads as it takes by itself, and batch norm folded into convolutions.
"""

from __future__ import annotations

import argparse
import queue
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import onnxruntime
import openvino
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from benchmarks.contents.grain import SIZE, grainy_photos
from benchmarks.results import Table
from shipped_network import shipped_network
from tashihiki_server.encoder.manifest import MODEL_FILE
from tashihiki_server.encoder.openvino import OpenVinoEncoder
from tashihiki_server.encoder.streams import Streams, candidates, cores
from tashihiki_server.encoder.tuning import fastest
from tashihiki_server.encoder.tuning import measure as measure_streams
from tashihiki_server.images import ImageLimits, decode, fit
from tashihiki_server.library import SHIPPED_ENCODER
from tashihiki_training.network import EncoderNetwork

PICTURES = 128
PASS_ROUNDS = 25
CROWD = 16
CROWD_ROUNDS = 10
BULK_ROUNDS = 2
BATCH = 32
WORKERS = 2

_Embed = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


@dataclass(frozen=True)
class Pass:
    """One picture that is decoded already, with nothing beside it.

    Attributes:
        name: of the runtime.
        seconds: median.
        cosine: the least to torch's embeddings.
    """

    name: str
    seconds: float
    cosine: float


@dataclass(frozen=True)
class Rate:
    """Median pictures a second."""

    name: str
    pictures: float


@dataclass(frozen=True)
class Division:
    """How fast one division of the cores is."""

    streams: Streams
    alone: float
    together: float
    chosen: bool


@dataclass(frozen=True)
class Measurement:
    """What this benchmark measures; the first of each list is ours.

    Attributes:
        input_size: edge of what the encoder sees.
        cores: that all of it had.
        file_bytes: of a photo, on average.
        passes: one picture.
        crowd: `CROWD` decoded pictures that come at once.
        bulk: from files to embeddings.
        divisions: of the cores.
    """

    input_size: int
    cores: int
    file_bytes: int
    passes: list[Pass]
    crowd: list[Rate]
    bulk: list[Rate]
    divisions: list[Division]


def measure() -> Measurement:
    """Measures; the rivals of each table take turns."""
    divisions, network = _divisions(), shipped_network()
    (chosen,) = (one.streams for one in divisions if one.chosen)
    encoder = OpenVinoEncoder(SHIPPED_ENCODER, chosen)
    size = encoder.manifest.input_size
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / f"{number:05}.jpg" for number in range(PICTURES)]
        for path, photo in zip(files, grainy_photos(PICTURES), strict=True):
            path.write_bytes(photo)
        pixels = np.stack([_decoded(path, size) for path in files[:CROWD]])
        return Measurement(
            input_size=size,
            cores=cores(),
            file_bytes=sum(path.stat().st_size for path in files) // len(files),
            passes=_passes(encoder, network, pixels),
            crowd=_crowd(encoder, network, pixels),
            bulk=_bulk(encoder, network, files),
            divisions=divisions,
        )


def main(options: Sequence[str] = ()) -> list[Table]:
    """The tables of this benchmark; it has no options."""
    argparse.ArgumentParser(prog="python -m benchmarks encoder", description=__doc__).parse_args(
        options
    )
    return tables(measure())


def tables(found: Measurement) -> list[Table]:
    """What was measured, as it is shown."""
    ours = found.passes[0].seconds
    passes = [
        [p.name, f"{1000 * p.seconds:.1f}", f"{p.seconds / ours:.2f}", f"{p.cosine:.4f}"]
        for p in found.passes
    ]
    divisions = [
        [
            f"{one.streams}{' (chosen)' if one.chosen else ''}",
            f"{1000 * one.alone:.1f}",
            f"{1 / one.together:.0f}",
        ]
        for one in found.divisions
    ]
    rates = ["pictures/s", "ours to it"]
    where = f"{found.input_size} × {found.input_size} pixels, {found.cores} cores, medians"
    photos = f"{PICTURES} JPEG files of {SIZE[0]} × {SIZE[1]}, {found.file_bytes // 1000} KB each"
    return [
        Table(
            "passes",
            f"One picture, {where}",
            ["runtime", "ms", "to ours", "least cosine to torch"],
            passes,
        ),
        Table("crowd", f"{CROWD} pictures at once, {where}", ["how", *rates], _rates(found.crowd)),
        Table(
            "bulk", f"{photos}, to embeddings", ["decode and encode", *rates], _rates(found.bulk)
        ),
        Table(
            "divisions",
            "Divisions of the cores, as a server measures them at its first start",
            ["division", "one caller, ms", "a caller for each core, pictures/s"],
            divisions,
        ),
    ]


def _rates(rates: list[Rate]) -> list[list[str]]:
    ours = rates[0].pictures
    return [[one.name, f"{one.pictures:.0f}", f"{ours / one.pictures:.2f}"] for one in rates]


def _passes(
    encoder: OpenVinoEncoder, network: EncoderNetwork, pixels: NDArray[np.uint8]
) -> list[Pass]:
    rivals: dict[str, _Embed] = {
        f"OpenVINO ({encoder.precision})": encoder.embed,
        "ONNX Runtime (f32)": _onnx_runtime(cores()),
        "torch eager (f32)": partial(_torch, network),
    }
    one = pixels[:1]
    seconds = _turns({name: partial(embed, one) for name, embed in rivals.items()}, PASS_ROUNDS)
    wanted = _torch(network, pixels)
    return [
        Pass(name, seconds[name], float((embed(pixels) * wanted).sum(axis=1).min()))
        for name, embed in rivals.items()
    ]


def _crowd(
    encoder: OpenVinoEncoder, network: EncoderNetwork, pixels: NDArray[np.uint8]
) -> list[Rate]:
    """Side by side, or in batches that cost nothing to collect, which is more than any has."""
    with ThreadPoolExecutor(CROWD) as pool:

        def at_once(embed: _Embed, shares: int) -> Callable[[], object]:
            parts = np.array_split(pixels, shares)
            return lambda: list(pool.map(embed, parts))

        seconds = _turns(
            {
                "side by side": at_once(encoder.embed, CROWD),
                "a batch for each core": at_once(_batches(cores()), cores()),
                "one batch": at_once(_batches(1), 1),
                "ONNX Runtime (f32), side by side": at_once(_onnx_runtime(1), CROWD),
                "torch eager (f32), one batch": at_once(partial(_torch, network), 1),
            },
            CROWD_ROUNDS,
        )
    return [Rate(name, len(pixels) / taken) for name, taken in seconds.items()]


def _bulk(encoder: OpenVinoEncoder, network: EncoderNetwork, files: list[Path]) -> list[Rate]:
    size = encoder.manifest.input_size
    loader = DataLoader(
        _Photos(files, size), batch_size=BATCH, num_workers=WORKERS, persistent_workers=True
    )

    def ours() -> None:
        def embed(path: Path) -> NDArray[np.float32]:
            return encoder.embed(_decoded(path, size)[None])

        with ThreadPoolExecutor(cores() + 1) as pool:
            list(pool.map(embed, files))

    def plain_loop() -> None:
        with torch.inference_mode():
            for batch in loader:
                network.embed(batch)

    seconds = _turns(
        {"threads, OpenVINO": ours, f"DataLoader ({WORKERS} workers), torch eager": plain_loop},
        BULK_ROUNDS,
    )
    return [Rate(name, len(files) / taken) for name, taken in seconds.items()]


class _Photos(Dataset[Tensor]):
    """Photos as a plain loop over an image folder reads them: whole, then resized."""

    def __init__(self, files: list[Path], size: int) -> None:
        self._files = files
        self._size = size

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, number: int) -> Tensor:
        with Image.open(self._files[number]) as opened:
            picture = opened.convert("RGB").resize((self._size,) * 2, Image.Resampling.BILINEAR)
        return torch.from_numpy(np.array(picture)).permute(2, 0, 1).float() / 255


def _divisions() -> list[Division]:
    rivals = {streams: OpenVinoEncoder(SHIPPED_ENCODER, streams) for streams in candidates()}
    speeds = measure_streams(rivals)
    chosen = fastest(speeds)
    return [
        Division(streams, speed.alone, speed.together, streams == chosen)
        for streams, speed in speeds.items()
    ]


def _turns(rivals: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median seconds of each rival over rounds in which each runs twice and the second counts.

    In the first run the threads of the rival before may still spin in wait of work.
    """
    times: dict[str, list[float]] = {name: [] for name in rivals}
    for _ in range(rounds):
        for name, work in rivals.items():
            work()
            start = time.perf_counter()
            work()
            times[name].append(time.perf_counter() - start)
    return {name: statistics.median(taken) for name, taken in times.items()}


def _batches(count: int) -> _Embed:
    """OpenVINO, made for so many batches at a time."""
    config = {"NUM_STREAMS": count, "INFERENCE_NUM_THREADS": cores()}
    model = openvino.Core().compile_model(str(SHIPPED_ENCODER / MODEL_FILE), "CPU", config)
    requests: queue.SimpleQueue[openvino.InferRequest] = queue.SimpleQueue()
    for _ in range(count):
        requests.put(model.create_infer_request())

    def embed(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        request = requests.get()
        try:
            result = request.infer([pixels], share_inputs=True)
            return np.array(next(iter(result.values())), dtype=np.float32)
        finally:
            requests.put(request)

    return embed


def _onnx_runtime(threads: int) -> _Embed:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(
        str(SHIPPED_ENCODER / MODEL_FILE), options, providers=["CPUExecutionProvider"]
    )

    def embed(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        rows = [session.run(None, {"pixels": pixels[n : n + 1]})[0] for n in range(len(pixels))]
        return np.concatenate(rows)

    return embed


def _torch(network: EncoderNetwork, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    with torch.inference_mode():
        embeddings: NDArray[np.float32] = network(torch.from_numpy(pixels)).numpy()
    return embeddings


def _decoded(path: Path, size: int) -> NDArray[np.uint8]:
    return fit(decode(path.read_bytes(), size, ImageLimits()), size)
