"""The README's commands and query, on the demo that `make serve` serves."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from docs.markdown import DOCS, README, blocks
from docs.shell import PORT, free_port, run, serving

COMMAND = Path(sys.executable).with_name("tashihiki")


@pytest.fixture(scope="module")
def port() -> str:
    return free_port()


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory, port: str) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("demo")
    command = [str(COMMAND), "serve", "--demo", "--data", "data", "--address", f"127.0.0.1:{port}"]
    with serving(command, folder, folder / "first.log"):
        pass
    with serving(command, folder, folder / "second.log"):
        picture = folder / "data" / "demo" / "items" / "mug_blue_wood_1.jpg"
        (folder / "mug.jpg").write_bytes(picture.read_bytes())
        yield folder


def test_the_readme_works_as_written(demo: Path, port: str) -> None:
    commands, query = (block.text for block in blocks(README)[1:3])
    lines = [line for line in commands.splitlines() if not line.startswith("source ")]
    assert len(lines) == 3
    for line in lines:
        assert run(shlex.split(line), demo, TASHIHIKI_SERVER=f"localhost:{port}")
    assert (demo / "out.png").read_bytes().startswith(b"\x89PNG")
    assert len(run([sys.executable, "-c", query.replace(PORT, port)], demo).splitlines()) == 5


@pytest.mark.parametrize("document", ["client.md"])
def test_the_python_of_a_document_runs(demo: Path, port: str, document: str) -> None:
    python = [block.text for block in blocks(DOCS / document) if block.language == "python"]
    assert python
    run([sys.executable, "-c", "\n".join(python).replace(PORT, port)], demo)


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
    demo: Path, port: str, collection: str, query: list[str], wanted: dict[str, str]
) -> None:
    command = [str(COMMAND), "search", collection, *query, "--json"]
    answer = json.loads(run(command, demo, TASHIHIKI_SERVER=f"localhost:{port}"))
    assert wanted.items() <= answer["hits"][0]["attributes"].items()


def test_a_second_start_draws_nothing(demo: Path) -> None:
    assert "drawing" in (demo / "first.log").read_text()
    assert "drawing" not in (demo / "second.log").read_text()
    assert "faces (280 items), items (768 items)" in (demo / "second.log").read_text()
