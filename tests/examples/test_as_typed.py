"""Every example runs as its first lines say."""

from __future__ import annotations

import ast
import re
import shlex
import sys
from pathlib import Path

import pytest

from demo_server import DemoServer
from docs.shell import PORT, run

EXAMPLES = Path(__file__).parents[2] / "examples"
SERVICES = {"fastapi_service.py"}


@pytest.mark.parametrize("example", sorted({p.name for p in EXAMPLES.glob("*.py")} - SERVICES))
def test_an_example_runs_as_its_first_lines_say(example: str, demo: DemoServer) -> None:
    document = ast.get_docstring(ast.parse((EXAMPLES / example).read_text(encoding="utf-8")))
    found = re.search(rf"`python (examples/{example} [^`]+)`", document or "")
    assert found
    script, *arguments = shlex.split(found[1].replace("\n", " ").replace(PORT, demo.port))
    assert run([sys.executable, str(EXAMPLES.parent / script), *arguments], demo.folder).strip()
