from __future__ import annotations

import subprocess
import sys

_PROBE = """
import sys, time
start = time.process_time()
import tashihiki
print(time.process_time() - start)
print(*sys.modules)
"""
_HEAVY = {"PIL", "typer", "rich", "click", "torch", "lark", "pydantic", "tashihiki_server"}


def _probe() -> tuple[float, set[str]]:
    run = subprocess.run([sys.executable, "-c", _PROBE], capture_output=True, text=True, check=True)
    seconds, modules = run.stdout.splitlines()
    return float(seconds), set(modules.split())


def test_importing_the_client_is_light() -> None:
    probes = [_probe() for _ in range(3)]
    assert min(seconds for seconds, _ in probes) <= 0.3
    assert not probes[0][1] & _HEAVY
