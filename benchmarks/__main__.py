"""`python -m benchmarks [TABLE …] [OPTION …]`: the tables of docs/performance.md.

Every run is printed and kept in benchmarks/results, of which `python -m benchmarks document` makes
docs/performance.md; `--results FOLDER` keeps it elsewhere, `--results ""` nowhere. All other
options go to the last table; `python -m benchmarks TABLE --help` lists them. The tables of LONG
take minutes to hours and are only measured when they are named.
"""

from __future__ import annotations

import argparse
import signal
import sys
from importlib import import_module
from itertools import takewhile
from pathlib import Path

from benchmarks import document
from benchmarks.results import FOLDER, measured, save

TABLES = ("encoder", "transport")
LONG = (
    *("text_queries", "image_queries", "rivals", "processes", "steady", "overload", "start"),
    *("engines", "scale", "load", "turnover", "faults", "duplicates", "kept_pictures"),
    "gallery_page",
)

_USAGE = f"""python -m benchmarks [TABLE ...] [--results FOLDER] [OPTION ...]
       python -m benchmarks document

tables: {", ".join(TABLES)} (measured where none is named), {", ".join(LONG)}"""

# The servers and ledgers of the tests serve the measurements too.
sys.path.append(str(Path(__file__).parent.parent / "tests"))


def main(words: list[str]) -> None:
    """Measures what is named, or TABLES."""
    names = list(takewhile(lambda word: not word.startswith("-"), words))
    if names == ["document"]:
        return document.main()
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", usage=_USAGE, add_help=not names, allow_abbrev=False
    )
    parser.add_argument("--results", default=str(FOLDER), help="folder; '' for none")
    mine, options = parser.parse_known_args(words[len(names) :])
    for name in names or TABLES:
        if name not in TABLES + LONG:
            sys.exit(f"no table {name}; there are {', '.join(TABLES + LONG)}, and `document`")
    for name in names or TABLES:
        given = options if names and name == names[-1] else []
        result = measured(name, given, import_module(f"benchmarks.tables.{name}").main(given))
        print(result.text, end="\n\n", flush=True)  # noqa: T201
        if mine.results:
            save(result, Path(mine.results) / f"{name}.json")


if __name__ == "__main__":
    # So that the servers of a benchmark that is told to end do so too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    main(sys.argv[1:])
