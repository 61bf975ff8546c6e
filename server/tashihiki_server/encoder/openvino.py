"""The encoder, run by OpenVINO on the CPU."""

from __future__ import annotations

import queue
from pathlib import Path

import numpy as np
import openvino
from numpy.typing import NDArray

from tashihiki.errors import FailedPreconditionError
from tashihiki_server.encoder.manifest import MODEL_FILE, read_manifest
from tashihiki_server.encoder.streams import Streams, one_for_each_core
from tashihiki_server.space.base import Vectors


class OpenVinoEncoder:
    """An encoder bundle; see `Encoder`.

    Pictures go through one by one, side by side, so that nobody waits for company.
    """

    def __init__(self, folder: Path, streams: Streams | None = None) -> None:
        """Loads a bundle and lets every stream run once.

        Args:
            folder: of the bundle.
            streams: how passes share the cores; by default one for each core.

        Raises:
            FailedPreconditionError: ENCODER_INVALID.
        """
        self.manifest = read_manifest(folder)
        self.streams = streams or one_for_each_core()
        config = {
            "NUM_STREAMS": self.streams.count,
            "INFERENCE_NUM_THREADS": self.streams.threads,
            "ENABLE_CPU_PINNING": self.streams.pinned,
        }
        try:
            core = openvino.Core()
            model = core.compile_model(str(folder / MODEL_FILE), "CPU", config)
        except RuntimeError as error:
            raise FailedPreconditionError(
                f"OpenVINO cannot load {folder / MODEL_FILE}: {error}",
                reason="ENCODER_INVALID",
                field="encoder",
                remedy="Export it again with `tashihiki train`.",
            ) from error
        self.precision: str = model.get_property("INFERENCE_PRECISION_HINT").to_string()
        self._requests: queue.SimpleQueue[openvino.InferRequest] = queue.SimpleQueue()
        size = self.manifest.input_size
        blank = np.zeros((1, size, size, 3), dtype=np.uint8)
        for _ in range(self.streams.count):
            request = model.create_infer_request()
            # First inferences that meet on two threads have deadlocked in OpenVINO's binding.
            request.infer([blank])
            self._requests.put(request)

    def embed(self, pixels: NDArray[np.uint8]) -> Vectors:
        """See `Encoder.embed`."""
        out = np.empty((len(pixels), self.manifest.dimension), dtype=np.float32)
        request = self._requests.get()
        try:
            for number in range(len(pixels)):
                result = request.infer([pixels[number : number + 1]], share_inputs=True)
                out[number] = next(iter(result.values()))[0]
        finally:
            self._requests.put(request)
        # In bf16 the graph's own normalisation is off by up to a per cent.
        out /= np.linalg.norm(out, axis=1, keepdims=True)
        return out
