"""`python -m benchmarks document`: docs/performance.md from its template and the results.

The figures of the READMEs are written anew too (`benchmarks/readme.py`).

In the template a line `<!-- table: BENCHMARK NAME -->` stands for a table of a result,
`<!-- titled: BENCHMARK NAME -->` for its title too, and `<!-- measured -->` for the list of all
results with what they ran on. A section (from one `## ` to the next) of whose tables one was never
measured is left out, and named on standard error.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from pathlib import Path

from benchmarks import readme
from benchmarks.results import FOLDER, Result, load

TEMPLATE = Path(__file__).with_name("performance.md.tmpl")
DOCUMENT = Path(__file__).parent.parent / "docs" / "performance.md"
_TABLE = re.compile(r"^<!-- (table|titled): (\S+) (\S+) -->$", re.MULTILINE)
_MEASURED = "<!-- measured -->"
_SECTION = re.compile(r"^(?=## )", re.MULTILINE)


def results(folder: Path = FOLDER) -> dict[str, Result]:
    """The results of a folder, by the names of their benchmarks."""
    return {path.stem: load(path) for path in sorted(folder.glob("*.json"))}


def generated(template: str, found: Mapping[str, Result]) -> str:
    """The document."""
    sections = [_filled(section, found) for section in _SECTION.split(template)]
    return "".join(sections).rstrip("\n") + "\n"


def left_out(template: str, found: Mapping[str, Result]) -> list[str]:
    """The headings of the sections whose tables are not all there."""
    sections = _SECTION.split(template)
    return [section.partition("\n")[0][3:] for section in sections if not _filled(section, found)]


def _filled(section: str, found: Mapping[str, Result]) -> str:
    for place in reversed(list(_TABLE.finditer(section))):
        result = found.get(place[2])
        table = None if result is None else result.table(place[3])
        if table is None:
            return ""
        text = table.markdown if place[1] == "table" else f"{table.title}:\n\n{table.markdown}"
        section = section[: place.start()] + text + section[place.end() :]
    return section.replace(_MEASURED, _measured(found))


def _measured(found: Mapping[str, Result]) -> str:
    lines = []
    for result in found.values():
        machine = dict(result.machine)
        processor, cores = machine.pop("processor"), machine.pop("cores")
        versions = ", ".join(f"{name} {version}" for name, version in machine.items())
        line = f"- `{result.command}`, {result.date}: {cores} cores of {processor}"
        lines.append(f"{line}; {versions}." if versions else f"{line}.")
    return "\n".join(lines)


def main() -> None:
    """Writes the document, and the figures of the READMEs."""
    template, found = TEMPLATE.read_text(encoding="utf-8"), results()
    DOCUMENT.write_text(generated(template, found), encoding="utf-8")
    readme.write(found)
    for heading in left_out(template, found):
        print(f"left out, not measured yet: {heading}", file=sys.stderr)  # noqa: T201
