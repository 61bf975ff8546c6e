"""Photos as the server embeds them, and what has been embedded before."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tashihiki.errors import TashihikiError
from tashihiki_server.dataset import Photo, Skipped
from tashihiki_server.encoder.openvino import OpenVinoEncoder
from tashihiki_server.images import ImageLimits, decode, fit
from tashihiki_server.space.base import Vectors


@dataclass(frozen=True)
class Pictures:
    """Photos that could be read.

    Attributes:
        photos: in the order of the other attributes.
        files: SHA-256 of each file.
        pixels: SHA-256 of what the encoder sees of each.
        unreadable: the others, and why.
    """

    photos: list[Photo]
    files: list[str]
    pixels: list[str]
    unreadable: list[Skipped]


@dataclass(frozen=True)
class _Embedded:
    pixels: str
    embedding: Vectors


@dataclass
class EmbeddingCache:
    """What one encoder made of files, by their content; kept in a file of arrays."""

    path: Path
    entries: dict[str, _Embedded] = field(default_factory=dict)

    def read(self) -> None:
        """Takes over what the file holds; one that cannot be read is as good as none."""
        try:
            with np.load(self.path, allow_pickle=False) as arrays:
                columns = (arrays["files"].tolist(), arrays["pixels"].tolist(), arrays["vectors"])
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return
        for file, pixels, vector in zip(*columns, strict=True):
            self.entries[file] = _Embedded(pixels, vector)

    def write(self) -> None:
        """Replaces the file."""
        work = self.path.with_suffix(".new.npz")
        np.savez(
            work,
            files=np.array(list(self.entries), dtype=str),
            pixels=np.array([entry.pixels for entry in self.entries.values()], dtype=str),
            vectors=np.array([entry.embedding for entry in self.entries.values()]),
        )
        work.replace(self.path)


def embed_photos(
    photos: Sequence[Photo],
    encoder: OpenVinoEncoder,
    folder: Path,
    *,
    workers: int,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[Pictures, Vectors]:
    """Embeds photos with the pixels that the server would use.

    Args:
        photos: to read.
        encoder: that embeds them.
        folder: where embeddings are kept for the next time.
        workers: threads that decode and encode.
        progress: told how many photos are done, of how many.

    Returns:
        The photos that could be read, and their embeddings (photos, d).
    """
    name = f"embeddings-{encoder.manifest.fingerprint}-{encoder.precision}.npz"
    cache = EmbeddingCache(folder / name)
    cache.read()
    known = len(cache.entries)
    kept: list[Photo] = []
    files: list[str] = []
    unreadable: list[Skipped] = []

    def load(photo: Photo) -> tuple[str, _Embedded] | Skipped:
        try:
            data = photo.path.read_bytes()
            file = hashlib.sha256(data).hexdigest()
            return file, cache.entries.get(file) or _embed(encoder, data, str(photo.path))
        except (OSError, TashihikiError) as error:
            why = error.message if isinstance(error, TashihikiError) else str(error)
            return Skipped(photo.path, why)

    with ThreadPoolExecutor(workers, thread_name_prefix="embed") as pool:
        try:
            for done, (photo, found) in enumerate(
                zip(photos, pool.map(load, photos), strict=True), 1
            ):
                if isinstance(found, Skipped):
                    unreadable.append(found)
                else:
                    kept.append(photo)
                    files.append(found[0])
                    cache.entries[found[0]] = found[1]
                progress(done, len(photos))
        finally:
            pool.shutdown(cancel_futures=True)
            if len(cache.entries) > known:
                cache.write()
    pixels = [cache.entries[file].pixels for file in files]
    vectors = np.array([cache.entries[file].embedding for file in files], dtype=np.float32)
    return Pictures(kept, files, pixels, unreadable), vectors


def _embed(encoder: OpenVinoEncoder, data: bytes, name: str) -> _Embedded:
    size = encoder.manifest.input_size
    pixels = fit(decode(data, size, ImageLimits(), name), size)
    return _Embedded(hashlib.sha256(pixels.tobytes()).hexdigest(), encoder.embed(pixels[None])[0])
