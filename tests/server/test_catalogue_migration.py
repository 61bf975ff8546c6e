"""Catalogues of the first release are taken over as they are."""

from __future__ import annotations

import json
import logging
import sqlite3
from pathlib import Path

import numpy as np
import pytest

from item_records import DATABASE, ENCODER, Known, everything, known, opened, random_record
from tashihiki.errors import FailedPreconditionError, ResourceExhaustedError
from tashihiki_server.catalogue import migration

DIMENSION = 30
COUNT = 2500
GENERATION, VERSION = 4321, 9876
_FIRST_SCHEMA = """
CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO counters VALUES ('generation', 0), ('version', 0);
CREATE TABLE items (
    key INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    attributes TEXT NOT NULL,
    metadata TEXT NOT NULL,
    create_time REAL NOT NULL,
    update_time REAL NOT NULL
);
CREATE TABLE embeddings (
    key INTEGER PRIMARY KEY REFERENCES items ON DELETE CASCADE,
    version INTEGER NOT NULL,
    encoder TEXT NOT NULL,
    vector BLOB NOT NULL
);
CREATE TABLE thumbnails (
    key INTEGER PRIMARY KEY REFERENCES items ON DELETE CASCADE,
    jpeg BLOB NOT NULL
);
"""


def write_first(folder: Path) -> tuple[dict[str, Known], dict[str, int]]:
    """Makes a catalogue as the first release did; returns its items and their versions."""
    dice = np.random.default_rng(0)
    database = sqlite3.connect(folder / DATABASE, isolation_level=None)
    database.execute("PRAGMA journal_mode = WAL")
    database.executescript(f"BEGIN; {_FIRST_SCHEMA} COMMIT;")
    contents, versions = {}, {}
    database.execute("BEGIN")
    for number, place in enumerate(dice.permutation(COUNT).tolist()):
        record = random_record(dice, f"i{place:04}", DIMENSION)
        item = known(record)
        contents[record.id] = Known(
            item.attributes, item.metadata, item.vector, item.thumbnail, b""
        )
        versions[record.id] = number + 1
        texts = [
            json.dumps(content, ensure_ascii=False, separators=(",", ":"))
            for content in (record.attributes, record.metadata)
        ]
        times = (1_700_000_000.25 + number, 1_700_000_100.5 + number)
        database.execute(
            "INSERT INTO items VALUES (?, ?, ?, ?, ?, ?)", (2 * number, record.id, *texts, *times)
        )
        database.execute(
            "INSERT INTO embeddings VALUES (?, ?, ?, ?)",
            (2 * number, number + 1, ENCODER, item.vector),
        )
        if record.thumbnail:
            database.execute("INSERT INTO thumbnails VALUES (?, ?)", (2 * number, record.thumbnail))
    database.execute("UPDATE counters SET value = ? WHERE name = 'generation'", (GENERATION,))
    database.execute("UPDATE counters SET value = ? WHERE name = 'version'", (VERSION,))
    database.execute("COMMIT")
    database.close()
    return contents, versions


def test_every_item_is_taken_over_with_its_version_and_times(tmp_path: Path) -> None:
    contents, versions = write_first(tmp_path)
    for turn in range(2):
        catalogue = opened(tmp_path, DIMENSION)
        assert everything(catalogue) == contents
        assert catalogue.generation == GENERATION
        items = catalogue.items(list(contents))
        assert {name: item.version for name, item in items.items()} == versions
        (first,) = [item for item in items.values() if item.version == 1]
        assert (first.create_time, first.update_time) == (1_700_000_000.25, 1_700_000_100.5)
        if turn:
            (version,) = catalogue.upsert(
                [random_record(np.random.default_rng(1), "i0000", DIMENSION)]
            )
            assert version > VERSION
            catalogue.delete(list(contents)[100:])
            # Freed room can go back to the disk, which first needed another order of the file.
            pages = (tmp_path / DATABASE).stat().st_size
            while catalogue.reclaim():
                pass
            catalogue.close()
            assert (tmp_path / DATABASE).stat().st_size < pages / 5
        catalogue.close()


def test_an_item_without_its_embedding_is_damage_and_changes_nothing(tmp_path: Path) -> None:
    write_first(tmp_path)
    database = sqlite3.connect(tmp_path / DATABASE, isolation_level=None)
    database.execute("DELETE FROM embeddings WHERE version = 2000")
    database.close()
    for _ in range(2):
        with pytest.raises(FailedPreconditionError) as caught:
            opened(tmp_path, DIMENSION)
        assert caught.value.reason == "CATALOGUE_DAMAGED"


def test_a_move_that_is_cut_short_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contents, _ = write_first(tmp_path)
    moved = 0

    def failing(*args: object) -> int:
        nonlocal moved
        moved += 1
        if moved == COUNT - 10:
            raise sqlite3.OperationalError("database or disk is full")
        return 0

    with monkeypatch.context() as patched:
        patched.setattr(migration, "item_checksum", failing)
        with pytest.raises(ResourceExhaustedError) as caught:
            opened(tmp_path, DIMENSION)
    assert caught.value.reason == "DISK_FULL"
    catalogue = opened(tmp_path, DIMENSION)
    assert everything(catalogue) == contents
    catalogue.close()


def test_a_newer_catalogue_is_refused(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    opened(tmp_path, DIMENSION).close()
    database = sqlite3.connect(tmp_path / DATABASE, isolation_level=None)
    database.execute("PRAGMA user_version = 99")
    database.close()
    with caplog.at_level(logging.INFO), pytest.raises(FailedPreconditionError) as caught:
        opened(tmp_path, DIMENSION)
    assert caught.value.reason == "CATALOGUE_UNREADABLE"
    assert "newer" in caught.value.message
