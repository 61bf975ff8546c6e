"""docs/performance.md is what its template and the results in the repository make."""

from __future__ import annotations

from pathlib import Path

from benchmarks.document import DOCUMENT, TEMPLATE, generated, left_out, results
from benchmarks.results import Table, load, measured, save


def test_the_document_is_generated() -> None:
    found = results()
    assert found
    template = TEMPLATE.read_text(encoding="utf-8")
    assert DOCUMENT.read_text(encoding="utf-8") == generated(template, found)


def test_sections_without_results_are_left_out(tmp_path: Path) -> None:
    one = Table("one", "What it is", ["what", "ms"], [["a", "1.5"], ["b", "2.5"]])
    save(measured("speed", ["--photos", "/some/folder"], [one]), tmp_path / "speed.json")
    found = {"speed": load(tmp_path / "speed.json")}
    template = "\n".join(
        [
            "# Title",
            "## There",
            "<!-- table: speed one -->",
            "## Titled",
            "<!-- titled: speed one -->",
            "## Another table",
            "<!-- table: speed one -->",
            "<!-- table: speed two -->",
            "## Another benchmark",
            "<!-- table: other one -->",
            "## Last",
            "<!-- measured -->",
        ]
    )
    lines = generated(template, found).splitlines()
    table = ["| what | ms |", "| --- | --- |", "| a | 1.5 |", "| b | 2.5 |"]
    assert lines[:-1] == [
        *("# Title", "## There", *table),
        *("## Titled", "What it is:", "", *table),
        "## Last",
    ]
    assert lines[-1].startswith("- `python -m benchmarks speed --photos FOLDER`, ")
    assert left_out(template, found) == ["Another table", "Another benchmark"]
