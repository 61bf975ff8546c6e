"""The two READMEs: their commands, queries, pictures and figures."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path

import pytest
from PIL import Image

from benchmarks.document import results
from benchmarks.readme import EVALUATION, READMES, with_figures
from demo_server import COMMAND, DemoServer
from docs import grpcurl
from docs.markdown import DOCS, README, blocks
from docs.shell import PORT, run
from tashihiki_evaluation.illustrations.__main__ import MUG
from tashihiki_evaluation.illustrations.__main__ import main as draw
from tashihiki_evaluation.illustrations.answers import HITS

# Versions, addresses and the licence are no figures.
_FIGURE = re.compile(r"(?<![\d.])\d+\.\d+(?![\d.]|:\d)")
_NO_FIGURES = {"3.10", "2.0"}
_LINK = re.compile(r"\]\(([^)]+)\)")


def test_the_readme_works_as_written(demo: DemoServer, tmp_path: Path) -> None:
    _, commands, query, call = (block.text for block in blocks(README))
    address = f"localhost:{demo.port}"
    lines = [line for line in commands.splitlines() if not line.startswith("source ")]
    assert len(lines) == 3
    found = [run(["bash", "-ec", line], demo.folder, TASHIHIKI_SERVER=address) for line in lines]
    assert "expression:HAPPY person:KR" in found[0]
    assert "plain sum" in found[2]
    assert (demo.folder / "out.png").read_bytes().startswith(b"\x89PNG")
    script = [sys.executable, "-c", query]
    python = run(script, demo.folder, TASHIHIKI_SERVER=address).splitlines()
    assert len(python) == 5
    assert all("'colour': 'red'" in line for line in python)
    grpcurl.install(tmp_path)
    path = os.pathsep.join([str(tmp_path), os.environ["PATH"]])
    answer = json.loads(run(["bash", "-ec", call.replace(PORT, demo.port)], demo.folder, PATH=path))
    shown = [hit["attributes"] for hit in answer["hits"]]
    assert shown == [{"person": "KR", "expression": "HAPPY"}] * 3


def test_reflection_lists_the_services(demo: DemoServer, tmp_path: Path) -> None:
    grpcurl.install(tmp_path)
    command = [str(tmp_path / "grpcurl"), "-plaintext", demo.address, "list"]
    assert "tashihiki.v1.SearchService" in run(command, tmp_path).splitlines()


@pytest.mark.parametrize("number", [0, 1])
def test_figures_are_those_that_were_measured(number: int) -> None:
    text = READMES[number].read_text(encoding="utf-8")
    evaluation = EVALUATION.read_text(encoding="utf-8")
    assert text == with_figures(text, number, evaluation, results()), (
        "`python -m benchmarks document` writes them anew"
    )
    there = evaluation + (DOCS / "performance.md").read_text(encoding="utf-8")
    prose = re.sub(r"```.*?```|`[^`\n]+`", "", text, flags=re.DOTALL)
    figures = set(_FIGURE.findall(prose)) - _NO_FIGURES
    assert figures
    assert {figure for figure in figures if figure not in there} == set()


def test_the_japanese_readme_says_the_same() -> None:
    english, japanese = (path.read_text(encoding="utf-8") for path in READMES)
    assert blocks(READMES[0]) == blocks(READMES[1])
    assert _FIGURE.findall(english) == _FIGURE.findall(japanese)
    here = [link for link in _LINK.findall(english) if link != "README.ja.md"]
    assert here == [link for link in _LINK.findall(japanese) if link != "README.md"]
    headings = [re.findall(r"^#+", text, re.MULTILINE) for text in (english, japanese)]
    assert headings[0] == headings[1]


def test_the_pictures_show_what_the_demo_answers(demo: DemoServer, tmp_path: Path) -> None:
    draw(tmp_path, demo.address)
    drawn = sorted(tmp_path.iterdir())
    assert [path.name for path in drawn] == ["answers.png", "blocks.png", "query.png", "shares.png"]
    for path in drawn:
        with Image.open(path) as now, Image.open(DOCS / "images" / path.name) as kept:
            assert now.size == kept.size
            assert now.info.get(HITS) == kept.info.get(HITS)
            assert (HITS in now.info) == (path.name in ("answers.png", "query.png"))


@pytest.mark.parametrize(
    ("collection", "query", "wanted"),
    [
        ("faces", ["person KR + HAPPY"], {"person": "KR", "expression": "HAPPY"}),
        ("faces", ["KR + HA"], {"person": "KR", "expression": "HAPPY"}),
        ("faces", ["TM + surprise"], {"person": "TM", "expression": "SURPRISE"}),
        ("items", ["teapot + green"], {"product": "teapot", "colour": "green"}),
        (
            "items",
            ["this item − background + red", "--item", MUG],
            {"product": "mug", "colour": "red"},
        ),
    ],
)
def test_the_shipped_encoder_finds_what_is_meant(
    demo: DemoServer, collection: str, query: list[str], wanted: dict[str, str]
) -> None:
    command = [str(COMMAND), "search", collection, *query, "--json"]
    answer = json.loads(run(command, demo.folder, TASHIHIKI_SERVER=demo.address))
    assert wanted.items() <= answer["hits"][0]["attributes"].items()


def test_a_second_start_draws_nothing(demo: DemoServer) -> None:
    assert "drawing" in (demo.folder / "first.log").read_text()
    assert "drawing" not in (demo.folder / "second.log").read_text()
    assert "faces (280 items), items (768 items)" in (demo.folder / "second.log").read_text()
