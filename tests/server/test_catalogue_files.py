"""Copies while items are written, and room that is given back."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from item_records import DATABASE, everything, known, opened, random_record

DIMENSION = 300
COUNT = 2000


def test_a_copy_is_of_one_moment_while_items_are_written(tmp_path: Path) -> None:
    dice = np.random.default_rng(0)
    catalogue = opened(tmp_path, DIMENSION)
    for start in range(0, COUNT, 500):
        catalogue.upsert([random_record(dice, f"{start + n:05}", DIMENSION) for n in range(500)])
    ended = threading.Event()
    counter = "counter-a", "counter-b"

    def write() -> None:
        while not ended.is_set():
            catalogue.upsert(
                [random_record(dice, name, DIMENSION, content="vector") for name in counter]
                + [random_record(dice, f"{int(dice.integers(COUNT)):05}", DIMENSION)]
            )

    catalogue.upsert([random_record(dice, name, DIMENSION) for name in counter])
    writer = threading.Thread(target=write)
    writer.start()
    shares: list[float] = []
    try:
        target = tmp_path / "copy" / DATABASE
        target.parent.mkdir()
        before = catalogue.generation
        catalogue.backup(target, shares.append)
        after = catalogue.generation
    finally:
        ended.set()
        writer.join()
    catalogue.close()
    assert [path.name for path in target.parent.iterdir()] == [DATABASE]
    assert shares == sorted(shares)
    assert shares[-1] == 1
    copy = opened(target, DIMENSION)
    assert before <= copy.generation <= after
    contents = everything(copy)
    assert len(contents) == COUNT + 2
    # Both are always written together.
    versions = copy.items(counter)
    assert abs(versions[counter[0]].version - versions[counter[1]].version) == 1
    copy.close()


def test_a_copy_that_is_cut_short_leaves_nothing(tmp_path: Path) -> None:
    catalogue = opened(tmp_path, DIMENSION)
    catalogue.upsert([random_record(np.random.default_rng(0), "a", DIMENSION)])

    def stop(share: float) -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        catalogue.backup(tmp_path / "copy.sqlite3", stop)
    assert not list(tmp_path.glob("copy*"))
    # Nothing is held: writes and copies go on.
    catalogue.upsert([random_record(np.random.default_rng(1), "a", DIMENSION)])
    catalogue.backup(tmp_path / "copy.sqlite3", lambda share: None)
    catalogue.close()


def test_the_room_of_deleted_items_goes_back_to_the_disk(tmp_path: Path) -> None:
    dice = np.random.default_rng(0)
    catalogue = opened(tmp_path, DIMENSION)
    records = [random_record(dice, f"{n:05}", DIMENSION) for n in range(COUNT)]
    catalogue.upsert(records)
    assert not catalogue.reclaim()
    full = _allocated(tmp_path)
    catalogue.delete([record.id for record in records if int(record.id) % 4])
    steps = 1
    while catalogue.reclaim():
        steps += 1
    assert 1 < steps < 20
    wanted = {record.id: known(record) for record in records if not int(record.id) % 4}
    assert everything(catalogue) == wanted
    catalogue.close()
    assert (tmp_path / DATABASE).stat().st_size < 0.4 * full
    again = opened(tmp_path, DIMENSION)
    assert everything(again) == wanted
    again.close()


def _allocated(folder: Path) -> int:
    return sum((folder / f"{DATABASE}{end}").stat().st_size for end in ("", "-wal"))
