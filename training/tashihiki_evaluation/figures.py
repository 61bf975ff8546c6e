"""The figures of a task: means with intervals, per row, per pair of facets and per facet."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tashihiki_evaluation.catalogue import MISSING, Labels
from tashihiki_evaluation.evaluation import TaskResult
from tashihiki_evaluation.rows import PLAIN, ROWS
from tashihiki_evaluation.statistics import compare, estimate

METRICS = {
    "recall_at_1": "right",
    "recall_at_10": "among_ten",
    "mean_average_precision": "precision",
    "ndcg_at_10": "gain",
    "violation_at_10": "violation",
}
_DIGITS = 4


def figures(result: TaskResult, labels: Labels, seed: int) -> dict[str, Any]:
    """All that the report says of a task, ready for JSON."""
    watched = bool((result.queries.watched != MISSING).any())
    pairs = np.unique(result.queries.pair, axis=0)
    found = {
        "title": result.task.title,
        "definition": result.task.definition,
        "queries": len(result.queries),
        "combinations": int(result.clusters.max()) + 1,
        "refused": result.refused,
        "rows": {row: _row(result, row, labels, watched, seed) for row in ROWS},
    }
    if watched:
        found["watched_among_right"] = round(float(result.chance.mean()), _DIGITS)
    if len(pairs) > 1:
        found["pairs"] = {
            _pair_name(pair, labels): _pair(result, (result.queries.pair == pair).all(axis=1))
            for pair in pairs
        }
    return found


def _row(result: TaskResult, row: str, labels: Labels, watched: bool, seed: int) -> dict[str, Any]:
    outcome, answered = result.outcomes[row], result.answered[row]
    clusters = result.clusters[answered]
    found: dict[str, Any] = {"queries": int(answered.sum())}
    if not answered.any():
        return found
    for name, column in METRICS.items():
        if name != "violation_at_10" or watched:
            values = getattr(outcome, column)[answered]
            found[name] = _rounded(asdict(estimate(values, clusters, seed)))
    found["first_hit_misses"] = _misses(result, row, labels)
    if row != PLAIN:
        plain = result.outcomes[PLAIN].right[answered]
        compared = asdict(compare(outcome.right[answered], plain, clusters, seed))
        found["against_plain_sum"] = {
            **compared,
            "difference": _rounded(compared["difference"]),
            "p": float(f"{compared['p']:.3g}"),
        }
    return found


def _misses(result: TaskResult, row: str, labels: Labels) -> dict[str, float]:
    """Facet → the share of queries asking something of it whose first hit fails there."""
    conditions = (result.queries.asked != MISSING) | (result.queries.unwanted != MISSING)
    found: dict[str, float] = {}
    for facet, name in enumerate(labels.names):
        ours = conditions[:, facet] & result.answered[row]
        if ours.any():
            share = result.outcomes[row].missed[ours, facet].mean()
            found[name] = round(float(share), _DIGITS)
    return found


def _pair(result: TaskResult, which: NDArray[np.bool_]) -> dict[str, Any]:
    rows: dict[str, float | None] = {}
    for row in ROWS:
        values = result.outcomes[row].right[which & result.answered[row]]
        rows[row] = round(float(values.mean()), _DIGITS) if len(values) else None
    return {"queries": int(which.sum()), "recall_at_1": rows}


def _pair_name(pair: NDArray[np.int64], labels: Labels) -> str:
    return " + ".join(dict.fromkeys(labels.names[facet] for facet in pair.tolist()))


def _rounded(values: dict[str, float]) -> dict[str, float]:
    return {name: round(value, _DIGITS) for name, value in values.items()}
