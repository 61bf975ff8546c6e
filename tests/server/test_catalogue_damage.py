"""Damaged files: what a catalogue then answers is what was written, or it says that it cannot."""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import sqlite3
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from item_records import (
    DATABASE,
    WITNESS,
    Known,
    everything,
    known,
    opened,
    random_record,
    same_pictures,
)
from tashihiki.errors import FailedPreconditionError, TashihikiError
from tashihiki_server.catalogue.base import WriteRequest
from tashihiki_server.catalogue.sqlite import SqliteCatalogue

DIMENSION = 40
COUNT = 120
FLIPS = 400
LOG = f"{DATABASE}-wal"
SHARED = f"{DATABASE}-shm"
REASONS = ("CATALOGUE_DAMAGED", "CATALOGUE_UNREADABLE")
# Writes until it is killed; each id is told once its item is acknowledged.
_WRITER = """
import sys
from pathlib import Path
import numpy as np
from item_records import opened, random_record
dice = np.random.default_rng(int(sys.argv[2]))
catalogue = opened(Path(sys.argv[1]), int(sys.argv[3]))
for number in range(100_000):
    name = f"w{number:06}"
    catalogue.upsert([random_record(dice, name, int(sys.argv[3]))])
    print(name, flush=True)
"""


def answer_to(request: WriteRequest) -> bytes:
    return b"answer to " + request.id.encode()


REQUESTS = [WriteRequest(f"r{number}", bytes([number])) for number in range(5)]


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Known]]:
    """A closed catalogue with free pages, and what is in it."""
    folder = tmp_path_factory.mktemp("sound")
    dice = np.random.default_rng(0)
    catalogue = opened(folder, DIMENSION)
    records = [random_record(dice, f"i{n:03}", DIMENSION) for n in dice.permutation(COUNT)]
    catalogue.upsert(records)
    twins = [random_record(dice, "i000", DIMENSION, content="image")]
    catalogue.upsert(twins)
    catalogue.upsert([type(twins[0])(**{**vars(twins[0]), "id": "i001"})])
    for request in REQUESTS:
        catalogue.delete(["i100"], request=request, answer=partial(answer_to, request))
    contents = everything(catalogue)
    catalogue.close()
    assert len(contents) == COUNT - 1
    return folder, contents


def truth_or_error(folder: Path, contents: dict[str, Known]) -> str:
    """The reason of the error, or "" where every answer is right."""
    try:
        catalogue = opened(folder, DIMENSION)
    except FailedPreconditionError as error:
        return _sound_error(error)
    try:
        # As a server does; after that every single answer counts.
        fault = _answer(lambda: {item.id for item in catalogue.labels()}, set(contents))
        if fault:
            return fault
        faults = [_answer(*asked) for asked in _questions(catalogue, contents)]
        return next((fault for fault in faults if fault), "")
    finally:
        catalogue.close()


def _questions(
    catalogue: SqliteCatalogue, contents: dict[str, Known]
) -> Iterator[tuple[Callable[[], object], object]]:
    """What is asked, and the answer."""
    ids = [*contents, "i100", "never"]
    for start in range(0, len(ids), 10):
        some = ids[start : start + 10]
        there = {name: contents[name] for name in some if name in contents}
        yield (
            partial(_items, catalogue, some),
            {i: (c.attributes, c.metadata, c.image_sha256, c.thumbnail) for i, c in there.items()},
        )
        yield partial(_vectors, catalogue, some), {i: c.vector for i, c in there.items()}
    yield partial(everything, catalogue), contents
    yield lambda: sorted(catalogue.identical_images()), same_pictures(contents)
    for request in REQUESTS:
        yield partial(catalogue.remembered, request), answer_to(request)


def _items(catalogue: SqliteCatalogue, ids: list[str]) -> dict[str, object]:
    return {
        i: (v.attributes, v.metadata, v.image_sha256, v.thumbnail)
        for i, v in catalogue.items(ids, thumbnails=True).items()
    }


def _vectors(catalogue: SqliteCatalogue, ids: list[str]) -> dict[str, bytes]:
    return {i: v.embedding.tobytes() for i, v in catalogue.vectors(ids).items()}


def _answer(call: Callable[[], object], wanted: object) -> str:
    try:
        found = call()
    except FailedPreconditionError as error:
        return _sound_error(error)
    assert found == wanted
    return ""


def _sound_error(error: TashihikiError) -> str:
    assert error.reason in REASONS
    assert error.remedy
    assert error.field
    return error.reason


def copied(source: Path, target: Path) -> Path:
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target)
    return target


def flip(path: Path, offset: int, bit: int) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ (1 << bit)]))


def flip_log(offset: int, bit: int, folder: Path) -> None:
    flip(folder / LOG, offset, bit)


def test_no_flipped_bit_of_the_database_makes_a_wrong_answer(
    sound: tuple[Path, dict[str, Known]], tmp_path: Path
) -> None:
    folder, contents = sound
    dice = np.random.default_rng(1)
    size = (folder / DATABASE).stat().st_size
    # The header of the file and of the schema's page, then anywhere.
    offsets = [*range(0, 108), *dice.integers(0, size, FLIPS).tolist()]
    noticed = 0
    copy = copied(folder, tmp_path / "copy")
    original = (folder / DATABASE).read_bytes()
    for offset in offsets:
        (copy / DATABASE).write_bytes(original)
        for end in (LOG, SHARED):
            (copy / end).unlink(missing_ok=True)
        flip(copy / DATABASE, offset, int(dice.integers(8)))
        noticed += bool(truth_or_error(copy, contents))
    # The rest lies in free room.
    assert noticed > FLIPS / 3


@pytest.mark.parametrize("size", ["nothing", "a page", "half", "all but a byte"])
def test_a_database_that_is_cut_is_damage(
    sound: tuple[Path, dict[str, Known]], tmp_path: Path, size: str
) -> None:
    folder, contents = sound
    copy = copied(folder, tmp_path / "copy")
    whole = (copy / DATABASE).stat().st_size
    left = {"nothing": 0, "a page": 4096, "half": whole // 2, "all but a byte": whole - 1}[size]
    os.truncate(copy / DATABASE, left)
    assert truth_or_error(copy, contents) in REASONS
    assert (copy / DATABASE).stat().st_size == left


def test_a_missing_database_is_not_made_anew(
    sound: tuple[Path, dict[str, Known]], tmp_path: Path
) -> None:
    folder, contents = sound
    copy = copied(folder, tmp_path / "copy")
    (copy / DATABASE).unlink()
    assert truth_or_error(copy, contents) == "CATALOGUE_DAMAGED"
    assert not (copy / DATABASE).exists()


def test_an_older_copy_is_noticed_and_can_be_insisted_on(tmp_path: Path) -> None:
    dice = np.random.default_rng(0)
    catalogue = opened(tmp_path, DIMENSION)
    record = random_record(dice, "a", DIMENSION)
    catalogue.upsert([record])
    catalogue.backup(tmp_path / "older", lambda share: None)
    catalogue.upsert([random_record(dice, "b", DIMENSION)])
    catalogue.close()
    shutil.copy(tmp_path / "older", tmp_path / DATABASE)
    with pytest.raises(FailedPreconditionError) as caught:
        opened(tmp_path, DIMENSION)
    assert caught.value.reason == "CATALOGUE_DAMAGED"
    assert WITNESS in caught.value.message
    (tmp_path / WITNESS).unlink()
    again = opened(tmp_path, DIMENSION)
    assert everything(again) == {"a": known(record)}
    again.close()


@pytest.mark.parametrize(
    "content", [b"", b"short", bytes(20), bytes(21), hashlib.sha256(b"noise").digest()[:20]]
)
def test_an_unreadable_witness_is_a_warning_and_written_again(
    sound: tuple[Path, dict[str, Known]],
    tmp_path: Path,
    content: bytes,
    caplog: pytest.LogCaptureFixture,
) -> None:
    folder, contents = sound
    copy = copied(folder, tmp_path / "copy")
    (copy / WITNESS).write_bytes(content)
    with caplog.at_level(logging.WARNING):
        assert truth_or_error(copy, contents) == ""
    assert WITNESS in caplog.text
    assert (copy / WITNESS).read_bytes() == (folder / WITNESS).read_bytes()


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM items WHERE id = 'i050'",
        "DELETE FROM embeddings WHERE key = (SELECT key FROM items WHERE id = 'i050')",
        "DELETE FROM thumbnails",
        "DELETE FROM requests WHERE id = 'r3'",
        "DELETE FROM ledger",
        "UPDATE items SET attributes = '{}' WHERE id = 'i050'",
        "UPDATE items SET version = version + 1 WHERE id = 'i050'",
        "UPDATE items SET image_sha256 = x'00' WHERE id = 'i050'",
        "UPDATE items SET id = 'i999' WHERE id = 'i050'",
        "UPDATE embeddings SET vector = zeroblob(length(vector)) WHERE place = 7",
        "UPDATE embeddings SET vector = x'00' WHERE place = 7",
        "UPDATE thumbnails SET jpeg = x'00'",
        "UPDATE requests SET answer = x'00'",
        "UPDATE ledger SET content = replace(content, '1', '2')",
        "INSERT INTO items SELECT key + 1000, 'j', version, attributes, metadata, image_sha256,"
        " create_time, update_time, thumbnail, checksum FROM items WHERE id = 'i050'",
        "DROP INDEX items_by_id",
        "ALTER TABLE items RENAME COLUMN metadata TO other",
        "CREATE TABLE more (x)",
        "PRAGMA user_version = 3",
    ],
)
def test_rows_that_others_change_are_noticed(
    sound: tuple[Path, dict[str, Known]], tmp_path: Path, statement: str
) -> None:
    folder, contents = sound
    copy = copied(folder, tmp_path / "copy")
    database = sqlite3.connect(copy / DATABASE, isolation_level=None)
    database.execute(statement)
    database.close()
    assert truth_or_error(copy, contents) in REASONS


def test_a_damaged_thumbnail_is_left_out_where_that_is_asked_for_and_mended_by_writing_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    dice = np.random.default_rng(0)
    catalogue = opened(tmp_path, DIMENSION)
    records = [random_record(dice, name, DIMENSION, content="image") for name in "abc"]
    versions = catalogue.upsert(records)
    contents = everything(catalogue)
    catalogue.close()
    with closing(sqlite3.connect(tmp_path / DATABASE)) as database, database:
        database.execute("UPDATE thumbnails SET jpeg = x'00' WHERE key = 1")
        database.execute("DELETE FROM thumbnails WHERE key = 2")
    catalogue = opened(tmp_path, DIMENSION)
    with pytest.raises(FailedPreconditionError, match="'a'") as caught:
        catalogue.items(["a", "c"], thumbnails=True)
    assert "again with its photo" in caught.value.remedy
    for _ in range(2):
        found = catalogue.items(["a", "b", "c"], thumbnails=True, lenient=True)
        assert {i: v.thumbnail for i, v in found.items()} == {
            **dict.fromkeys("ab", b""),
            "c": contents["c"].thumbnail,
        }
    assert [name for name in "abc" if caplog.text.count(f"picture of {name!r}") == 1] == ["a", "b"]
    again = catalogue.upsert(records)
    assert [now > before for now, before in zip(again, versions, strict=True)] == [
        True,
        True,
        False,
    ]
    assert everything(catalogue) == contents
    catalogue.close()


# After a kill, when the log holds writes


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A catalogue whose writer was killed, and the items that were acknowledged.

    The log ends with one of these: what is lost of a write that nobody was told of is no damage.
    """
    while True:
        folder = tmp_path_factory.mktemp("killed")
        told = write_and_kill(folder, 60, seed=0)
        catalogue = opened(copied(folder, folder.with_name(f"{folder.name}-seen")), DIMENSION)
        there = set(everything(catalogue))
        catalogue.close()
        if there == set(told):
            return folder, told


def write_and_kill(folder: Path, count: int, seed: int) -> list[str]:
    """Lets another process write, kills it after some answers; returns what it was told."""
    places = [str(Path(__file__).parents[1]), *sys.path]
    command = [sys.executable, "-c", _WRITER, str(folder), str(seed), str(DIMENSION)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(places)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        told = [process.stdout.readline().strip() for _ in range(count)]
        process.kill()
        told += process.stdout.read().split()
    return told


@pytest.mark.parametrize("seed", range(3))
def test_what_was_acknowledged_is_there_after_a_kill(tmp_path: Path, seed: int) -> None:
    told = write_and_kill(tmp_path, 5 + 20 * seed, seed)
    catalogue = opened(tmp_path, DIMENSION)
    contents = everything(catalogue)
    catalogue.close()
    assert set(told) <= set(contents)
    assert len(contents) <= len(told) + 1
    dice = np.random.default_rng(seed)
    for name in sorted(contents):
        assert contents[name] == known(random_record(dice, name, DIMENSION))


def after_harm(folder: Path, target: Path, harm: Callable[[Path], object]) -> set[str] | str:
    """The ids that a damaged copy has, or the reason of its error."""
    copy = copied(folder, target)
    harm(copy)
    try:
        catalogue = opened(copy, DIMENSION)
    except FailedPreconditionError as error:
        return _sound_error(error)
    try:
        return set(everything(catalogue))
    except FailedPreconditionError as error:
        return _sound_error(error)
    finally:
        catalogue.close()


@pytest.mark.parametrize(
    ("harm", "noticed"),
    [
        (lambda f: (f / LOG).unlink(), True),
        (lambda f: os.truncate(f / LOG, 0), True),
        (lambda f: os.truncate(f / LOG, 32), True),
        (lambda f: os.truncate(f / LOG, (f / LOG).stat().st_size // 2), True),
        (lambda f: os.truncate(f / LOG, (f / LOG).stat().st_size - 1), True),
        (lambda f: (f / SHARED).unlink(), False),
        (lambda f: (f / SHARED).write_bytes(os.urandom(32768)), False),
        (lambda f: os.truncate(f / SHARED, 100), False),
        (lambda f: (f / WITNESS).unlink(), False),
        (lambda f: os.truncate(f / WITNESS, 0), False),
        (lambda f: os.truncate(f / DATABASE, 0), True),
        (lambda f: (f / DATABASE).unlink(), True),
    ],
)
def test_a_log_that_lost_writes_is_damage(
    killed: tuple[Path, list[str]],
    tmp_path: Path,
    harm: Callable[[Path], object],
    noticed: bool,
) -> None:
    folder, told = killed
    found = after_harm(folder, tmp_path / "copy", harm)
    if noticed:
        assert found == "CATALOGUE_DAMAGED"
    else:
        assert set(told) <= set(found)


def test_no_flipped_bit_of_the_log_loses_a_write(
    killed: tuple[Path, list[str]], tmp_path: Path
) -> None:
    folder, told = killed
    dice = np.random.default_rng(2)
    size = (folder / LOG).stat().st_size
    reasons = []
    for offset in [*range(0, 32, 3), *dice.integers(0, size, 100).tolist()]:
        bit = int(dice.integers(8))
        found = after_harm(folder, tmp_path / "copy", partial(flip_log, offset, bit))
        if isinstance(found, str):
            reasons.append(found)
        else:
            assert set(told) <= found
    assert len(reasons) > 50


def test_the_witness_is_as_far_as_the_last_answer(killed: tuple[Path, list[str]]) -> None:
    folder, told = killed
    content = (folder / WITNESS).read_bytes()
    assert struct.unpack_from("<Q", content, 8)[0] >= len(told)
