"""The figures of the two READMEs, taken from the results and from docs/evaluation.md.

Each README has them between `<!-- quality: begin -->` and `<!-- quality: end -->`, and between the
same marks of `speed`; `python -m benchmarks document` writes them anew.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.loads.timing import table
from benchmarks.results import Result, Table

_ROOT = Path(__file__).parent.parent
EVALUATION = _ROOT / "docs" / "evaluation.md"
# By the place of its words below.
READMES = (_ROOT / "README.md", _ROOT / "README.ja.md")

_PLAIN, _OURS, _GAIN = "plain sum", "factored + re-rank", "factored + re-rank − plain sum"
_UNSEEN, _EXCHANGE = "P2 held-out combinations", "P4 this item − a + b, target unseen"


@dataclass(frozen=True)
class _Quality:
    """A row of docs/evaluation.md, and what it is called in English and Japanese."""

    words: tuple[str, str]
    catalogue: str
    task: str


@dataclass(frozen=True)
class _Speed:
    """A figure of a benchmark's table, and what it is called in English and Japanese."""

    words: tuple[str, str]
    benchmark: str
    table: str
    value: Callable[[Table], str | None]


def _cell(row: str, column: str, shown: str) -> Callable[[Table], str | None]:
    """The cell in the first row that begins so."""

    def value(found: Table) -> str | None:
        place = found.header.index(column)
        cells = (line[place] for line in found.rows if line[0].startswith(row))
        return next((shown.format(cell) for cell in cells), None)

    return value


def _look_up(items: str) -> Callable[[Table], str | None]:
    time, recall = _cell(items, "p50, ms", "{} ms"), _cell(items, "recall@10", "recall@10 {}")

    def value(found: Table) -> str | None:
        parts = (time(found), recall(found))
        return ", ".join(part for part in parts if part is not None) or None

    return value


def _kills(found: Table) -> str:
    # The benchmark ends with an error, and without a result, where a write was lost.
    return f"0 / {sum(int(row[found.header.index('kills')]) for row in found.rows)}"


_QUALITY_HEADER = (
    ("first hit right", "plain sum", "Tashihiki", "gain"),
    ("最初のヒットが正解の割合", "単純な和", "Tashihiki", "差"),
)
_QUALITY = (
    _Quality(
        ("drawn faces, `person + expression`", "描画した顔画像、`person + expression`"),
        "faces",
        _UNSEEN,
    ),
    _Quality(
        (
            "drawn items, two of `product`, `colour`, `background`",
            "描画した商品画像、`product`、`colour`、`background` のうち二つ",
        ),
        "items",
        _UNSEEN,
    ),
    _Quality(
        (
            "fashion photos, `articleType + baseColour`",
            "ファッション写真、`articleType + baseColour`",
        ),
        "fashion",
        _UNSEEN,
    ),
    _Quality(
        (
            "fashion photos, `this item − its value + another`",
            "ファッション写真、`this item − その値 + 別の値`",
        ),
        "fashion",
        _EXCHANGE,
    ),
)
_SPEED_HEADER = (("", "figure", "command"), ("", "数値", "コマンド"))
_SPEED = (
    _Speed(
        (
            "text query over gRPC, one caller, p50",
            "gRPC 経由のテキストクエリ、クライアント 1、p50",
        ),
        "text_queries",
        "alone",
        _cell("text query, round trip", "p50, ms", "{} ms"),
    ),
    _Speed(
        ("text queries of 16 callers", "テキストクエリ、クライアント 16"),
        "text_queries",
        "many",
        _cell("text queries", "calls/s", "{}/s"),
    ),
    _Speed(
        (
            "photo query over gRPC, one caller, p50",
            "gRPC 経由の写真によるクエリ、クライアント 1、p50",
        ),
        "image_queries",
        "alone",
        _cell("photo like the items', round trip", "p50, ms", "{} ms"),
    ),
    _Speed(
        (
            "look-up of a composed query among 100,000 items, p50",
            "合成クエリの近傍探索、10 万件、p50",
        ),
        "scale",
        "scale",
        _look_up("100000"),
    ),
    _Speed(
        ("the same among 1,000,000 items", "同じく 100 万件"),
        "scale",
        "scale",
        _look_up("1000000"),
    ),
    _Speed(
        ("from start to first answer", "起動から最初の応答まで"),
        "start",
        "start",
        _cell("`tashihiki serve`", "median, s", "{} s"),
    ),
    _Speed(
        (
            "acknowledged writes lost / `kill -9` at random moments",
            "失われた確認応答済みの書き込み / ランダムな瞬間の `kill -9`",
        ),
        "faults",
        "faults",
        _kills,
    ),
)


def with_figures(readme: str, number: int, evaluation: str, found: Mapping[str, Result]) -> str:
    """A README with the figures as they are now.

    Args:
        readme: its text.
        number: 0 for English, 1 for Japanese.
        evaluation: the text of docs/evaluation.md.
        found: results by the names of their benchmarks; what was not measured is left out.

    Raises:
        ValueError: if a mark is missing, or a row of the evaluation.
    """
    text = _between(readme, "quality", _quality(number, evaluation))
    return _between(text, "speed", _speed(number, found))


def write(found: Mapping[str, Result]) -> None:
    """Writes the figures into both READMEs."""
    evaluation = EVALUATION.read_text(encoding="utf-8")
    for number, path in enumerate(READMES):
        text = with_figures(path.read_text(encoding="utf-8"), number, evaluation, found)
        path.write_text(text, encoding="utf-8")


def _between(text: str, name: str, content: str) -> str:
    begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->"
    before, first, rest = text.partition(begin)
    _, last, after = rest.partition(end)
    if not (first and last):
        raise ValueError(f"the document lacks the marks of {name}")
    return f"{before}{begin}\n{content}\n\n{end}{after}"


def _quality(number: int, evaluation: str) -> str:
    rows = []
    for quality in _QUALITY:
        found = _evaluated(evaluation, quality.catalogue, quality.task)
        rows.append([quality.words[number], *(found[name] for name in (_PLAIN, _OURS, _GAIN))])
    return table(list(_QUALITY_HEADER[number]), rows)


def _evaluated(evaluation: str, catalogue: str, task: str) -> dict[str, str]:
    """A row of a catalogue's table, by the headings of its columns."""
    section = re.search(rf"^### {catalogue}\n(.*?)(?=^###? |\Z)", evaluation, re.M | re.S)
    lines = section[1].splitlines() if section else []
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if "|" in line]
    for row in cells:
        if row[0].startswith(task):
            return dict(zip(cells[0], row, strict=True))
    raise ValueError(f"docs/evaluation.md has no row {task} of {catalogue}")


def _speed(number: int, found: Mapping[str, Result]) -> str:
    rows = []
    for speed in _SPEED:
        result = found.get(speed.benchmark)
        measured = None if result is None else result.table(speed.table)
        value = None if measured is None else speed.value(measured)
        if result is not None and value is not None:
            rows.append([speed.words[number], value, f"`{result.command}`"])
    return table(list(_SPEED_HEADER[number]), rows)
