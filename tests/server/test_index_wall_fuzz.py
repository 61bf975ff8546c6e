"""NGT's wall against whatever numpy can make, in processes of their own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import ngt_fuzz
from server_process import SECONDS


@pytest.mark.parametrize(("part", "examples"), [("search", 1500), ("build", 300)])
def test_the_process_lives_and_what_it_answers_is_right(
    tmp_path: Path, part: str, examples: int
) -> None:
    command = [sys.executable, ngt_fuzz.__file__, str(tmp_path), part, str(examples)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=4 * SECONDS)
    last = (tmp_path / "last").read_text(encoding="utf-8")
    assert ended.returncode == 0, f"{ended.returncode} at {last}\n{ended.stderr[-3000:]}"
    tried = json.loads(ended.stdout.splitlines()[-1])
    assert tried["right"] > examples / 20
    assert tried["refused"] > examples / 5
