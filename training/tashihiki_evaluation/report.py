"""The report: Markdown to read, JSON for programs, and one line per query and row."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tashihiki_evaluation.catalogue import Labels
from tashihiki_evaluation.evaluation import TaskResult
from tashihiki_evaluation.rows import (
    BY_EXAMPLE,
    BY_EXAMPLE_FACTORED,
    FACTORED,
    PLAIN,
    RERANK,
    ROWS,
)
from tashihiki_server.dataset import Photo

Report = dict[str, Any]
_SHOWN_UNREADABLE = 20
_COLUMNS = (
    *("task", "fold", "query", "item", "row", "first_hit", "right", "rank_of_first_right"),
    *("average_precision", "ndcg_at_10", "watched_at_10", "missed"),
)
_HEADINGS = {
    "recall_at_1": "R@1",
    "recall_at_10": "R@10",
    "mean_average_precision": "mAP",
    "ndcg_at_10": "nDCG@10",
    "violation_at_10": "violation@10",
}


def write_json(report: Report, path: Path) -> None:
    """Writes the whole report."""
    path.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def write_queries(
    results: Sequence[TaskResult], labels: Labels, photos: Sequence[Photo], path: Path
) -> None:
    """Writes a line for every query and row."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter="\t", lineterminator="\n")
        writer.writerow(_COLUMNS)
        for result in results:
            for number in range(len(result.queries)):
                text = result.queries.text(number, labels)
                base = int(result.queries.base[number])
                item = photos[base].id if base >= 0 else ""
                opening = [result.task.key, result.folds[number], text, item]
                for row in ROWS:
                    if result.answered[row][number]:
                        line = _line(result, row, number, labels, photos)
                        writer.writerow([*opening, row, *line])


def _line(
    result: TaskResult, row: str, number: int, labels: Labels, photos: Sequence[Photo]
) -> list[str]:
    outcome = result.outcomes[row]
    first = int(outcome.hits[number, 0])
    missed = [labels.names[f] for f in outcome.missed[number].nonzero()[0]]
    return [
        photos[first].id if first >= 0 else "",
        str(int(outcome.right[number])),
        str(int(outcome.rank[number]) or ""),
        f"{outcome.precision[number]:.4f}",
        f"{outcome.gain[number]:.4f}",
        f"{outcome.violation[number]:.4f}",
        ",".join(missed),
    ]


def markdown(report: Report) -> str:
    """The report for people; pictures are linked where they lie beside it."""
    lines = [f"# Retrieval by composition: {report['catalogue']['source']}", ""]
    lines += [f"**{report['leak']}**", ""] if report["leak"] else []
    lines += ["## What was evaluated", "", *_facts(report), "", "## Headline", ""]
    lines += [headline_table(report), "", *_legend(), ""]
    for name, picture in report["plots"].items():
        lines += [f"![{name}]({picture})", ""]
    for key, task in report["tasks"].items():
        lines += [f"## {task['title']}", "", task["definition"], "", *_counts(task), ""]
        lines += [task_table(task), "", *_pairs(task)]
        if key in report["failures"]:
            lines += [f"![the worst failures of the factored space]({report['failures'][key]})", ""]
    lines += ["## Rows", ""]
    lines += [f"- **{row}**: {definition}" for row, definition in ROWS.items()]
    lines += ["", *_unreadable(report)]
    return "\n".join(lines).rstrip() + "\n"


def headline_table(report: Report) -> str:
    """R@1 of the rows that matter, task by task; as served, hits are re-ranked.

    A row that could not be asked all queries says how many it was asked.
    """
    shown = (PLAIN, FACTORED, RERANK, BY_EXAMPLE, BY_EXAMPLE_FACTORED)
    rows = []
    for task in report["tasks"].values():
        found = task["rows"]
        cells = [_value(found[row], "recall_at_1") for row in shown]
        for place, row in enumerate(shown):
            if found[row]["queries"] != task["queries"]:
                cells[place] += f" (of {found[row]['queries']})"
        cells[shown.index(RERANK)] = _interval(found[RERANK], "recall_at_1")
        difference = _signed(found[RERANK]["against_plain_sum"]["difference"])
        violation = _value(found[RERANK], "violation_at_10")
        rows.append([task["title"], str(task["queries"]), *cells, difference, violation])
    headings = ["R@1", "queries", *shown, f"{RERANK} − {PLAIN}", f"violation@10, {RERANK}"]
    return _table(headings, rows)


def task_table(task: dict[str, Any]) -> str:
    """All rows and metrics of a task."""
    metrics = [name for name in _HEADINGS if name in task["rows"][PLAIN]]
    misses = list(task["rows"][PLAIN]["first_hit_misses"])
    headings = ["row", *(_HEADINGS[name] for name in metrics)]
    headings += [f"misses {facet}" for facet in misses] + ["R@1 − plain sum", "won/lost", "p"]
    rows = []
    for row, found in task["rows"].items():
        if not found["queries"]:
            continue
        name = row if found["queries"] == task["queries"] else f"{row} ({found['queries']})"
        cells = [name, *(_interval(found, metric) for metric in metrics)]
        cells += [f"{found['first_hit_misses'][facet]:.2f}" for facet in misses]
        against = found.get("against_plain_sum")
        cells += (
            [
                _signed(against["difference"]),
                f"{against['wins']}/{against['losses']}",
                f"{against['p']:.2g}",
            ]
            if against
            else ["", "", ""]
        )
        rows.append(cells)
    return _table(headings, rows)


def _facts(report: Report) -> list[str]:
    catalogue, encoder = report["catalogue"], report["encoder"]
    settings = report["settings"]
    facets = ", ".join(f"{name} ({len(values)})" for name, values in catalogue["facets"].items())
    lines = [
        f"- {catalogue['pictures']} pictures; facets and their values: {facets}.",
        f"- Encoder {encoder['name']} {encoder['version']}, {encoder['fingerprint']}, "
        f"{encoder['dimension']} dimensions, computed in {encoder['precision']}.",
        *_trainings(encoder),
        f"- {report['identical']['text']}; a group never stands on both sides of a split.",
        f"- Seed {settings['seed']}, {settings['folds']} folds; P3's identity is "
        f"{settings['identity']}. At most {settings['most_queries']} queries of each task, "
        "drawn from the seed and shared out evenly among its folds.",
    ]
    lines += [f"- {name} was left out: {why}." for name, why in report["not_applicable"].items()]
    return lines


def _trainings(encoder: dict[str, Any]) -> list[str]:
    if "trainings" not in encoder:
        return []
    trainings, start = encoder["trainings"], encoder["initial_weights"]["name"]
    still = sum(training["best_epoch"] == 0 for training in trainings)
    return [
        f"- {len(trainings)} trainings from the weights {start}, at {encoder['input_size']} "
        "pixels, each on nothing but the pictures that its split is fitted on. In "
        f"{still} of them no epoch was better than these weights on unseen combinations of "
        "its own validation part, and they were kept."
    ]


def _legend() -> list[str]:
    return [
        "R@1: the first hit meets all that was asked. R@10: one of the first ten does. mAP: mean "
        "average precision of the whole ranking. nDCG@10: a hit gains the share of what was "
        "asked that it meets. violation@10: the share of the first ten hits that show the value "
        "that was subtracted, ignored or replaced. misses: the share of queries whose first hit "
        "fails in that facet. The operand and pictures identical to it are never hits.",
        "",
        "In brackets: 95 % intervals by a bootstrap of 2000 draws over the combinations asked "
        "for, all queries of a combination together. Won/lost: queries that only this row, or "
        "only the plain sum, gets right. p: two-sided sign test over the combinations where the "
        "two differ.",
    ]


def _counts(task: dict[str, Any]) -> list[str]:
    text = f"{task['queries']} queries for {task['combinations']} combinations."
    if task["refused"]:
        text += (
            f" {task['refused']} more could not be asked: a value of theirs occurs in no other "
            "combination, so the fit does not know it."
        )
    if task.get("watched_among_right"):
        text += (
            " Among all right pictures, "
            f"{100 * task['watched_among_right']:.0f} % show the watched value."
        )
    return [text]


def _pairs(task: dict[str, Any]) -> list[str]:
    if "pairs" not in task:
        return []
    headings = ["R@1", "queries", *ROWS]
    rows = [
        [
            name,
            str(pair["queries"]),
            *("" if value is None else f"{value:.2f}" for value in pair["recall_at_1"].values()),
        ]
        for name, pair in task["pairs"].items()
    ]
    return ["By facets:", "", _table(headings, rows), ""]


def _unreadable(report: Report) -> list[str]:
    left_out = report["left_out"]
    if not left_out:
        return []
    lines = [f"## Left out: {len(left_out)}", ""]
    lines += [f"- {entry['path']}: {entry['why']}" for entry in left_out[:_SHOWN_UNREADABLE]]
    more = len(left_out) - _SHOWN_UNREADABLE
    return [*lines, *([f"- and {more} more; report.json has them all"] if more > 0 else [])]


def _value(found: dict[str, Any], metric: str) -> str:
    return f"{found[metric]['value']:.2f}" if metric in found else "–"


def _interval(found: dict[str, Any], metric: str) -> str:
    if metric not in found:
        return "–"
    estimate = found[metric]
    return f"{estimate['value']:.2f} ({estimate['low']:.2f}–{estimate['high']:.2f})"


def _signed(estimate: dict[str, float]) -> str:
    # Adding 0 takes the sign from what rounds to zero.
    value, low, high = (round(estimate[name], 2) + 0.0 for name in ("value", "low", "high"))
    text = f"{value:+.2f} ({low:+.2f} to {high:+.2f})"
    return text.replace("-", "−")


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    ruler = ["---"] + ["--:"] * (len(headings) - 1)
    lines = [[cell.replace("|", "\\|") for cell in line] for line in (headings, ruler, *rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
