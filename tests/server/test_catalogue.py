"""The catalogue by itself: whatever is written, changed and deleted is what is read."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from item_records import Known, everything, known, opened, random_record, same_pictures
from tashihiki.errors import AbortedError, NotFoundError
from tashihiki_server.catalogue.base import ItemRecord
from tashihiki_server.catalogue.sqlite import SqliteCatalogue

DIMENSION = 6
IDS = [f"i{number}" for number in range(40)]


@pytest.fixture
def catalogue(tmp_path: Path) -> Iterator[SqliteCatalogue]:
    made = opened(tmp_path, DIMENSION)
    yield made
    made.close()


@pytest.mark.parametrize("seed", range(4))
def test_any_writes_are_read_back_also_by_the_next_process(tmp_path: Path, seed: int) -> None:
    dice = np.random.default_rng(seed)
    contents: dict[str, Known] = {}
    versions: dict[str, int] = {}
    last: dict[str, ItemRecord] = {}
    generation = highest = 0
    catalogue = opened(tmp_path, DIMENSION)
    for turn in range(60):
        some = sorted(dice.choice(IDS, size=dice.integers(1, 12), replace=False).tolist())
        if dice.random() < 0.25:
            catalogue.delete(some)
            for name in some:
                for table in (contents, versions, last):
                    table.pop(name, None)
        else:
            records = []
            for name in some:
                again = last.get(name)
                if again is not None and dice.random() < 0.3:
                    records.append(again)
                    continue
                content = "none" if name in contents and dice.random() < 0.3 else ""
                records.append(random_record(dice, name, DIMENSION, content=content))
            if len(records) > 1 and records[0].image_sha256 and records[1].embedding is not None:
                records[1] = replace(records[0], id=records[1].id)
            wrote = catalogue.upsert(records)
            for record, version in zip(records, wrote, strict=True):
                item = known(record, contents.get(record.id))
                unchanged = contents.get(record.id) == item
                assert (version == versions.get(record.id)) == unchanged
                assert unchanged or version > highest
                contents[record.id], versions[record.id], last[record.id] = item, version, record
            highest = max([highest, *wrote])
        assert catalogue.generation >= generation
        generation = catalogue.generation
        if turn % 10 == 9:
            catalogue.close()
            catalogue = opened(tmp_path, DIMENSION)
            assert catalogue.generation == generation
        if turn % 5 == 4:
            assert everything(catalogue, IDS) == contents
            assert sorted(catalogue.identical_images()) == same_pictures(contents)
            assert {i: item.version for i, item in catalogue.items(IDS).items()} == versions
    catalogue.close()
    assert contents


def test_what_is_the_same_is_not_written(catalogue: SqliteCatalogue) -> None:
    record = random_record(np.random.default_rng(0), "a", DIMENSION, content="image")
    (version,) = catalogue.upsert([record])
    before, generation = catalogue.items(["a"])["a"], catalogue.generation
    time.sleep(0.01)
    turned = ItemRecord("a", dict(reversed(record.attributes.items())), dict(record.metadata))
    assert catalogue.upsert([record]) == catalogue.upsert([turned]) == [version]
    assert catalogue.items(["a"])["a"] == before
    assert catalogue.generation == generation
    # Equal in Python, different in JSON.
    assert catalogue.upsert([replace(record, metadata={"sold": 1})]) != [version]
    (one,) = catalogue.upsert([replace(record, metadata={"sold": 1})])
    assert catalogue.upsert([replace(record, metadata={"sold": True})]) != [one]
    assert catalogue.items(["a"])["a"].metadata["sold"] is True
    after = catalogue.items(["a"])["a"]
    assert (after.create_time, after.etag != before.etag) == (before.create_time, True)
    assert after.update_time > before.update_time


def test_an_item_that_comes_back_has_a_version_of_its_own(catalogue: SqliteCatalogue) -> None:
    record = random_record(np.random.default_rng(0), "a", DIMENSION)
    (first,) = catalogue.upsert([record])
    catalogue.delete(["a", "never"])
    assert everything(catalogue, ["a"]) == {}
    (second,) = catalogue.upsert([record])
    assert second > first


def test_an_embedding_is_kept_only_with_the_picture_that_it_is_of(
    catalogue: SqliteCatalogue,
) -> None:
    dice = np.random.default_rng(0)
    record = random_record(dice, "a", DIMENSION, content="image")
    catalogue.upsert([record])
    kept = ItemRecord("a", {"colour": "new"}, image_sha256=record.image_sha256)
    catalogue.upsert([kept])
    contents = everything(catalogue)
    assert contents["a"].image_sha256 == record.image_sha256
    new = random_record(dice, "b", DIMENSION)
    for other in (replace(kept, image_sha256=bytes(32)), replace(kept, id="missing")):
        with pytest.raises(AbortedError) as caught:
            catalogue.upsert([new, other])
        assert caught.value.reason == "PICTURE_CHANGED"
    with pytest.raises(NotFoundError) as missing:
        catalogue.upsert([new, ItemRecord("missing", {})])
    assert missing.value.reason == "UNKNOWN_ITEM"
    with pytest.raises(ValueError, match="shape"):
        catalogue.upsert([new, replace(new, id="c", embedding=np.ones(DIMENSION + 1, np.float32))])
    assert everything(catalogue) == contents


def test_labels_are_of_one_moment_while_items_change(catalogue: SqliteCatalogue) -> None:
    dice = np.random.default_rng(0)
    count = 5000
    catalogue.upsert([random_record(dice, f"{n:05}", DIMENSION) for n in range(count)])
    ended = threading.Event()

    def write() -> None:
        turn = 0
        while not ended.is_set():
            turn += 1
            catalogue.delete([f"{turn % count:05}"])
            catalogue.upsert([random_record(dice, f"{(turn * 7) % count:05}", DIMENSION)])

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(3):
            found = [item.id for item in catalogue.labels()]
            assert found == sorted(found)
            assert count - 2000 < len(found) <= count
    finally:
        ended.set()
        writer.join()


def test_reading_that_a_close_overtakes_says_so(tmp_path: Path) -> None:
    catalogue = opened(tmp_path, DIMENSION)
    dice = np.random.default_rng(0)
    for start in range(0, 3000, 1000):
        catalogue.upsert([random_record(dice, f"{start + n:05}", DIMENSION) for n in range(1000)])
    labels, embeddings = catalogue.labels(), catalogue.embeddings()
    assert next(labels).id == next(embeddings).id == "00000"
    catalogue.close()
    for rest in (lambda: list(labels), lambda: list(embeddings)):
        with pytest.raises(NotFoundError) as caught:
            rest()
        assert caught.value.reason == "UNKNOWN_COLLECTION"
    with pytest.raises(NotFoundError):
        catalogue.upsert([])
