"""One pass of the shipped encoder, for `tashihiki doctor`.

A process of its own, since a processor that lacks an instruction ends it. Prints JSON.
"""

from __future__ import annotations

import json
import time

import numpy as np
import openvino

from tashihiki_server.encoder.openvino import OpenVinoEncoder
from tashihiki_server.encoder.streams import one_for_each_core
from tashihiki_server.library import SHIPPED_ENCODER


def main() -> None:
    """Embeds a picture of noise, and says how that went."""
    core = openvino.Core()
    encoder = OpenVinoEncoder(SHIPPED_ENCODER, one_for_each_core())
    size = encoder.manifest.input_size
    pixels = np.random.default_rng(0).integers(0, 256, (1, size, size, 3), dtype=np.uint8)
    begin = time.perf_counter()
    (embedding,) = encoder.embed(pixels)
    seconds = time.perf_counter() - begin
    told = {
        "processor": core.get_property("CPU", "FULL_DEVICE_NAME"),
        "capabilities": sorted(core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")),
        "precision": encoder.precision,
        "encoder": f"{encoder.manifest.name} {encoder.manifest.version}",
        "sha256": encoder.manifest.model_sha256,
        "dimension": len(embedding),
        "sound": bool((embedding >= 0).all() and abs(np.linalg.norm(embedding) - 1) < 1e-3),
        "milliseconds": round(1000 * seconds, 1),
    }
    print(json.dumps(told), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
