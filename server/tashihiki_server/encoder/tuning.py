"""Which division of the cores is fastest on this machine: measured once, kept beside the bundle.

`python -m tashihiki_server.encoder.tuning FOLDER` measures. It is a process of its own, since
encoders that a process lets go of have crashed it when it ended soon after.
"""

from __future__ import annotations

import json
import logging
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np
import openvino

from tashihiki_server.child_process import ProcessFailedError, end_with_parent, run
from tashihiki_server.durable import json_checksum, write_json
from tashihiki_server.encoder.manifest import read_manifest
from tashihiki_server.encoder.openvino import OpenVinoEncoder
from tashihiki_server.encoder.streams import Streams, candidates, cores, one_for_each_core

MODULE = "tashihiki_server.encoder.tuning"
STREAMS_FILE = "streams.json"
FORMAT = 1
MEASURE_SECONDS = 1.0
MAX_ROUNDS = 12
MIN_ROUNDS = 3
# Less than this is noise, and then the division that is known from elsewhere is taken.
MIN_GAIN = 0.1

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Speed:
    """Median seconds for a picture: of one caller, and of as many callers as there are cores."""

    alone: float
    together: float

    @property
    def both(self) -> float:
        """Their geometric mean, so that a tenth counts as much in each."""
        return sqrt(self.alone * self.together)


def open_tuned(folder: Path) -> OpenVinoEncoder:
    """Opens a bundle of the data folder with the division that is fastest here.

    The first time that takes a second or two; then it is read from the bundle's folder. What was
    measured for another encoder, OpenVINO or processor, or cannot be read, is measured again.

    Raises:
        FailedPreconditionError: ENCODER_INVALID.
    """
    key = _key(folder)
    streams = _kept(folder, key)
    if streams is None:
        try:
            run(MODULE, [str(folder)], 0)
            logger.info("%s: the division of the cores was measured", folder.name)
        except ProcessFailedError as error:
            logger.warning("%s: how to share the cores cannot be measured: %s", folder, error)
        streams = _kept(folder, key) or one_for_each_core()
    encoder = OpenVinoEncoder(folder, streams)
    logger.info("%s: %s, %s", encoder.manifest.name, encoder.precision, streams)
    return encoder


def main(folder: Path) -> None:
    """Measures the candidates and keeps the choice."""
    end_with_parent()
    speeds = measure({streams: OpenVinoEncoder(folder, streams) for streams in candidates()})
    _keep(folder, _key(folder), fastest(speeds), speeds)


def measure(rivals: Mapping[Streams, OpenVinoEncoder]) -> dict[Streams, Speed]:
    """Lets the encoders take turns, for about a second in all."""
    callers = cores()
    alone: dict[Streams, list[float]] = {streams: [] for streams in rivals}
    together: dict[Streams, list[float]] = {streams: [] for streams in rivals}
    size = next(iter(rivals.values())).manifest.input_size
    pixels = np.random.default_rng(0).integers(0, 256, (1, size, size, 3), dtype=np.uint8)
    end = time.perf_counter() + MEASURE_SECONDS
    with ThreadPoolExecutor(callers) as pool:
        for turn in range(MAX_ROUNDS):
            if turn >= MIN_ROUNDS and time.perf_counter() > end:
                break
            for streams, encoder in rivals.items():
                alone[streams].append(_seconds(lambda e=encoder: e.embed(pixels)))  # type: ignore[misc]
                work = [pixels] * (2 * callers)
                taken = _seconds(lambda e=encoder, w=work: list(pool.map(e.embed, w)))  # type: ignore[misc]
                together[streams].append(taken / len(work))
    return {
        streams: Speed(statistics.median(alone[streams]), statistics.median(together[streams]))
        for streams in rivals
    }


def fastest(speeds: Mapping[Streams, Speed]) -> Streams:
    """The first, unless another gains enough on it for one caller and many taken together."""
    first = next(iter(speeds))
    best = min(speeds, key=lambda streams: speeds[streams].both)
    return best if speeds[best].both < (1 - MIN_GAIN) * speeds[first].both else first


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _key(folder: Path) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "encoder": read_manifest(folder).fingerprint,
        "openvino": openvino.__version__,
        "processor": str(openvino.Core().get_property("CPU", "FULL_DEVICE_NAME")),
        "cores": cores(),
    }


def _kept(folder: Path, key: Mapping[str, Any]) -> Streams | None:
    try:
        content = json.loads((folder / STREAMS_FILE).read_text(encoding="utf-8"))
        if content["checksum"] != json_checksum(content):
            raise ValueError("it has changed since it was written")
        if {name: content[name] for name in key} != key:
            return None
        streams = Streams(**content["streams"])
        if streams not in candidates():
            raise ValueError(f"{streams} were never measured")
        return streams
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        logger.warning("%s is measured again: %s", folder / STREAMS_FILE, error)
        return None


def _keep(
    folder: Path, key: Mapping[str, Any], streams: Streams, speeds: Mapping[Streams, Speed]
) -> None:
    measured = [{**asdict(tried), **asdict(speed)} for tried, speed in speeds.items()]
    content = {**key, "streams": asdict(streams), "seconds_for_a_picture": measured}
    write_json(folder / STREAMS_FILE, {**content, "checksum": json_checksum(content)})


if __name__ == "__main__":
    main(Path(sys.argv[1]))
