"""Photos that are asked with, and those that items show: alike, and none the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
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
# What items show: other pieces of the photos, some mirrored, at a size that is soon embedded.
_SHOWN = 6000
_PIECE = 0.8
_SMALL = (SIZE[0] // 3, SIZE[1] // 3)
_DESIGNS = 2
_LIMITS = ImageLimits()
_ENDINGS = (".jpg", ".jpeg")

_Picture = Callable[[], Image.Image]


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
    pictures = _drawings() if folder is None else _files(folder)
    every = len(pictures) // ASKED
    if every < 2:
        raise SystemExit(f"{folder}: {len(pictures)} JPEGs; {2 * ASKED} are needed at least")
    random = np.random.default_rng(0)
    others = [one for number, one in enumerate(pictures) if number % every]
    shown = (_piece(others[number % len(others)](), random) for number in range(_SHOWN))
    encoder = OpenVinoEncoder(SHIPPED_ENCODER)
    return Photos(
        [jpeg(grained(ImageOps.fit(one(), SIZE), random)) for one in pictures[::every][:ASKED]],
        np.stack([_embedded(encoder, jpeg(one)) for one in shown]),
        "drawn by the demo" if folder is None else "of a folder",
    )


def _piece(picture: Image.Image, random: np.random.Generator) -> Image.Image:
    share = random.uniform(_PIECE, 1)
    width, height = (int(share * side) for side in picture.size)
    left, top = (int(random.uniform(0, 1 - share) * side) for side in picture.size)
    piece = picture.crop((left, top, left + width, top + height))
    return ImageOps.fit(ImageOps.mirror(piece) if random.random() < 0.5 else piece, _SMALL)


def _drawings() -> list[_Picture]:
    things = product(PRODUCTS, COLOURS, BACKGROUNDS, range(_DESIGNS))
    return [partial(_drawn, Item(*thing)) for thing in things]


def _drawn(thing: Item) -> Image.Image:
    return Image.fromarray(item_pixels(thing, 0, Random(repr(thing))))


def _files(folder: Path) -> list[_Picture]:
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in _ENDINGS)
    return [partial(_opened, path) for path in paths]


def _opened(path: Path) -> Image.Image:
    try:
        with Image.open(path) as picture:
            picture.draft("RGB", SIZE)
            pixels: Image.Image = picture.convert("RGB")
    except OSError as error:
        raise SystemExit(f"{path} cannot be read: {error}") from error
    return pixels


def _embedded(encoder: OpenVinoEncoder, file: bytes) -> Vectors:
    size = encoder.manifest.input_size
    embedding: Vectors = encoder.embed(fit(decode(file, size, _LIMITS), size)[None])[0]
    return embedding
