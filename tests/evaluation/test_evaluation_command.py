"""`tashihiki evaluate` from the catalogue to the report."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from shapes_catalogue import write_shapes
from tashihiki.errors import TashihikiError
from tashihiki_evaluation.cli import command
from tashihiki_evaluation.document import BEGIN, END, inserted, section
from tashihiki_evaluation.rows import ROWS
from tashihiki_server.encoder.manifest import sha256


def evaluate(*arguments: object) -> None:
    """Runs the command as the command line does, errors raised."""
    texts = [str(argument) for argument in arguments]
    command(args=texts, prog_name="tashihiki evaluate", standalone_mode=False)


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with 72 pictures and labels.csv; two of the pictures are the same."""
    folder = write_shapes(tmp_path_factory.mktemp("catalogue"), copies=8).parent
    shutil.copyfile(folder / "disc_red_1.png", folder / "disc_red_2.png")
    return folder


@pytest.fixture(scope="module")
def out(shapes: Path, tiny_encoder_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report over all protocols."""
    folder = tmp_path_factory.mktemp("report") / "deep" / "report"
    evaluate(shapes, "--out", folder, "--encoder", tiny_encoder_bundle)
    return folder


def _report(folder: Path) -> dict[str, Any]:
    report: dict[str, Any] = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    return report


def test_the_report_has_all_tasks_and_rows(out: Path) -> None:
    report = _report(out)
    assert report["catalogue"]["pictures"] == 72
    assert report["catalogue"]["facets"]["colour"] == {"blue": 21, "green": 21, "red": 21}
    same = report["identical"]
    assert (same["groups"], same["pictures"], same["conflicting"]) == (1, 2, 0)
    assert report["leak"] == ""
    assert {key.partition("-")[0] for key in report["tasks"]} >= {"P0", "P1", "P2", "P4", "P5"}
    for task in report["tasks"].values():
        assert list(task["rows"]) == list(ROWS)
        for row in task["rows"].values():
            if row["queries"]:
                recall = row["recall_at_1"]
                assert 0 <= recall["low"] <= recall["value"] <= recall["high"] <= 1
    closed = report["tasks"]["P0"]
    assert closed["queries"] == closed["combinations"] == 9
    found = {row: facts["recall_at_1"]["value"] for row, facts in closed["rows"].items()}
    assert found["factored"] >= 0.8 > 0.5 > found["plain sum"]
    removed = report["tasks"]["P5-remove"]["rows"]["factored"]
    assert 0 <= removed["violation_at_10"]["value"] <= 1


def test_the_report_reads_well_and_its_pictures_are_there(out: Path) -> None:
    text = (out / "report.md").read_text(encoding="utf-8")
    assert text.startswith("# Retrieval by composition: ")
    assert "P2 held-out combinations" in text
    assert "1 group of identical pictures (2 pictures, conflicting labels in 0)" in text
    linked = [line.split("](")[1][:-1] for line in text.splitlines() if line.startswith("![")]
    assert {"recall.png", "heat_map.png"} <= set(linked)
    for name in linked:
        with Image.open(out / name) as picture:
            assert picture.size[0] > 300


def test_a_row_that_was_asked_less_says_so(out: Path) -> None:
    report = _report(out)
    closed = report["tasks"]["P0"]
    examples = closed["rows"]["by example"]
    examples["queries"] = closed["queries"] - 2
    lines = section(report).splitlines()
    heading = next(line for line in lines if "by example" in line).split(" | ")
    found = next(line for line in lines if "P0 closed set" in line).split(" | ")
    shown = dict(zip(heading, found, strict=True))
    value = examples["recall_at_1"]["value"]
    assert shown["by example"] == f"{value:.2f} (of {closed['queries'] - 2})"
    assert "(of" not in shown["plain sum"]


def test_progress_is_told_in_lines_where_there_is_no_terminal(
    shapes: Path, tiny_encoder_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--encoder", tiny_encoder_bundle, "--protocol", "P4")
    evaluate(shapes, "--out", tmp_path, *options)
    told = capsys.readouterr().err.splitlines()
    assert told[:2] == ["embedding", "evaluating"]
    assert not any("━" in line for line in told)
    assert any(line.startswith("P4 this item − a + b, target unseen  ") for line in told)


def test_every_query_has_a_line_for_every_row(out: Path) -> None:
    report = _report(out)
    with (out / "queries.tsv").open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file, delimiter="\t"))
    for key, task in report["tasks"].items():
        for row, found in task["rows"].items():
            ours = [line for line in lines if (line["task"], line["row"]) == (key, row)]
            assert len(ours) == found["queries"]
            if ours:
                share = np.mean([int(line["right"]) for line in ours])
                assert share == pytest.approx(found["recall_at_1"]["value"], abs=1e-4)
    assert {line["query"] for line in lines if line["task"] == "P0"} >= {"shape:disc + colour:red"}


def test_a_second_run_says_the_same_and_embeds_nothing(
    out: Path,
    shapes: Path,
    tiny_encoder_bundle: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    again = tmp_path / "again"
    again.mkdir()
    (cache,) = out.glob("embeddings-*.npz")
    shutil.copy(cache, again)
    before = cache.read_bytes()
    options = ("--encoder", tiny_encoder_bundle, "--protocol", "P1", "--protocol", "p2", "--json")
    evaluate(shapes, "--out", again, *options)
    assert (again / cache.name).read_bytes() == before
    printed = json.loads(capsys.readouterr().out)
    assert printed == _report(again)
    assert set(printed["tasks"]) == {"P1", "P2"}
    assert printed["tasks"]["P2"] == _report(out)["tasks"]["P2"]


def test_an_encoder_that_knows_the_pictures_is_called_a_leak(
    shapes: Path, tiny_encoder_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = tmp_path / "encoder"
    shutil.copytree(tiny_encoder_bundle, bundle)
    known = [sha256(shapes / f"bar_red_{copy}.png") for copy in range(3)]
    (bundle / "pictures.txt").write_text("\n".join([*known, "0" * 64]) + "\n")
    evaluate(shapes, "--out", tmp_path / "out", "--encoder", bundle, "--protocol", "P1")
    sentence = "leak: 3 of 72 pictures were in this encoder's training"
    lines = (tmp_path / "out" / "report.md").read_text(encoding="utf-8").splitlines()
    assert lines[2] == f"**{sentence}**"
    assert "P1 held-out images (leak)" in "\n".join(lines)
    assert sentence in capsys.readouterr().err


def test_only_the_most_frequent_values_stay(
    shapes: Path, tiny_encoder_bundle: Path, tmp_path: Path
) -> None:
    options = ("--encoder", tiny_encoder_bundle, "--protocol", "P0", "--top", "colour=2")
    evaluate(shapes, "--out", tmp_path, *options)
    # All colours are as frequent; those without a colour stay out.
    assert _report(tmp_path)["catalogue"]["facets"]["colour"] == {"blue": 21, "green": 21}
    assert _report(tmp_path)["catalogue"]["pictures"] == 42


def test_photos_that_cannot_be_read_are_listed(
    shapes: Path, tiny_encoder_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "catalogue"
    shutil.copytree(shapes, folder)
    (folder / "bar_red_3.png").write_bytes(b"no picture")
    (folder / "bar_red_4.png").unlink()
    out = tmp_path / "out"
    evaluate(folder, "--out", out, "--encoder", tiny_encoder_bundle, "--protocol", "P0")
    report = _report(out)
    assert report["catalogue"]["pictures"] == 70
    assert {Path(entry["path"]).name for entry in report["left_out"]} == {
        "bar_red_3.png",
        "bar_red_4.png",
    }
    told = capsys.readouterr().err
    assert "bar_red_3.png: the data is not an image that can be read" in told
    assert "bar_red_4.png: there is no such file" in told


@pytest.mark.parametrize(
    ("options", "reason", "words"),
    [
        (("--facet", "size"), "UNKNOWN_COLUMN", "size"),
        (("--facet", "shape"), "DATASET_TOO_SMALL", "here only shape has two values"),
        (("--protocol", "P9"), "SETTING_INVALID", "P0, P1, P2, P3, P4, P5"),
        (("--top", "size=3"), "UNKNOWN_FACET", "shape"),
        (("--top", "shape"), "SETTING_INVALID", "FACET=N"),
        (("--top", "shape=1"), "SETTING_INVALID", "FACET=N"),
        (("--encoder", "nowhere"), "UNKNOWN_ENCODER", "nowhere"),
        (("--identity", "size"), "UNKNOWN_FACET", "shape"),
    ],
)
def test_wrong_options_are_told_apart(
    shapes: Path,
    tiny_encoder_bundle: Path,
    tmp_path: Path,
    options: tuple[str, ...],
    reason: str,
    words: str,
) -> None:
    encoder = () if "--encoder" in options else ("--encoder", tiny_encoder_bundle)
    with pytest.raises(TashihikiError) as caught:
        evaluate(shapes, "--out", tmp_path / "out", *encoder, *options)
    assert caught.value.reason == reason
    assert words in str(caught.value)
    assert caught.value.remedy


def test_paths_that_lead_nowhere_are_shown_as_they_were_tried(
    tiny_encoder_bundle: Path, tmp_path: Path
) -> None:
    table = tmp_path / "labels.csv"
    table.write_text("path,shape,colour\nfar/one.png,disc,red\nfar/two.png,bar,red\n")
    with pytest.raises(TashihikiError) as caught:
        evaluate(table, "--out", tmp_path / "out", "--encoder", tiny_encoder_bundle)
    assert caught.value.reason == "CATALOGUE_EMPTY"
    assert f"{tmp_path / 'far' / 'one.png'}: there is no such file" in caught.value.message
    assert f"start from {tmp_path}" in caught.value.message
    assert "--image-root" in caught.value.remedy


def test_a_catalogue_without_labels_is_refused(
    shapes: Path, tiny_encoder_bundle: Path, tmp_path: Path
) -> None:
    table = tmp_path / "labels.csv"
    table.write_text("path\n" + "".join(f"disc_red_{copy}.png\n" for copy in range(4)))
    options = ("--image-root", shapes, "--encoder", tiny_encoder_bundle)
    with pytest.raises(TashihikiError) as caught:
        evaluate(table, "--out", tmp_path / "out", *options)
    assert caught.value.reason == "DATASET_TOO_SMALL"


def test_a_folder_that_cannot_be_written_is_refused(
    shapes: Path, tiny_encoder_bundle: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TashihikiError) as caught:
        evaluate(shapes, "--out", tmp_path / "file" / "out", "--encoder", tiny_encoder_bundle)
    assert caught.value.reason == "OUTPUT_NOT_WRITABLE"


def test_tables_are_put_between_the_marks(out: Path) -> None:
    text = inserted(f"before\n{BEGIN}\nold\n{END}\nafter\n", [section(_report(out))])
    assert "old" not in text
    assert text.startswith(f"before\n{BEGIN}\n")
    assert text.endswith(f"{END}\nafter\n")
    assert "| P2 held-out combinations |" in text
    assert inserted(text, [section(_report(out))]) == text
    with pytest.raises(ValueError, match="lacks"):
        inserted("no marks", [])
