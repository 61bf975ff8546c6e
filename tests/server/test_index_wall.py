"""NGT behind its wall: whatever comes, the process lives, and the answer is right or refused."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from server_process import SECONDS

_PRELUDE = """
import json, sys
from pathlib import Path
import numpy as np
from tashihiki_server.index.ngt import NgtIndex, build_ngt

folder = Path(sys.argv[1]) / "index"
rows = np.random.default_rng(0).random((300, 8)).astype(np.float32)
rows /= np.linalg.norm(rows, axis=1, keepdims=True)
query = rows[:20].mean(axis=0)
query /= np.linalg.norm(query)

def nearest(to, count):
    return np.argsort(-(rows.astype(float) @ np.asarray(to, float)))[:count].tolist()

def said(work):
    try:
        return work()
    except ValueError:
        return "ValueError"
"""

_SEARCHES = (
    _PRELUDE
    + """
build_ngt(rows, folder, 1)
index = NgtIndex(folder, count=len(rows), dimension=8)
wide = np.zeros((8, 3), np.float32); wide[:, 1] = query
hostile = {
    "too short": query[:7], "too long": np.append(query, 0), "2-d": query[None], "0-d": query[0],
    "scalar": 0.5, "empty": query[:0], "zeros": query * 0, "NaN": query * np.nan,
    "one NaN": np.where(np.arange(8) == 3, np.nan, query), "infinite": query * np.inf,
    "float64 beyond float32": query.astype(float) * 1e300, "text": np.array(["x"] * 8),
    "objects": np.array([None] * 8), "None": None,
}
sound = {
    "float32": query, "float64": query.astype(float), "list": query.tolist(),
    "strided": wide[:, 1], "reversed": query[::-1].copy()[::-1], "big-endian": query.astype(">f4"),
    "read-only": np.frombuffer(query.tobytes(), np.float32),
}
results = {"hostile": {}, "sound": {}, "counts": {}}
with np.errstate(over="ignore"):
    for name, vector in hostile.items():
        results["hostile"][name] = said(lambda: index.search(vector, 5, 1.0, 0).tolist())
for name, vector in sound.items():
    results["sound"][name] = index.search(vector, 5, 1.0, 0).tolist() == nearest(vector, 5)
for count in (-(2**40), -1, 0, 1, 5, 299, 300, 301, 2**31, 2**40):
    results["counts"][count] = sorted(index.search(query, count, 1.0, 0).tolist()) == sorted(
        nearest(query, max(0, min(count, 300)))
    )
index.close()
print(json.dumps(results))
"""
)

_BUILDS = (
    _PRELUDE
    + """
def broken(value):
    copy = rows.copy()
    copy[17, 3] = value
    return copy

zero = rows.copy(); zero[5] = 0
wide = np.zeros((300, 16), np.float32); wide[:, ::2] = rows
hostile = {
    "1-d": rows[0], "0-d": np.float32(1), "3-d": rows[None], "no rows": rows[:0],
    "no columns": rows[:, :0], "a row of zeros": zero, "NaN": broken(np.nan),
    "infinite": broken(np.inf), "text": rows.astype(str)[:, :0],
}
sound = {
    "strided": wide[:, ::2], "reversed": rows[::-1].copy()[::-1], "float64": rows.astype(float),
    "Fortran order": np.asfortranarray(rows), "one row": rows[:1],
}
results = {"hostile": {}, "sound": {}}
for number, (name, array) in enumerate(hostile.items()):
    results["hostile"][name] = said(lambda: build_ngt(array, folder / f"h{number}", 1))
folder.mkdir()
for number, (name, array) in enumerate(sound.items()):
    build_ngt(array, folder / f"s{number}", 1)
    index = NgtIndex(folder / f"s{number}", count=len(array), dimension=8)
    found = index.search(query, 5, 1.0, 0).tolist()
    results["sound"][name] = found == (nearest(query, 5) if len(array) == 300 else [0])
    index.close()
print(json.dumps(results))
"""
)


def run(script: str, folder: Path) -> dict[str, dict[str, object]]:
    """Runs it in a process of its own, so that an abort is a failure of one test."""
    command = [sys.executable, "-c", script, str(folder)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
    assert ended.returncode == 0, f"ended by {ended.returncode}: {ended.stderr[-2000:]}"
    results: dict[str, dict[str, object]] = json.loads(ended.stdout.splitlines()[-1])
    return results


def only(value: object, found: dict[str, object]) -> None:
    assert len(found) > 4
    assert {name: result for name, result in found.items() if result != value} == {}


def test_hostile_queries(tmp_path: Path) -> None:
    results = run(_SEARCHES, tmp_path)
    only("ValueError", results["hostile"])
    only(True, results["sound"])
    only(True, results["counts"])


def test_hostile_rows(tmp_path: Path) -> None:
    results = run(_BUILDS, tmp_path)
    only("ValueError", results["hostile"])
    only(True, results["sound"])


@pytest.mark.parametrize("left", ["empty folder", "no folder"])
def test_opening_what_is_not_there_is_an_error_and_no_crash(tmp_path: Path, left: str) -> None:
    script = (
        "import sys\nfrom pathlib import Path\nfrom tashihiki_server.index.ngt import NgtIndex\n"
        "try:\n    NgtIndex(Path(sys.argv[1]), count=1, dimension=8)\n"
        "except RuntimeError:\n    print('refused')\n"
    )
    folder = tmp_path if left == "empty folder" else tmp_path / "none"
    ended = subprocess.run(
        [sys.executable, "-c", script, str(folder)], capture_output=True, text=True, timeout=SECONDS
    )
    assert (ended.returncode, ended.stdout.strip()) == (0, "refused")
