"""`python -m benchmarks [TABLE …] [OPTION …]`: the tables of docs/performance.md.

Options go to the last table; `python -m benchmarks TABLE --help` lists them. The tables of LONG
take minutes to hours and are only printed when they are named.
"""

from __future__ import annotations

import sys
from importlib import import_module
from itertools import takewhile
from pathlib import Path

TABLES = ("encoder", "transport")
LONG = ("engines", "scale", "turnover", "load", "faults", "duplicates", "kept_pictures")

# The servers and ledgers of the tests serve the measurements too.
sys.path.append(str(Path(__file__).parent.parent / "tests"))

names = list(takewhile(lambda word: not word.startswith("-"), sys.argv[1:]))
options = sys.argv[1 + len(names) :]
for name in names or TABLES:
    if name not in TABLES + LONG:
        sys.exit(f"no table {name}; there are {', '.join(TABLES + LONG)}")
    table = import_module(f"benchmarks.{name}")
    given = [options if name == names[-1] else []] if name in LONG else []
    print(table.main(*given), end="\n\n", flush=True)  # noqa: T201
