"""The seam to whatever turns pixels into embeddings."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tashihiki_server.encoder.manifest import Manifest
from tashihiki_server.space.base import Vectors


class Encoder(Protocol):
    """Pictures in, embeddings out; safe to call from many threads."""

    @property
    def manifest(self) -> Manifest:
        """Name, version, fingerprint, input size and dimension."""
        ...

    def embed(self, pixels: NDArray[np.uint8]) -> Vectors:
        """Embeddings (n, d), non-negative and of unit length, of pixels (n, size, size, 3)."""
        ...
