"""`python -m benchmarks [TABLE …]`: the tables of docs/performance.md."""

from __future__ import annotations

import sys
from importlib import import_module

TABLES = ("encoder", "transport", "index")

for name in sys.argv[1:] or TABLES:
    print(import_module(f"benchmarks.{name}").main(), end="\n\n", flush=True)  # noqa: T201
