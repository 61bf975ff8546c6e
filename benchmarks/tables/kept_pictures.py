"""How near the embeddings of kept pictures are to those of the photos they were made of."""

from __future__ import annotations

import argparse
import random
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.results import Table
from tashihiki_server.demo.gallery import draw_faces, draw_items
from tashihiki_server.encoder.embedder import Embedder
from tashihiki_server.encoder.openvino import OpenVinoEncoder
from tashihiki_server.images import ImageLimits, decode, thumbnail
from tashihiki_server.library import SHIPPED_ENCODER

EDGES = (192, 224, 256, 288)
QUALITIES = (85, 90, 92)
PHOTOS = 100


def main(options: Sequence[str] = ()) -> list[Table]:
    """A table for the demo's pictures, and for a folder of photos if there is one."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks kept_pictures")
    parser.add_argument("--photos", type=Path, help="a folder of photos")
    photos: Path | None = parser.parse_args(options).photos
    with tempfile.TemporaryDirectory() as folder:
        draw_faces(Path(folder, "faces"), seed=0)
        draw_items(Path(folder, "items"), seed=0)
        tables = [_table("Demo", Path(folder))]
    if photos is not None:
        tables.append(_table("Photos", photos))
    return tables


def _table(title: str, folder: Path) -> Table:
    paths = sorted(p for p in folder.rglob("*") if p.suffix in (".jpg", ".jpeg", ".png", ".tiff"))
    files = [path.read_bytes() for path in random.Random(0).sample(paths, min(PHOTOS, len(paths)))]
    embedder, encoder = Embedder(ImageLimits(), 1), OpenVinoEncoder(SHIPPED_ENCODER)
    size = encoder.manifest.input_size
    first = np.stack([embedder.embed(encoder, data, "picture") for data in files])
    others = first @ first.T - 2 * np.eye(len(first))
    rows = []
    for edge in EDGES:
        decoded = [decode(data, max(size, edge), ImageLimits()) for data in files]
        for quality in QUALITIES:
            kept = [thumbnail(picture, edge, quality) for picture in decoded]
            again = np.stack([embedder.embed(encoder, jpeg, "picture") for jpeg in kept])
            cosines = (first * again).sum(axis=1)
            rows.append(
                [
                    f"{edge}",
                    f"{quality}",
                    f"{np.mean([len(jpeg) for jpeg in kept]) / 1024:.1f}",
                    f"{cosines.mean():.4f}",
                    f"{np.percentile(cosines, 5):.4f}",
                ]
            )
    embedder.close()
    header = ["edge", "JPEG quality", "KiB, mean", "cosine, mean", "5th percentile"]
    note = f"the nearest other picture has {others.max(axis=1).mean():.4f} on average"
    return Table(title.lower(), f"{title}: {len(files)} pictures; {note}", header, rows)
