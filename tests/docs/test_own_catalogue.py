"""docs/own-catalogue.md, typed word for word on real photos."""

from __future__ import annotations

import csv
import json
import shutil
import sys
from pathlib import Path

import pytest

from docs.markdown import DOCS, Block, blocks
from docs.shell import PORT, free_port, run, serving

SHARED = Path(__file__).parents[2].parent / "shared"
FASHION = SHARED / "data" / "fashion"
WEIGHTS = SHARED / "weights" / "mobilenet_v2_imagenet.pth"
PHOTOS = 160
COLUMNS = ["path", "articleType", "baseColour", "gender"]


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    if not (FASHION.is_dir() and WEIGHTS.is_file()):
        pytest.skip("the fashion photos or the ImageNet weights are not at hand")
    images = tmp_path / "photos" / "images"
    images.mkdir(parents=True)
    with (FASHION / "labels.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    chosen = [row for row in rows if row["articleType"] in ("Tshirts", "Skirts", "Watches")]
    assert chosen[0]["path"] == "images/10000.jpg"
    with (tmp_path / "photos" / "labels.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(
            file, ["path", "articleType", "baseColour", "gender"], extrasaction="ignore"
        )
        writer.writeheader()
        for row in chosen[:PHOTOS]:
            shutil.copy(FASHION / row["path"], images)
            writer.writerow(row)
    return tmp_path


def test_the_document_works_as_written(desk: Path) -> None:
    every = [
        block
        for block in blocks(DOCS / "own-catalogue.md")
        if block.note != "no-run" and block.language != "text"
    ]
    server = next(block for block in every if block.note == "background")
    place = every.index(server)
    port = free_port()
    serve = ["bash", "-ec", f"exec {server.text.replace(PORT, port)}"]
    # Then the server is stopped.
    asking, after = every[place + 1 : place + 4], every[place + 4 :]
    for block in every[:place]:
        _run(block, desk, port)
    with serving(serve, desk, desk / "serve.log"):
        said = [_run(block, desk, port) for block in asking]
    assert "Tshirts" in said[0]
    assert said[1].count("articleType") >= 10
    assert (desk / "out.png").read_bytes().startswith(b"\x89PNG")
    for block in after:
        _run(block, desk, port)
    assert "held-out combinations" in (desk / "report" / "report.md").read_text()
    assert (desk / "runs" / "first" / "recall.png").is_file()
    epochs = json.loads((desk / "runs" / "first" / "history.json").read_text())
    assert len(epochs) > 1, "nothing was learnt"
    with serving(serve, desk, desk / "serve.log"):
        command = ["tashihiki", "search", "trained", "Tshirts + White", "--json"]
        answer = json.loads(run(command, desk, TASHIHIKI_SERVER=f"localhost:{port}"))
    assert answer["hits"]


def _run(block: Block, desk: Path, port: str) -> str:
    if block.language == "python":
        return run([sys.executable, "-c", block.text.replace(PORT, port)], desk)
    return run(
        ["bash", "-ec", block.text],
        desk,
        WEIGHTS=str(WEIGHTS),
        MINUTES="0.4",
        TASHIHIKI_SERVER=f"localhost:{port}",
    )
