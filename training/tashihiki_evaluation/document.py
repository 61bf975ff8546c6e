"""`python -m tashihiki_evaluation.document DOCUMENT REPORT …`: tables for docs/evaluation.md.

Each REPORT is a folder that `tashihiki evaluate` wrote.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tashihiki_evaluation.report import Report, headline_table

BEGIN = "<!-- evaluation: begin -->"
END = "<!-- evaluation: end -->"


def section(report: Report) -> str:
    """A heading, what was evaluated, and the headline table."""
    catalogue, encoder = report["catalogue"], report["encoder"]
    facets = " × ".join(f"{len(values)} {name}" for name, values in catalogue["facets"].items())
    lines = [
        f"### {catalogue['source']}",
        "",
        f"{catalogue['pictures']} pictures, {facets}; encoder {encoder['name']} "
        f"({encoder['fingerprint']}), seed {report['settings']['seed']}.",
        "",
        *([f"**{report['leak']}.**", ""] if report["leak"] else []),
        headline_table(report),
    ]
    return "\n".join(lines)


def inserted(text: str, sections: list[str]) -> str:
    """The document with the sections between its marks.

    Raises:
        ValueError: if the document has no marks.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"the document lacks {BEGIN} or {END}")
    return f"{before}{BEGIN}\n" + "".join(f"\n{part}\n" for part in sections) + f"\n{END}{after}"


def main(document: Path, folders: list[Path]) -> None:
    """Writes the tables of the reports in the folders into the document."""
    reports = [
        json.loads((folder / "report.json").read_text(encoding="utf-8")) for folder in folders
    ]
    text = inserted(document.read_text(encoding="utf-8"), [section(report) for report in reports])
    document.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), [Path(folder) for folder in sys.argv[2:]])
