"""What `tashihiki index` says of a catalogue."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from calls import random_picture
from photo_files import write_photo
from serving import Served
from tashihiki import FailedPreconditionError
from tashihiki_server.cli.index import command
from tashihiki_server.collection.collection import Collection
from tashihiki_server.library import Library


def index(source: Path, data: Path, *options: str) -> int | None:
    """Runs the command as the command line does; returns its exit code if it has one."""
    arguments = ["c", str(source), "--data", str(data), *options]
    code: int | None = command(args=arguments, prog_name="index", standalone_mode=False)
    return code


def write_table(folder: Path, count: int) -> Path:
    for number in range(count):
        write_photo(folder / "photos" / f"{number}.png")
    rows = "".join(f"{number}.png,red\n" for number in range(count))
    (folder / "t.csv").write_text(f"path,colour\n{rows}")
    return folder / "t.csv"


def write_goods(folder: Path) -> Path:
    """A table of 36 photos, sorted by the first of its two facets."""
    (folder / "photos").mkdir()
    rows = []
    for number in range(36):
        name = f"{number:02}.png"
        (folder / "photos" / name).write_bytes(random_picture(number)[1])
        rows.append(f"{name},c{number // 12},s{number % 3},{2000 + number}\n")
    (folder / "t.csv").write_text(f"path,colour,shape,year\n{''.join(rows)}")
    return folder / "t.csv"


@pytest.mark.parametrize("variable", ["", "search.example:50051"])
def test_a_folder_in_use_is_told_with_the_server_to_send_to(
    variable: str, tmp_path: Path, tiny_encoder_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TASHIHIKI_SERVER", variable)
    table = write_table(tmp_path, 1)
    library = Library(tmp_path / "data", tiny_encoder_bundle)
    with pytest.raises(FailedPreconditionError) as caught:
        index(table, tmp_path / "data", "--image-root", str(tmp_path / "photos"))
    library.close()
    assert caught.value.reason == "DATA_FOLDER_IN_USE"
    assert f"--server{variable and ' '}{variable}" in caught.value.remedy


def test_the_space_is_fitted_when_the_command_ends(
    tmp_path: Path, served: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    table = write_goods(tmp_path)
    options = ["--image-root", str(tmp_path / "photos")]
    assert not index(table, tmp_path / "data", *options, "--server", served.address)
    sent = capsys.readouterr().err
    collection = served.library.collection("c")
    assert (collection.state.space.kind, collection.space_pending) == ("factored", False)
    assert not index(table, tmp_path / "alone", *options)
    for said in (sent, capsys.readouterr().err):
        assert "fitting the space to 36 items …" in said
        assert "Facets are the columns whose values repeat: colour, shape." in said
        assert said.endswith("The space is fitted to 36 items.\n")


def test_the_space_need_not_be_waited_for(
    tmp_path: Path, served: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    table = write_goods(tmp_path)
    options = ["--image-root", str(tmp_path / "photos"), "--facet", "colour", "--facet", "shape"]
    assert not index(table, tmp_path, *options, "--server", served.address, "--no-wait")
    said = capsys.readouterr().err
    assert "The space is still being fitted; until it is, the plain sum answers." in said
    assert "columns whose values repeat" not in said


def test_one_facet_is_told_to_want_another_space(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = write_goods(tmp_path)
    options = ["--image-root", str(tmp_path / "photos"), "--facet", "colour"]
    assert not index(table, tmp_path / "data", *options)
    said = capsys.readouterr().err
    assert "The plain sum answers, often badly" in said
    again = said.rsplit("which needs one: ", 1)[1]
    assert again.startswith("tashihiki index c-factored ")
    assert not command(args=shlex.split(again)[2:], prog_name="index", standalone_mode=False)
    assert capsys.readouterr().err.endswith("The space is fitted to 36 items.\n")
    assert not index(table, tmp_path / "other", *options, "--space", "factored")
    assert capsys.readouterr().err.endswith("The space is fitted to 36 items.\n")


def test_a_table_without_facets_is_warned_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = write_table(tmp_path, 1)
    assert not index(table, tmp_path / "data", "--image-root", str(tmp_path / "photos"))
    said = capsys.readouterr().err
    assert "1 photo\n" in said
    assert "no column repeats, so there are no facets; name them with --facet" in said
    assert "1 photo written to c." in said


def test_the_space_of_a_new_collection_is_chosen_and_then_kept(
    tmp_path: Path, open_library: Callable[..., Library]
) -> None:
    table, data = write_table(tmp_path, 2), tmp_path / "data"
    options = ["--image-root", str(tmp_path / "photos")]
    assert not index(table, data, *options, "--space", "sum")
    assert not index(table, data, *options)
    with pytest.raises(FailedPreconditionError) as refused:
        index(table, data, *options, "--space", "factored")
    assert (refused.value.reason, refused.value.field) == ("SPACE_MISMATCH", "space")
    assert open_library(data).collection("c").settings.space == "sum"


def test_an_interruption_says_how_far_it_came(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    table = write_table(tmp_path, 70)
    upsert, calls = Collection.upsert, 0

    def second_is_interrupted(self: Collection, *arguments: object, **options: object) -> object:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise KeyboardInterrupt
        return upsert(self, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Collection, "upsert", second_is_interrupted)
    assert index(table, tmp_path / "data", "--image-root", str(tmp_path / "photos")) == 130
    said = capsys.readouterr().err
    assert said.endswith("interrupted: 64 of 70 photos written; run the same command again\n")


def test_what_was_left_out_is_told_before_the_space_is_waited_for(
    tmp_path: Path,
    served: Served,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    table = write_goods(tmp_path)
    (tmp_path / "photos" / "07.png").write_bytes(b"no picture")
    options = ["--image-root", str(tmp_path / "photos")]

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Collection, "settle", interrupted)
    monkeypatch.setattr("tashihiki_server.cli.index.wait_until_fitted", interrupted)
    for where in (["--server", served.address], []):
        assert index(table, tmp_path / "alone", *options, *where) == 130
        said = capsys.readouterr().err
        assert "35 photos written to c." in said
        assert "07.png: " in said
        fitter = "the server" if where else "the next server"
        assert said.endswith(f"interrupted: 35 of 36 photos written; {fitter} goes on fitting\n")


def test_photos_that_do_not_differ_are_told_of(
    tmp_path: Path, served: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    table = write_goods(tmp_path)
    picture = (tmp_path / "photos" / "00.png").read_bytes()
    for photo in (tmp_path / "photos").iterdir():
        photo.write_bytes(picture)
    options = ["--image-root", str(tmp_path / "photos"), "--facet", "colour", "--facet", "shape"]
    for where in (["--server", served.address], []):
        assert not index(table, tmp_path / "alone", *options, *where)
        said = capsys.readouterr().err
        assert "do not differ enough" in said
        assert "until eight photos" not in said


def test_rare_values_are_named_the_rarest_first(
    tmp_path: Path, served: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    table = write_table(tmp_path, 9)
    text = table.read_text()
    for number, value in enumerate(["blue", "blue", "green"]):
        text = text.replace(f"{number}.png,red", f"{number}.png,{value}")
    table.write_text(text)
    options = ["--image-root", str(tmp_path / "photos")]
    for where in (["--server", served.address], []):
        assert not index(table, tmp_path / "alone", *options, *where)
        said = capsys.readouterr().err
        assert "colour: fewer than 5 photos of green (1), blue (2); " in said


def test_photos_sent_to_a_server_are_those_of_the_table(
    tmp_path: Path, served: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    # Three calls, two of them under way at once.
    table = write_table(tmp_path, 150)
    (tmp_path / "photos" / "77.png").write_bytes(b"no picture")
    options = ["--image-root", str(tmp_path / "photos"), "--server", served.address]
    assert not index(table, tmp_path / "unused", *options)
    wanted = {f"{number}.png" for number in range(150)} - {"77.png"}
    assert set(served.library.collection("c").catalogue.ids_after("", 1000)) == wanted
    said = capsys.readouterr().err
    assert "indexing c\n" in said
    assert "149 photos written to c." in said
    assert "1 left out:" in said
    assert "77.png: " in said
    assert not index(table, tmp_path / "unused", *options)
    assert "149 photos written to c, 149 of them there already." in capsys.readouterr().err
    assert not (tmp_path / "unused").exists()


def test_a_text_in_a_column_of_numbers_is_warned_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = write_table(tmp_path, 10)
    cells = ("price", "1", "\x1bfree", *map(str, range(3, 11)))
    lines = zip(table.read_text().splitlines(), cells, strict=True)
    table.write_text("".join(f"{line},{cell}\n" for line, cell in lines))
    assert not index(table, tmp_path / "data", "--image-root", str(tmp_path / "photos"))
    said = capsys.readouterr().err
    assert "warning: column price" in said
    assert "in line 3" in said
    assert "\x1b" not in said


def test_names_with_brackets_are_printed_as_they_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = write_table(tmp_path, 2)
    table.write_text(table.read_text().replace("colour", "[/x]colour") + "gone[old].png,red\n")
    assert not index(table, tmp_path / "data", "--image-root", str(tmp_path / "photos"))
    said = capsys.readouterr().err
    assert "facets: [/x]colour" in said
    assert "gone[old].png: there is no such file" in said


def test_what_a_table_says_does_not_steer_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = write_table(tmp_path, 2)
    table.write_text(table.read_text().replace("colour", "\x1b]0;c:heart:") + "\x1b[2J.png,red\n")
    # No facet may have such a name.
    assert index(table, tmp_path / "data", "--image-root", str(tmp_path / "photos")) == 1
    said = capsys.readouterr().err
    assert "\x1b]0;" not in said
    assert "\x1b[2J" not in said
    assert "c:heart:" in said
    assert "[2J.png: there is no such file" in said


def test_photos_that_were_all_refused_are_a_failure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = write_table(tmp_path, 2)
    for photo in (tmp_path / "photos").iterdir():
        photo.write_bytes(b"no picture")
    assert index(table, tmp_path / "data", "--image-root", str(tmp_path / "photos")) == 1
    assert "2 left out:" in capsys.readouterr().err
