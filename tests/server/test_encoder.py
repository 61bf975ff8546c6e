"""OpenVINO against the same sums in numpy."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tashihiki.errors import FailedPreconditionError
from tashihiki_server.encoder.manifest import read_manifest
from tashihiki_server.encoder.openvino import OpenVinoEncoder
from tiny_encoder import DIMENSION, SIZE, tiny_embedding, write_tiny_encoder

# Where the processor has bf16 units, each number keeps 8 bits.
MIN_COSINE = 0.9999


@pytest.fixture(scope="module")
def encoder(tiny_encoder_bundle: Path) -> OpenVinoEncoder:
    return OpenVinoEncoder(tiny_encoder_bundle)


@pytest.fixture(scope="module")
def pixels() -> NDArray[np.uint8]:
    random = np.random.default_rng(0)
    noise = random.integers(0, 256, (20, SIZE, SIZE, 3), dtype=np.uint8)
    flat = random.integers(0, 256, (20, 1, 1, 3), dtype=np.uint8).repeat(SIZE, 1).repeat(SIZE, 2)
    return np.concatenate([noise, flat, np.zeros_like(noise[:1]), np.full_like(noise[:1], 255)])


def test_it_agrees_with_numpy(encoder: OpenVinoEncoder, pixels: NDArray[np.uint8]) -> None:
    wanted = np.array([tiny_embedding(one) for one in pixels])
    cosines = (encoder.embed(pixels) * wanted).sum(axis=1)
    assert cosines.min() >= MIN_COSINE
    # The oracle tells pictures apart, so agreement with it means something.
    others = wanted @ wanted.T - 2 * np.eye(len(wanted))
    assert others.min() < MIN_COSINE - 0.05


def test_embeddings_are_positive_and_of_unit_length(
    encoder: OpenVinoEncoder, pixels: NDArray[np.uint8]
) -> None:
    found = encoder.embed(pixels)
    assert found.shape == (len(pixels), DIMENSION)
    assert found.dtype == np.float32
    assert (found >= 0).all()
    assert np.abs(np.linalg.norm(found.astype(np.float64), axis=1) - 1).max() < 1e-6


def test_a_picture_embeds_alike_alone_and_in_company(
    encoder: OpenVinoEncoder, pixels: NDArray[np.uint8]
) -> None:
    together = encoder.embed(pixels)
    for number, picture in enumerate(pixels):
        assert (encoder.embed(picture[None])[0] == together[number]).all()


def test_many_threads_get_the_answers_of_one(
    tiny_encoder_bundle: Path, pixels: NDArray[np.uint8]
) -> None:
    fresh = OpenVinoEncoder(tiny_encoder_bundle)
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda n: (n, fresh.embed(pixels[n : n + 1])[0]), [*range(42)] * 20))
    alone = fresh.embed(pixels)
    assert all((vector == alone[number]).all() for number, vector in found)


def test_views_that_are_not_contiguous_are_read_rightly(
    encoder: OpenVinoEncoder, pixels: NDArray[np.uint8]
) -> None:
    mirrored = pixels[:4, :, ::-1]
    assert (encoder.embed(mirrored) == encoder.embed(np.ascontiguousarray(mirrored))).all()
    assert (encoder.embed(pixels[:8:2]) == encoder.embed(pixels[:8])[::2]).all()


def test_no_pictures_give_no_embeddings(encoder: OpenVinoEncoder) -> None:
    assert encoder.embed(np.empty((0, SIZE, SIZE, 3), np.uint8)).shape == (0, DIMENSION)


def test_a_model_that_is_no_onnx_is_refused(tmp_path: Path) -> None:
    write_tiny_encoder(tmp_path / "bad")
    (tmp_path / "bad" / "encoder.onnx").write_bytes(b"not a model")
    with pytest.raises(FailedPreconditionError) as caught:
        OpenVinoEncoder(tmp_path / "bad")
    assert caught.value.reason == "ENCODER_INVALID"


def test_the_fingerprint_follows_what_decides_the_vectors(tmp_path: Path) -> None:
    first = write_tiny_encoder(tmp_path / "a", name="a")
    assert read_manifest(tmp_path / "a") == first
    assert write_tiny_encoder(tmp_path / "b", name="a").fingerprint == first.fingerprint
    # The graph carries its name, so its bytes differ.
    assert write_tiny_encoder(tmp_path / "c", name="c").fingerprint != first.fingerprint
