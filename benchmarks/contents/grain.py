"""Pictures with the size and weight of photos, and with nothing in them."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIZE = (800, 1400)
# With these a picture of this size weighs about 200 KB, as one from a telephone does.
_QUALITY = 75
_GRAIN = 9


def grainy_photos(count: int, seed: int = 0) -> Iterator[bytes]:
    """JPEGs of SIZE, patches of colour under grain; no two are alike."""
    random = np.random.default_rng(seed)
    for _ in range(count):
        patches = random.integers(40, 216, (14, 8, 3), dtype=np.uint8)
        shades = Image.fromarray(patches).resize(SIZE, Image.Resampling.BILINEAR)
        yield jpeg(grained(shades, random))


def grained(picture: Image.Image, random: np.random.Generator) -> Image.Image:
    """A picture under grain as that of a camera's sensor."""
    pixels: NDArray[Any] = np.asarray(picture, dtype=np.int16)
    grain = random.normal(0, _GRAIN, (*pixels.shape[:2], 1)).astype(np.int16)
    return Image.fromarray((pixels + grain).clip(0, 255).astype(np.uint8))


def jpeg(picture: Image.Image) -> bytes:
    """The picture as a file."""
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=_QUALITY)
    return file.getvalue()
