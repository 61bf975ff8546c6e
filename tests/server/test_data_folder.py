"""The format of a data folder, and the way from an older one to the newest."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from server_process import fill_disk, small_disk
from tashihiki.errors import FailedPreconditionError
from tashihiki_server.data_folder import FORMAT, UPGRADES, bring_up_to_date, read_format


def _of_format(folder: Path, number: int) -> Path:
    (folder / "collections").mkdir(parents=True)
    (folder / "format.json").write_text(json.dumps({"format": number}))
    return folder


def _note(folder: Path, line: str) -> None:
    with (folder / "steps").open("a") as file:
        file.write(f"{line}\n")


def _notes(folder: Path) -> list[str]:
    return (folder / "steps").read_text().splitlines()


def test_there_is_a_way_from_every_format_that_was_released() -> None:
    assert sorted(UPGRADES) == list(range(1, FORMAT))


def test_a_new_folder_has_the_newest_format(tmp_path: Path) -> None:
    bring_up_to_date(tmp_path)
    assert read_format(tmp_path) == FORMAT


def test_an_older_folder_takes_every_step_once(tmp_path: Path) -> None:
    folder = _of_format(tmp_path / "data", 1)
    steps = {n: lambda where, n=n: _note(where, f"{n}") for n in (1, 2, 3)}
    bring_up_to_date(folder, 4, steps)
    assert (read_format(folder), _notes(folder)) == (4, ["1", "2", "3"])
    bring_up_to_date(folder, 4, steps)
    assert _notes(folder) == ["1", "2", "3"]


def test_a_step_that_was_cut_short_is_taken_again(tmp_path: Path) -> None:
    folder = _of_format(tmp_path / "data", 1)

    def break_off(where: Path) -> None:
        _note(where, "two begun")
        raise KeyboardInterrupt

    first = {1: lambda where: _note(where, "one"), 2: break_off}
    with pytest.raises(KeyboardInterrupt):
        bring_up_to_date(folder, 3, first)
    assert read_format(folder) == 2
    bring_up_to_date(folder, 3, {**first, 2: lambda where: _note(where, "two")})
    assert (read_format(folder), _notes(folder)) == (3, ["one", "two begun", "two"])


@pytest.mark.parametrize("number", [0, -1, FORMAT + 1])
def test_a_format_without_a_way_from_it_is_left_alone(tmp_path: Path, number: int) -> None:
    folder = _of_format(tmp_path / "data", number)
    with pytest.raises(FailedPreconditionError) as caught:
        bring_up_to_date(folder)
    assert (caught.value.reason, caught.value.field) == ("DATA_FOLDER_FORMAT", "data")
    assert f"has format {number}" in caught.value.message
    assert read_format(folder) == number


@pytest.mark.parametrize("content", [None, "", "{", "[]", '{"format": true}', '{"format": "1"}'])
def test_collections_of_an_unknown_format_are_not_guessed_at(
    tmp_path: Path, content: str | None
) -> None:
    folder = _of_format(tmp_path / "data", 1)
    path = folder / "format.json"
    path.unlink() if content is None else path.write_text(content)
    with pytest.raises(FailedPreconditionError) as caught:
        bring_up_to_date(folder)
    assert caught.value.reason == "DATA_FOLDER_FORMAT"
    assert f'{{"format": {FORMAT}}}' in caught.value.remedy
    assert path.exists() == (content is not None)


def test_without_room_no_half_format_is_left(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "size=1m") as disk:
        filler = fill_disk(disk)
        with pytest.raises(FailedPreconditionError) as caught:
            bring_up_to_date(disk)
        assert caught.value.reason == "DATA_FOLDER_UNUSABLE"
        assert list(disk.iterdir()) == [filler]
        filler.unlink()
        bring_up_to_date(disk)
        assert read_format(disk) == FORMAT
