"""Which similarity tells altered copies of a picture from other pictures."""

from __future__ import annotations

import argparse
import io
import os
import random
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

from benchmarks.results import Table
from tashihiki_server.demo.gallery import draw_faces, draw_items
from tashihiki_server.encoder.embedder import Embedder
from tashihiki_server.encoder.openvino import OpenVinoEncoder
from tashihiki_server.images import ImageLimits
from tashihiki_server.library import SHIPPED_ENCODER
from tashihiki_server.space.base import Vectors

SIMILARITIES = (0.98, 0.985, 0.99, 0.993, 0.995, 0.996, 0.997)
COPIES = 100
_LONGEST = 1024

_Picture = Image.Image


@dataclass(frozen=True)
class _Counted:
    """A set of pictures.

    Attributes:
        name: of the set.
        count: of the pairs of different pictures.
        pairs: how many of them reach each similarity.
        copies: the share that reaches each similarity, by the alteration.
    """

    name: str
    count: int
    pairs: Sequence[int]
    copies: Mapping[str, Sequence[float]]


def main(options: Sequence[str] = ()) -> list[Table]:
    """In each cell the demo's faces, its items, and a folder of photos if there is one."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks duplicates")
    parser.add_argument("--photos", type=Path, help="a folder of photos of which no two are alike")
    photos: Path | None = parser.parse_args(options).photos
    embedder = Embedder(ImageLimits(), len(os.sched_getaffinity(0)))
    encoder = OpenVinoEncoder(SHIPPED_ENCODER)

    def embed(files: Sequence[bytes]) -> Vectors:
        found = embedder.embed_all(encoder, [(data, "picture") for data in files])
        return np.stack([image.embedding for image in found if not isinstance(image, Exception)])

    with tempfile.TemporaryDirectory() as folder:
        faces, items = Path(folder, "faces"), Path(folder, "items")
        draw_faces(faces, seed=0)
        draw_items(items, seed=0)
        sets = [_counted("faces", faces, embed), _counted("items", items, embed)]
    if photos is not None:
        sets.append(_counted("photos", photos, embed))
    embedder.close()
    return [_table(sets)]


def _table(sets: Sequence[_Counted]) -> Table:
    counts = ", ".join(str(one.count) for one in sets)
    rows = [[f"pairs of different pictures, of {counts}", *_merged(one.pairs for one in sets)]]
    for name in _ALTERATIONS:
        shares = ([f"{100 * share:.0f}" for share in one.copies[name]] for one in sets)
        rows.append([name, *(f"{cell} %" for cell in _merged(shares))])
    title = f"Altered copies and other pictures: {', '.join(one.name for one in sets)}"
    return Table("duplicates", title, ["cosine at least", *map(str, SIMILARITIES)], rows)


def _merged(cells: Iterable[Sequence[object]]) -> list[str]:
    return [", ".join(map(str, several)) for several in zip(*cells, strict=True)]


def _counted(name: str, folder: Path, embed: Callable[[Sequence[bytes]], Vectors]) -> _Counted:
    paths = sorted(p for p in folder.rglob("*") if p.suffix in (".jpg", ".jpeg", ".png", ".tiff"))
    vectors = embed([path.read_bytes() for path in paths])
    pairs = (vectors @ vectors.T)[np.triu_indices(len(vectors), 1)]
    alike = [int((pairs >= s).sum()) for s in SIMILARITIES]
    chosen = random.Random(0).sample(range(len(paths)), min(COPIES, len(paths)))
    originals = [_opened(paths[place]) for place in chosen]
    shares = {}
    for alteration, alter in _ALTERATIONS.items():
        copies = embed([alter(picture) for picture in originals])
        cosines = (copies * vectors[chosen]).sum(axis=1)
        shares[alteration] = [float((cosines >= s).mean()) for s in SIMILARITIES]
    return _Counted(name, len(pairs), alike, shares)


def _opened(path: Path) -> _Picture:
    picture = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
    picture.thumbnail((_LONGEST, _LONGEST))
    return picture


def _file(picture: _Picture, quality: int | None = None) -> bytes:
    out = io.BytesIO()
    if quality is None:
        picture.save(out, "PNG")
    else:
        picture.save(out, "JPEG", quality=quality)
    return out.getvalue()


def _scaled(picture: _Picture, share: float) -> _Picture:
    size = round(picture.width * share), round(picture.height * share)
    return picture.resize(size, Image.Resampling.LANCZOS)


def _cropped(picture: _Picture, share: float) -> _Picture:
    return ImageOps.crop(picture, round(min(picture.size) * share / 2))


_ALTERATIONS: dict[str, Callable[[_Picture], bytes]] = {
    "JPEG, quality 90": lambda picture: _file(picture, 90),
    "JPEG, quality 75": lambda picture: _file(picture, 75),
    "JPEG, quality 60": lambda picture: _file(picture, 60),
    "half the width": lambda picture: _file(_scaled(picture, 0.5)),
    "half the width, JPEG, quality 75": lambda picture: _file(_scaled(picture, 0.5), 75),
    "2 % cropped": lambda picture: _file(_cropped(picture, 0.02)),
    "5 % cropped": lambda picture: _file(_cropped(picture, 0.05)),
    "10 % cropped": lambda picture: _file(_cropped(picture, 0.1)),
    "10 % brighter": lambda picture: _file(ImageEnhance.Brightness(picture).enhance(1.1)),
    "mirrored": lambda picture: _file(ImageOps.mirror(picture)),
}
