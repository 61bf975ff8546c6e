"""The README's commands and query, on the demo that `make serve` serves."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from docs.markdown import DOCS, README, blocks
from docs.shell import run, serving

COMMAND = Path(sys.executable).with_name("tashihiki")


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("demo")
    command = [str(COMMAND), "serve", "--demo", "--data", "data"]
    with serving(command, folder, folder / "serve.log"):
        picture = folder / "data" / "demo" / "items" / "mug_blue_wood_1.jpg"
        (folder / "mug.jpg").write_bytes(picture.read_bytes())
        yield folder


def test_the_readme_works_as_written(demo: Path) -> None:
    commands, query = (block.text for block in blocks(README)[1:3])
    lines = [line for line in commands.splitlines() if not line.startswith("source ")]
    assert len(lines) == 3
    for line in lines:
        assert run(shlex.split(line), demo)
    assert (demo / "out.png").read_bytes().startswith(b"\x89PNG")
    assert len(run([sys.executable, "-c", query], demo).splitlines()) == 5


@pytest.mark.parametrize("document", ["client.md"])
def test_the_python_of_a_document_runs(demo: Path, document: str) -> None:
    python = [block.text for block in blocks(DOCS / document) if block.language == "python"]
    assert python
    run([sys.executable, "-c", "\n".join(python)], demo)


@pytest.mark.parametrize(
    ("collection", "query", "wanted"),
    [
        ("faces", ["person KR + HAPPY"], {"person": "KR", "expression": "HAPPY"}),
        ("faces", ["KR + HA"], {"person": "KR", "expression": "HAPPY"}),
        ("faces", ["TM + surprise"], {"person": "TM", "expression": "SURPRISE"}),
        ("items", ["teapot + green"], {"product": "teapot", "colour": "green"}),
        (
            "items",
            ["this item − background + red", "--item", "mug_blue_wood_1.jpg"],
            {"product": "mug", "colour": "red"},
        ),
    ],
)
def test_the_shipped_encoder_finds_what_is_meant(
    demo: Path, collection: str, query: list[str], wanted: dict[str, str]
) -> None:
    answer = json.loads(run([str(COMMAND), "search", collection, *query, "--json"], demo))
    assert wanted.items() <= answer["hits"][0]["attributes"].items()


def test_a_second_start_makes_nothing_anew(demo: Path) -> None:
    assert "drawing" in (demo / "serve.log").read_text()
    before = sorted(path.name for path in (demo / "data" / "demo" / "faces").iterdir())
    assert len(before) == 281
