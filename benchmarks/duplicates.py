"""Which similarity tells altered copies of a picture from other pictures."""

from __future__ import annotations

import argparse
import io
import os
import random
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

from benchmarks.timing import table
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


def main(options: Sequence[str] = ()) -> str:
    """A table for the demo's faces and items, and for a folder of photos if there is one."""
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
        tables = [_table("Demo faces", faces, embed), _table("Demo items", items, embed)]
    if photos is not None:
        tables.append(_table("Photos", photos, embed))
    embedder.close()
    return "\n\n".join(tables)


def _table(title: str, folder: Path, embed: Callable[[Sequence[bytes]], Vectors]) -> str:
    paths = sorted(p for p in folder.rglob("*") if p.suffix in (".jpg", ".jpeg", ".png", ".tiff"))
    vectors = embed([path.read_bytes() for path in paths])
    pairs = (vectors @ vectors.T)[np.triu_indices(len(vectors), 1)]
    rows = [["pairs of different pictures", *(str((pairs >= s).sum()) for s in SIMILARITIES)]]
    chosen = random.Random(0).sample(range(len(paths)), min(COPIES, len(paths)))
    originals = [_opened(paths[place]) for place in chosen]
    for name, alter in _ALTERATIONS.items():
        copies = embed([alter(picture) for picture in originals])
        cosines = (copies * vectors[chosen]).sum(axis=1)
        rows.append([name, *(f"{(cosines >= s).mean():.0%}" for s in SIMILARITIES)])
    header = ["cosine at least", *map(str, SIMILARITIES)]
    return f"{title}: {len(paths)} pictures, {len(pairs)} pairs\n\n" + table(header, rows)


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
