"""An import that was cut short goes on where it stopped; unchanged pictures are not decoded."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from calls import random_picture
from tashihiki_server.collection.collection import Collection
from tashihiki_server.dataset import Photo
from tashihiki_server.encoder.base import Encoder
from tashihiki_server.encoder.embedder import EmbeddedImage, Embedder
from tashihiki_server.images import ImageLimits
from tashihiki_server.indexing import Indexed, index_photos
from tashihiki_server.library import Library
from tiny_encoder import tiny_embedding

COUNT = 150


class _Counting(Embedder):
    """Counts the pictures that it embeds."""

    def __init__(self) -> None:
        super().__init__(ImageLimits(), 1)
        self.count = 0

    def embed_with_thumbnail(self, encoder: Encoder, data: bytes, field: str) -> EmbeddedImage:
        self.count += 1
        return super().embed_with_thumbnail(encoder, data, field)


@pytest.fixture
def photos(tmp_path: Path) -> list[Photo]:
    folder = tmp_path / "photos"
    folder.mkdir()
    found = []
    for number in range(COUNT):
        path = folder / f"{number:03}.png"
        path.write_bytes(random_picture(number)[1])
        found.append(Photo(path.name, path, {"n": f"{number % 3}"}, {"shot": f"{number}"}))
    return found


def _index(photos: list[Photo], collection: Collection) -> tuple[Indexed, int]:
    embedder = _Counting()
    try:
        # One thread, so that the count needs no lock.
        return index_photos(photos, collection, embedder, threads=1), embedder.count
    finally:
        embedder.close()


def _holds(collection: Collection, photos: list[Photo], seeds: dict[str, int]) -> None:
    stored = collection.catalogue.items([photo.id for photo in photos], thumbnails=True)
    for photo in photos:
        found = stored[photo.id]
        assert (found.attributes, found.metadata) == (photo.attributes, photo.metadata)
        assert found.thumbnail
        vector = collection.embedding(photo.id)
        assert vector is not None
        wanted = tiny_embedding(random_picture(seeds[photo.id])[0])
        np.testing.assert_allclose(vector, wanted, atol=1e-3)


def test_the_second_time_nothing_is_decoded_nor_written(
    library: Library, photos: list[Photo]
) -> None:
    collection = library.create("c")
    first, decoded = _index(photos, collection)
    assert (first.written, first.unchanged, first.skipped, decoded) == (COUNT, 0, [], COUNT)
    generation = collection.state.generation
    again, decoded = _index(photos, collection)
    assert (again.written, again.unchanged, again.skipped, decoded) == (COUNT, COUNT, [], 0)
    assert collection.state.generation == generation
    _holds(collection, photos, {photo.id: n for n, photo in enumerate(photos)})


def test_only_what_differs_is_written_and_only_new_pictures_are_decoded(
    library: Library, photos: list[Photo]
) -> None:
    collection = library.create("c")
    _index(photos, collection)
    seeds = {photo.id: n for n, photo in enumerate(photos)}
    versions = {i: s.version for i, s in collection.catalogue.items(list(seeds)).items()}
    photos[3].path.write_bytes(random_picture(903)[1])
    seeds[photos[3].id] = 903
    photos[5] = replace(photos[5], attributes={"n": "other"})
    photos[7] = replace(photos[7], metadata={})
    again, decoded = _index(photos, collection)
    assert (again.written, again.unchanged, decoded) == (COUNT, COUNT - 3, 1)
    _holds(collection, photos, seeds)
    after = {i: s.version for i, s in collection.catalogue.items(list(seeds)).items()}
    assert {i for i in seeds if after[i] != versions[i]} == {photos[n].id for n in (3, 5, 7)}


def test_a_damaged_thumbnail_is_made_again(
    library: Library, photos: list[Photo], tmp_path: Path
) -> None:
    collection = library.create("c")
    _index(photos, collection)
    with closing(sqlite3.connect(next(tmp_path.rglob("c/catalogue.sqlite3")))) as db, db:
        db.execute("UPDATE thumbnails SET jpeg = x'00' WHERE key = 4")
    again, decoded = _index(photos, collection)
    assert (again.written, again.unchanged, decoded) == (COUNT, COUNT - 1, 1)
    _holds(collection, photos, {photo.id: n for n, photo in enumerate(photos)})


def test_what_was_cut_short_goes_on(
    library: Library, photos: list[Photo], monkeypatch: pytest.MonkeyPatch
) -> None:
    collection = library.create("c")
    upsert, calls = Collection.upsert, 0

    def second_is_interrupted(self: Collection, *arguments: object, **options: object) -> object:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise KeyboardInterrupt
        return upsert(self, *arguments, **options)  # type: ignore[arg-type]

    with monkeypatch.context() as patched:
        patched.setattr(Collection, "upsert", second_is_interrupted)
        with pytest.raises(KeyboardInterrupt):
            _index(photos, collection)
    done = len(collection)
    assert 0 < done < COUNT
    again, decoded = _index(photos, collection)
    assert (again.written, again.unchanged, decoded) == (COUNT, done, COUNT - done)
    _holds(collection, photos, {photo.id: n for n, photo in enumerate(photos)})
