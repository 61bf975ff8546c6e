"""Encoded pictures in, embeddings and thumbnails out."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass

import numpy as np

from tashihiki.errors import TashihikiError
from tashihiki_server.deadline import check_deadline
from tashihiki_server.encoder.base import Encoder
from tashihiki_server.images import ImageLimits, decode, fit, thumbnail
from tashihiki_server.space.base import Vectors
from tashihiki_server.stopwatch import stage


@dataclass(frozen=True)
class EmbeddedImage:
    """A picture's embedding (d,) and its thumbnail, a JPEG."""

    embedding: Vectors
    thumbnail: bytes


class Embedder:
    """Decodes and encodes pictures, many at once on all cores."""

    def __init__(self, limits: ImageLimits, threads: int) -> None:
        self._limits = limits
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="embed")

    def embed(self, encoder: Encoder, data: bytes, field: str) -> Vectors:
        """The embedding (d,) of one picture, in the caller's thread.

        Raises:
            InvalidArgumentError: as `images.decode`.
        """
        size = encoder.manifest.input_size
        with stage("decode"):
            pixels = fit(decode(data, size, self._limits, field), size)
        with stage("encode"):
            return np.asarray(encoder.embed(pixels[None])[0], dtype=np.float32)

    def embed_all(
        self, encoder: Encoder, images: Sequence[tuple[bytes, str]]
    ) -> list[EmbeddedImage | TashihikiError]:
        """Embeddings and thumbnails of pictures, given with their fields; faults in place."""
        # The deadline of the call is known by its context, which threads do not share.
        context = copy_context()

        def embed(image: tuple[bytes, str]) -> EmbeddedImage | TashihikiError:
            return context.copy().run(self._embed_one, encoder, *image)

        return list(self._pool.map(embed, images))

    def embed_with_thumbnail(self, encoder: Encoder, data: bytes, field: str) -> EmbeddedImage:
        """The embedding and thumbnail of one picture, in the caller's thread.

        Raises:
            InvalidArgumentError: as `images.decode`.
        """
        size = encoder.manifest.input_size
        picture = decode(data, size, self._limits, field)
        return EmbeddedImage(encoder.embed(fit(picture, size)[None])[0], thumbnail(picture))

    def _embed_one(
        self, encoder: Encoder, data: bytes, field: str
    ) -> EmbeddedImage | TashihikiError:
        try:
            check_deadline()
            return self.embed_with_thumbnail(encoder, data, field)
        except TashihikiError as error:
            return error

    def close(self) -> None:
        """Ends the threads."""
        self._pool.shutdown(cancel_futures=True)
