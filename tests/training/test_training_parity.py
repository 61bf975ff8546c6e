"""One photo, one embedding: as training reads and embeds it, and as a server does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from serving import Served, serving
from shipped_network import shipped_network
from tashihiki.v1 import catalog_pb2
from tashihiki_server.dataset import Photo
from tashihiki_server.library import Library
from tashihiki_training.pixels import load_pictures

MIN_COSINE = 0.999
UPSIDE_DOWN = 3


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> list[Photo]:
    """Photos of every kind that is decoded in a way of its own."""
    folder = tmp_path_factory.mktemp("photos")
    exif = Image.Exif()
    exif[0x0112] = UPSIDE_DOWN
    scene(1, 800, 1400).save(folder / "portrait.jpg", quality=80)
    scene(2, 4000, 3000).save(folder / "camera.jpg", quality=80, exif=exif)
    scene(3, 800, 600).save(folder / "progressive.jpg", progressive=True)
    scene(4, 500, 300).convert("L").save(folder / "grey.png")
    scene(5, 120, 90).save(folder / "small.webp", lossless=True)
    clear = scene(6, 400, 400)
    clear.putalpha(scene(7, 400, 400).convert("L"))
    clear.save(folder / "clear.png")
    return [Photo(path.name, path) for path in sorted(folder.iterdir())]


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server with the shipped encoder."""
    library = Library(tmp_path_factory.mktemp("parity") / "data")
    library.create("photos")
    try:
        with serving(library) as running:
            yield running
    finally:
        library.close()


def scene(seed: int, width: int, height: int) -> Image.Image:
    """Patches of colour under grain."""
    random = np.random.default_rng(seed)
    patches = Image.fromarray(random.integers(0, 256, (5, 7, 3), dtype=np.uint8))
    shades = np.asarray(patches.resize((width, height), Image.Resampling.BICUBIC))
    grain = random.integers(-25, 26, (height, width, 1))
    return Image.fromarray((shades + grain).clip(0, 255).astype(np.uint8))


def served(shipped: Served, photos: list[Photo]) -> NDArray[np.float32]:
    answer = shipped.catalog.Embed(
        catalog_pb2.EmbedRequest(
            collection="photos", images=[photo.path.read_bytes() for photo in photos]
        )
    )
    return np.array([vector.values for vector in answer.vectors], dtype=np.float32)


def trained(photos: list[Photo], scratch: Path) -> NDArray[np.float32]:
    pictures = load_pictures(photos, 224, scratch)
    assert [photo.id for photo in pictures.photos] == [photo.id for photo in photos]
    with torch.inference_mode():
        embeddings: NDArray[np.float32] = shipped_network()(
            torch.from_numpy(np.array(pictures.pixels))
        ).numpy()
    return embeddings


def test_training_and_server_see_the_same_in_every_photo(
    shipped: Served, photos: list[Photo], tmp_path: Path
) -> None:
    ours, theirs = trained(photos, tmp_path / "pixels.npy"), served(shipped, photos)
    similarities = ours @ theirs.T
    alike = dict(zip([photo.id for photo in photos], similarities.diagonal(), strict=True))
    assert {name: cosine for name, cosine in alike.items() if cosine < MIN_COSINE} == {}
    # What the photos have in common would not pass.
    assert (similarities - np.eye(len(photos))).max() < MIN_COSINE
