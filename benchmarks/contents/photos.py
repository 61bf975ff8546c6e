"""Photos that are asked with, and those that items show: alike, and none the same."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from zlib import crc32

import numpy as np
from PIL import Image, ImageOps

from benchmarks.contents.filled_server import Filling
from benchmarks.contents.generated_items import Kind
from benchmarks.contents.grain import SIZE, grained, jpeg
from tashihiki_server.demo.backgrounds import BACKGROUNDS
from tashihiki_server.demo.gallery import item_pixels
from tashihiki_server.demo.item import Item
from tashihiki_server.demo.products import COLOURS, PRODUCTS
from tashihiki_server.encoder.openvino import OpenVinoEncoder
from tashihiki_server.images import ImageLimits, decode, fit
from tashihiki_server.library import SHIPPED_ENCODER
from tashihiki_server.space.base import Vectors

ASKED = 48
PHOTOS_HELP = "folder of JPEGs; what the demo draws if there is none"
_SHOWN = 3000
_DESIGNS = 2
_LIMITS = ImageLimits()


@dataclass(frozen=True)
class Photos:
    """Photos of one kind.

    Attributes:
        files: ASKED JPEGs of SIZE, to ask with; no item shows one of them.
        shown: (n, d), the shipped encoder's embeddings of what items show.
        kind: of photos, in words.
    """

    files: Sequence[bytes]
    shown: Vectors
    kind: str

    def filling(self, items: int) -> Filling:
        """Items near the shown ones, in the space that searches embeddings as they are."""
        return Filling(items, Kind(self.shown.shape[1]), "sum", crc32(self.shown.tobytes()))


def photos(folder: Path | None = None) -> Photos:
    """The same on every call.

    Args:
        folder: of pictures; what the demo draws if None.
    """
    pictures = list(_drawn() if folder is None else _kept(folder))
    every = len(pictures) // ASKED
    if every < 2:
        raise SystemExit(f"{folder}: {len(pictures)} pictures; {2 * ASKED} are needed at least")
    random = np.random.default_rng(0)
    asked = pictures[::every][:ASKED]
    shown = [picture for number, picture in enumerate(pictures) if number % every][:_SHOWN]
    encoder = OpenVinoEncoder(SHIPPED_ENCODER)
    return Photos(
        [jpeg(grained(ImageOps.fit(picture, SIZE), random)) for picture in asked],
        np.stack([_embedded(encoder, jpeg(picture)) for picture in shown]),
        "drawn by the demo" if folder is None else folder.name,
    )


def _drawn() -> Iterator[Image.Image]:
    for product in PRODUCTS:
        for colour in COLOURS:
            for ground in BACKGROUNDS:
                for design in range(_DESIGNS):
                    thing = Item(product, colour, ground, design)
                    yield Image.fromarray(item_pixels(thing, 0, Random(repr(thing))))


def _kept(folder: Path) -> Iterator[Image.Image]:
    for path in sorted(path for path in folder.rglob("*") if path.suffix.lower() == ".jpg"):
        with Image.open(path) as picture:
            yield picture.convert("RGB")


def _embedded(encoder: OpenVinoEncoder, file: bytes) -> Vectors:
    size = encoder.manifest.input_size
    embedding: Vectors = encoder.embed(fit(decode(file, size, _LIMITS), size)[None])[0]
    return embedding
