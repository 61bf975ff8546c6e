from __future__ import annotations

import subprocess
import sys

_HEAVY = {"PIL", "typer", "rich", "click", "torch", "lark", "pydantic", "tashihiki_server"}


def test_importing_the_client_is_light() -> None:
    probe = [sys.executable, "-c", "import sys, tashihiki; print(*sys.modules)"]
    run = subprocess.run(probe, capture_output=True, text=True, check=True)
    assert not set(run.stdout.split()) & _HEAVY
