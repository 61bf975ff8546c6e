"""Every code block of every page runs as it is written.

But for those that install, whose targets and packages have to exist, and those that a page calls
long, whose commands have to understand them: they take hours. A block that is `stopped` runs where
no server does.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo_server import DemoServer
from docs import short
from docs.markdown import DOCS, README, Block, blocks
from docs.shell import PATH, PORT, run

ROOT = README.parent
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.glob("*.md")])
# Their blocks run in tests of their own.
ELSEWHERE = {
    "README.md": "test_readme.py",
    "README.ja.md": "test_readme.py",
    "api.md": "test_api_examples.py",
    "own-catalogue.md": "test_own_catalogue.py",
}
RUN = {"sh", "python", "toml"}
SHOWN = {"text", "mermaid", "pyi"}
NOTES = {"", "background", "long", "no-run", "stopped"}
# They measure and train.
LONG = {"evaluation.md", "training.md"}
# What these do, CI does before and around these tests.
INSTALLING = {"cd", "git", "make", "pip", "pytest", "source"}


def installs(block: Block) -> bool:
    """Whether all that a block does is to install and to run what is in the checkout."""
    return block.language == "sh" and all(line[0] in INSTALLING for line in lines(block))


def lines(block: Block) -> list[list[str]]:
    """The commands of a block, word by word."""
    whole = block.text.replace("\\\n", " ").splitlines()
    return [words for words in (shlex.split(line, comments=True) for line in whole) if words]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_block_is_run_or_only_shown(page: Path) -> None:
    for block in blocks(page):
        assert block.language in RUN | SHOWN, f"nobody runs: {block}"
        assert block.note in NOTES
        if block.note == "no-run":
            assert installs(block), f"nobody runs: {block}"
    if page.name in ELSEWHERE:
        assert (Path(__file__).parent / ELSEWHERE[page.name]).is_file()


def _installing() -> Iterator[tuple[str, list[str]]]:
    for page in PAGES:
        for block in filter(installs, blocks(page)):
            yield from ((page.name, line) for line in lines(block))


@pytest.mark.parametrize(("page", "line"), list(_installing()))
def test_what_is_installed_is_there(page: str, line: list[str]) -> None:
    program, *words = line
    if program == "make":
        subprocess.run(["make", "--dry-run", *words], cwd=ROOT, check=True, capture_output=True)
    elif program == "pip":
        extras = re.findall(r"(?:\.|tashihiki)\[(\w+)\]", " ".join(words))
        declared = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
        assert all(f"\n{extra} = [" in declared for extra in extras)
    elif program == "pytest":
        assert all((ROOT / word).exists() for word in words)


@pytest.mark.parametrize(
    "page",
    [
        page
        for page in PAGES
        if page.name not in ELSEWHERE and {b.language for b in blocks(page)} & RUN
    ],
    ids=lambda page: page.name,
)
def test_a_page_runs_as_written(
    page: Path,
    demo: DemoServer,
    drawn: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    desk = tmp_path if page.name in LONG else demo.folder
    if page.name in LONG:
        short.photos(drawn, desk)
        short.install(desk)
    monkeypatch.chdir(desk)
    monkeypatch.setenv("TASHIHIKI_SERVER", demo.address)
    for block in blocks(page):
        if block.language == "python":
            code = compile(block.text.replace(PORT, demo.port), str(page), "exec")
            exec(code, {"__name__": "__main__"})
        elif block.language == "toml":
            (desk / "block.toml").write_text(block.text, encoding="utf-8")
            run(["tashihiki", "--config", "block.toml", "config"], desk)
        elif block.note == "long":
            for program, *words in lines(block):
                if program == "tashihiki":
                    short.understood(words)
        elif block.language == "sh" and not installs(block):
            folder = drawn if block.note == "stopped" else desk
            text = block.text.replace(PORT, demo.port)
            path = f"{desk}{os.pathsep}{PATH}" if page.name in LONG else PATH
            run(["bash", "-ec", text], folder, PATH=path)
