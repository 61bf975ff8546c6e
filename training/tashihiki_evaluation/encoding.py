"""From photos to embeddings: by an encoder that is there, or by some that are trained first."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from rich.console import Console

from tashihiki_evaluation.encoder_choice import trained_on
from tashihiki_evaluation.episodes import Plan
from tashihiki_evaluation.evaluation import EmbeddingSource, FrozenEncoder
from tashihiki_evaluation.pictures import Pictures, embed_photos
from tashihiki_server.cli.progress import counting
from tashihiki_server.dataset import Photo
from tashihiki_server.encoder.openvino import OpenVinoEncoder
from tashihiki_server.space.base import Vectors


class Encoding(Protocol):
    """How an evaluation comes by its embeddings; the methods are called in this order."""

    def load(self, photos: Sequence[Photo], out: Path, workers: int) -> Pictures:
        """Reads the photos; what is worth keeping for the next time goes into `out`."""
        ...

    def source(self, plan: Plan, out: Path, console: Console) -> EmbeddingSource:
        """The embeddings, for every split of the plan."""
        ...

    def known_pictures(self) -> frozenset[str]:
        """SHA-256 of the files that no split may evaluate on."""
        ...

    def facts(self) -> dict[str, Any]:
        """The report's `encoder`."""
        ...


class FrozenEncoding:
    """By one encoder for all splits."""

    def __init__(self, bundle: Path) -> None:
        self.bundle = bundle
        self.encoder = OpenVinoEncoder(bundle)
        self.vectors: Vectors = np.empty((0, 0), dtype=np.float32)

    def load(self, photos: Sequence[Photo], out: Path, workers: int) -> Pictures:
        """Reads and embeds the photos."""
        with counting("embedding") as progress:
            pictures, self.vectors = embed_photos(
                photos, self.encoder, out, workers=workers, progress=progress
            )
        return pictures

    def source(self, plan: Plan, out: Path, console: Console) -> EmbeddingSource:
        """The same embeddings for all splits."""
        return FrozenEncoder(self.vectors)

    def known_pictures(self) -> frozenset[str]:
        """As the bundle lists them."""
        return trained_on(self.bundle)

    def facts(self) -> dict[str, Any]:
        """Of the manifest."""
        manifest = self.encoder.manifest
        return {
            "name": manifest.name,
            "version": manifest.version,
            "fingerprint": manifest.fingerprint,
            "dimension": manifest.dimension,
            "input_size": manifest.input_size,
            "precision": self.encoder.precision,
        }
