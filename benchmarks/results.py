"""What a benchmark found, as data: printed, kept as JSON, and put into docs/performance.md."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path

from benchmarks.loads.timing import table

FOLDER = Path(__file__).parent / "results"
# Those whose speed is measured or compared with.
_LIBRARIES = (
    *("grpcio", "numpy", "ngt", "openvino", "onnxruntime", "torch", "faiss-cpu", "hnswlib"),
    *("usearch", "fastapi", "uvicorn"),
)


@dataclass(frozen=True)
class Table:
    """Cells as they are shown.

    Attributes:
        name: among the tables of one benchmark.
        title: what was measured, in a line.
        header: of the columns.
        rows: as long as the header.
    """

    name: str
    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]

    @property
    def markdown(self) -> str:
        """The table without its title."""
        return table(list(self.header), [list(row) for row in self.rows])


@dataclass(frozen=True)
class Result:
    """One run of a benchmark.

    Attributes:
        command: that prints it again.
        date: of the run, year-month-day.
        machine: what it ran on, by the name of the fact.
        tables: in their order.
    """

    command: str
    date: str
    machine: Mapping[str, str]
    tables: Sequence[Table]

    @property
    def text(self) -> str:
        """All tables with their titles."""
        return "\n\n".join(f"{part.title}\n\n{part.markdown}" for part in self.tables)

    def table(self, name: str) -> Table | None:
        """One of the tables; None where this run has none of that name."""
        return next((part for part in self.tables if part.name == name), None)


def measured(benchmark: str, options: Sequence[str], tables: Sequence[Table]) -> Result:
    """A result of this moment on this machine; its command names no folder of it."""
    shown = ["FOLDER" if Path(option).is_absolute() else option for option in options]
    command = shlex.join(["python", "-m", "benchmarks", benchmark, *shown])
    today = datetime.now(timezone.utc).date().isoformat()
    return Result(command, today, _machine(), tables)


def save(result: Result, path: Path) -> None:
    """Writes a result as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(asdict(result), indent=1, ensure_ascii=False)
    path.write_text(f"{text}\n", encoding="utf-8")


def load(path: Path) -> Result:
    """Reads what `save` wrote."""
    found = json.loads(path.read_text(encoding="utf-8"))
    return Result(**{**found, "tables": [Table(**part) for part in found["tables"]]})


def _machine() -> dict[str, str]:
    versions = {}
    for library in _LIBRARIES:
        try:
            versions[library] = importlib.metadata.version(library)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {
        "processor": _processor(),
        "cores": str(len(os.sched_getaffinity(0))),
        "system": f"{platform.system()} {platform.release()}",
        "Python": platform.python_version(),
        **versions,
    }


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
