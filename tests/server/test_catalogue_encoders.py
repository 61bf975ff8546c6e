"""Embeddings of several encoders beside each other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from item_records import ENCODER, everything, opened, random_record
from tashihiki.errors import FailedPreconditionError
from tashihiki_server.catalogue.base import ItemRecord

OLD, NEW = 4, 6
OTHER = "fedcba9876543210"


def vector(
    dice: np.random.Generator, dimension: int = NEW
) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    drawn: np.ndarray[tuple[int], np.dtype[np.float32]] = dice.random(dimension).astype(np.float32)
    return drawn


def test_embeddings_of_another_encoder_are_made_and_taken_over(tmp_path: Path) -> None:
    dice = np.random.default_rng(0)
    old = opened(tmp_path, OLD)
    ids = [f"i{number:02}" for number in range(50)]
    old.upsert([random_record(dice, name, OLD) for name in ids])
    before = everything(old)
    assert sorted(old.without_embedding(OTHER, 1000)) == ids
    wanted: dict[str, bytes] = {}

    def step(limit: int) -> bool:
        lacking = old.without_embedding(OTHER, limit)
        pictures = old.pictures(lacking)
        made = {name: (pictures[name][0], vector(dice)) for name in lacking}
        old.write_embeddings(OTHER, made)
        wanted.update({name: made[name][1].tobytes() for name in lacking})
        return bool(lacking)

    for _ in range(3):
        step(10)
    assert sorted([*wanted, *old.without_embedding(OTHER, 1000)]) == ids
    assert everything(old) == before
    # Other labels leave the embeddings, another picture takes them all away.
    labelled, replaced, deleted = sorted(wanted)[:3]
    old.upsert([ItemRecord(labelled, {"colour": "new"})])
    old.upsert([random_record(dice, replaced, OLD)])
    old.delete([deleted])
    assert replaced in old.without_embedding(OTHER, 1000)
    assert labelled not in old.without_embedding(OTHER, 1000)
    # A version that is no longer the item's is passed over, and so is an item that has gone.
    stale = old.pictures([replaced])[replaced][0] - 1
    old.write_embeddings(OTHER, {replaced: (stale, vector(dice)), deleted: (1, vector(dice))})
    assert replaced in old.without_embedding(OTHER, 1000)
    while step(7):
        pass
    del wanted[deleted]
    now = everything(old)
    old.close()

    new = opened(tmp_path, NEW, OTHER)
    switched = everything(new)
    assert {name: item.vector for name, item in switched.items()} == wanted
    assert all(item.attributes == now[name].attributes for name, item in switched.items())
    assert new.without_embedding(ENCODER, 1000) == []
    new.upsert([random_record(dice, labelled, NEW)])
    assert new.without_embedding(ENCODER, 1000) == [labelled]
    new.drop_embeddings(ENCODER)
    new.drop_embeddings(ENCODER)
    assert sorted(new.without_embedding(ENCODER, 1000)) == sorted(wanted)
    assert everything(new).keys() == wanted.keys()
    new.close()
    with pytest.raises(FailedPreconditionError) as caught:
        everything(opened(tmp_path, OLD))
    assert caught.value.reason == "CATALOGUE_DAMAGED"


def test_embeddings_can_be_made_again(tmp_path: Path) -> None:
    dice = np.random.default_rng(0)
    catalogue = opened(tmp_path, OLD)
    (version,) = catalogue.upsert([random_record(dice, "a", OLD)])
    for _ in range(2):
        made = vector(dice)
        catalogue.write_embeddings(OTHER, {"a": (version, made)})
    catalogue.close()
    other = opened(tmp_path, NEW, OTHER)
    assert everything(other)["a"].vector == made.tobytes()
    other.close()


def test_an_incomplete_catalogue_passes_over_what_is_not_embedded_yet(tmp_path: Path) -> None:
    dice = np.random.default_rng(0)
    serving = opened(tmp_path, OLD)
    serving.upsert([random_record(dice, name, OLD) for name in "abcd"])
    coming = opened(tmp_path, NEW, OTHER, incomplete=True)
    assert list(coming.labels()) == []
    assert list(coming.embeddings()) == []
    versions = {name: version for name, (version, _) in serving.pictures(list("bd")).items()}
    made = {name: vector(dice) for name in "bd"}
    serving.write_embeddings(OTHER, {name: (versions[name], made[name]) for name in "bd"})
    assert [item.id for item in coming.labels()] == ["b", "d"]
    assert {item.id: item.embedding.tobytes() for item in coming.embeddings()} == {
        name: embedding.tobytes() for name, embedding in made.items()
    }
    assert coming.vectors(list("abcd")).keys() == {"b", "d"}
    assert coming.items(list("abcd")).keys() == set("abcd")
    coming.expect_complete(True)
    for reading in (coming.labels, coming.embeddings, lambda: coming.vectors(["a"])):
        with pytest.raises(FailedPreconditionError) as caught:
            list(reading())
        assert caught.value.reason == "CATALOGUE_DAMAGED"
    serving.delete(["a", "c"])
    # Both write to the one file, by turns.
    coming.upsert([random_record(dice, "b", NEW)])
    serving.upsert([random_record(dice, "e", OLD)])
    coming.delete(["b", "e"])
    assert everything(coming).keys() == {"d"}
    assert everything(serving).keys() == {"d"}
    coming.close()
    serving.close()


def test_the_encoder_in_use_is_not_written_from_beside(tmp_path: Path) -> None:
    catalogue = opened(tmp_path, OLD)
    with pytest.raises(ValueError, match="own encoder"):
        catalogue.drop_embeddings(ENCODER)
    with pytest.raises(ValueError, match="own encoder"):
        catalogue.write_embeddings(ENCODER, {})
    catalogue.close()
