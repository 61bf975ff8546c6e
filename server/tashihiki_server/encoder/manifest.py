"""What an encoder bundle says of itself: a folder with `encoder.onnx` and `manifest.json`."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from tashihiki.errors import FailedPreconditionError
from tashihiki_server.durable import read_json

MODEL_FILE = "encoder.onnx"
MANIFEST_FILE = "manifest.json"
FORMAT = 1


@dataclass(frozen=True)
class Manifest:
    """The description of an encoder.

    The graph takes `pixels`, uint8 of (batch, input_size, input_size, 3) in RGB, and returns
    `embedding`, float32 of (batch, dimension), non-negative and of unit length: normalisation
    of the input and pooling are inside it.

    Attributes:
        name: for people, for example `tashihiki`.
        version: of this training, for example `1`.
        architecture: for example `mobilenet_v2`.
        input_size: edge of the square input in pixels.
        mean, std: of the input's channels in [0, 1], as the graph subtracts and divides.
        pooling: `stages`, several stages and a colour histogram; or the `mean` or `median` of the
            last feature map.
        dimension: length of an embedding.
        model_sha256: of `encoder.onnx`.
        training: provenance: data, number of pictures, seed, settings, initial weights, command.
        metrics: measured at the end of training, with their protocol.
    """

    name: str
    version: str
    architecture: str
    input_size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    pooling: Literal["stages", "mean", "median"]
    dimension: int
    model_sha256: str
    training: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)

    @property
    def fingerprint(self) -> str:
        """What decides the vectors, in 16 hex digits: equal fingerprints, comparable vectors."""
        essence = json.dumps([FORMAT, self.input_size, self.dimension, self.model_sha256])
        return hashlib.sha256(essence.encode()).hexdigest()[:16]

    def write(self, folder: Path) -> None:
        """Writes `manifest.json` into the folder."""
        content = {"format": FORMAT, "fingerprint": self.fingerprint, **asdict(self)}
        text = json.dumps(content, indent=2, ensure_ascii=False)
        (folder / MANIFEST_FILE).write_text(text + "\n", encoding="utf-8")


def read_manifest(folder: Path) -> Manifest:
    """Reads a bundle's manifest and checks it against the model file.

    Raises:
        FailedPreconditionError: ENCODER_INVALID.
    """
    try:
        content = read_json(folder / MANIFEST_FILE)
        if content.pop("format") != FORMAT:
            raise ValueError(f"its format is not {FORMAT}")
        fingerprint = content.pop("fingerprint")
        manifest = Manifest(
            **{**content, "mean": tuple(content["mean"]), "std": tuple(content["std"])}
        )
        if sha256(folder / MODEL_FILE) != manifest.model_sha256:
            raise ValueError(f"{MODEL_FILE} is not the file that the manifest describes")
        if fingerprint != manifest.fingerprint:
            raise ValueError("its fingerprint does not fit its content")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise FailedPreconditionError(
            f"{folder} holds no sound encoder: {error}",
            reason="ENCODER_INVALID",
            field="encoder",
            remedy="Name a folder that `tashihiki train` wrote.",
        ) from error
    return manifest


def sha256(path: Path) -> str:
    """The file's SHA-256 in hex."""
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
