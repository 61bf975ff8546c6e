"""Pictures decoded once, ready to be drawn in any order."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tashihiki.errors import InvalidArgumentError
from tashihiki_server.dataset import Photo, Skipped
from tashihiki_server.images import ImageLimits, decode, fit

Pixels = NDArray[np.uint8]
IN_MEMORY = 2 * 2**30


@dataclass(frozen=True)
class Pictures:
    """Photos that could be read.

    Attributes:
        photos: in the order of `pixels`.
        pixels: (photos, size, size, 3) in RGB; a memory map where they are many.
        digests: SHA-256 of every file.
        unreadable: the others.
    """

    photos: list[Photo]
    pixels: Pixels
    digests: list[str]
    unreadable: list[Skipped]


def load_pictures(
    photos: Sequence[Photo],
    size: int,
    scratch: Path,
    *,
    workers: int = 2,
    progress: Callable[[int], None] = lambda done: None,
) -> Pictures:
    """Decodes all photos to squares.

    Args:
        scratch: file for the pixels if they do not fit in memory.
        progress: told how many are done.
    """
    pixels = _room(len(photos), size, scratch)
    kept: list[Photo] = []
    digests: list[str] = []
    unreadable: list[Skipped] = []
    with ThreadPoolExecutor(workers) as pool:
        results = pool.map(lambda photo: _load(photo, size), photos)
        for done, (photo, result) in enumerate(zip(photos, results, strict=True), 1):
            if isinstance(result, Skipped):
                unreadable.append(result)
            else:
                picture, digest = result
                pixels[len(kept)] = picture
                kept.append(photo)
                digests.append(digest)
            progress(done)
    return Pictures(kept, pixels[: len(kept)], digests, unreadable)


def _load(photo: Photo, size: int) -> tuple[Pixels, str] | Skipped:
    try:
        data = photo.path.read_bytes()
        picture = fit(decode(data, size, ImageLimits(), str(photo.path)), size)
    except (OSError, InvalidArgumentError) as error:
        message = error.message if isinstance(error, InvalidArgumentError) else str(error)
        return Skipped(photo.path, message)
    return picture, hashlib.sha256(data).hexdigest()


def _room(count: int, size: int, scratch: Path) -> Pixels:
    shape = (count, size, size, 3)
    if count * size * size * 3 <= IN_MEMORY:
        return np.empty(shape, dtype=np.uint8)
    return np.lib.format.open_memmap(scratch, mode="w+", dtype=np.uint8, shape=shape)
