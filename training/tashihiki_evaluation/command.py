"""Carries out an evaluation request and tells the terminal how it goes."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from tashihiki.errors import FailedPreconditionError
from tashihiki_evaluation.catalogue import Labels, labels_of
from tashihiki_evaluation.encoder_choice import encoder_folder
from tashihiki_evaluation.encoding import Encoding, FrozenEncoding
from tashihiki_evaluation.episodes import MOST_QUERIES, Plan
from tashihiki_evaluation.evaluation import TaskResult, evaluate
from tashihiki_evaluation.failures import draw_failures, worst_failures
from tashihiki_evaluation.figures import figures
from tashihiki_evaluation.identical import Identical, identical_pictures
from tashihiki_evaluation.pictures import Pictures
from tashihiki_evaluation.plots import draw_heat_map, draw_recall
from tashihiki_evaluation.report import Report, markdown, write_json, write_queries
from tashihiki_evaluation.request import EvaluationRequest
from tashihiki_evaluation.rows import FACTORED, PLAIN, RERANK
from tashihiki_server.cli.progress import counting
from tashihiki_server.dataset import Photo, Skipped, none_readable
from tashihiki_server.names import fold
from tashihiki_training.most_frequent import unknown_facet

FORMAT = 1
_MOST_LISTED = 20
_WIDTH_OF_A_FILE = 120


def run_evaluation(request: EvaluationRequest, console: Console | None = None) -> Report:
    """Evaluates and writes report.md, report.json, queries.tsv and pictures into the folder.

    Raises:
        TashihikiError: whatever is wrong with the request, the catalogue or the encoder.
    """
    console = console or Console(stderr=True, highlight=False, soft_wrap=True, markup=False)
    if not console.is_terminal:
        console.width = _WIDTH_OF_A_FILE
    started = time.monotonic()
    protocols = request.chosen_protocols()
    dataset = request.dataset()
    labels_of(dataset.photos, dataset.facets)  # Nothing is embedded in vain.
    encoding = _encoding(request)
    out = _prepared(request.out)
    pictures = encoding.load(dataset.photos, out, request.workers)
    left_out = [*dataset.skipped, *pictures.unreadable]
    labels = _readable_labels(pictures, dataset.facets)
    identical = identical_pictures(pictures.pixels, labels.codes)
    plan = Plan(
        labels=labels,
        group=identical.group,
        digests=pictures.pixels,
        protocols=protocols,
        folds=request.folds,
        seed=request.seed,
        identity=_identity(request.identity, labels),
    )
    source = encoding.source(plan, out, console)
    with counting("evaluating") as progress:
        results = evaluate(plan, source, progress)
    seen = encoding.known_pictures()
    leaked = sum(file in seen for file in pictures.files)
    report: Report = {
        "format": FORMAT,
        "catalogue": _catalogue(request.source, labels),
        "encoder": encoding.facts(),
        "settings": {
            "facets": list(labels.names),
            "top": request.top,
            "protocols": list(protocols),
            "identity": labels.names[plan.identity],
            "folds": request.folds,
            "seed": request.seed,
            "most_queries": MOST_QUERIES,
        },
        "leak": _leak(leaked, len(pictures.photos)),
        "identical": {
            "groups": identical.groups,
            "pictures": identical.photos,
            "conflicting": identical.conflicting,
            "text": str(identical),
        },
        "tasks": {r.task.key: figures(r, labels, request.seed) for r in results},
        "not_applicable": _not_applicable(protocols, results),
        "left_out": [{"path": str(s.path), "why": s.why} for s in left_out],
    }
    if leaked:
        _mark(report)
    report["plots"] = _draw_plots(report, results, labels, out)
    report["failures"] = _draw_failures(results, labels, pictures.photos, out)
    report["seconds"] = round(time.monotonic() - started, 1)
    write_json(report, out / "report.json")
    write_queries(results, labels, pictures.photos, out / "queries.tsv")
    (out / "report.md").write_text(markdown(report), encoding="utf-8")
    _tell(console, report, left_out, identical, out)
    return report


def _encoding(request: EvaluationRequest) -> Encoding:
    if request.recipe is None:
        return FrozenEncoding(encoder_folder(request.encoder, request.data))
    # torch takes seconds to import, and nothing else here needs it.
    from tashihiki_evaluation.trained_encoding import TrainedEncoding

    return TrainedEncoding(request.recipe)


def _prepared(out: Path) -> Path:
    try:
        out.mkdir(parents=True, exist_ok=True)
        writable = os.access(out, os.W_OK)
    except OSError:
        writable = False
    if writable:
        return out
    raise FailedPreconditionError(
        f"the folder {out} cannot be written",
        reason="OUTPUT_NOT_WRITABLE",
        field="out",
        remedy="Choose another folder with --out.",
    )


def _readable_labels(pictures: Pictures, facets: Sequence[str]) -> Labels:
    if pictures.photos:
        return labels_of(pictures.photos, facets)
    raise none_readable(pictures.unreadable)


def _identity(name: str | None, labels: Labels) -> int:
    """The facet with the given name, or the one with the most values."""
    if name is None:
        return max(range(len(labels.facets)), key=lambda f: len(labels.values[f]))
    if fold(name) not in labels.facets:
        raise unknown_facet(name, "identity", labels.facets)
    return labels.facets.index(fold(name))


def _catalogue(source: Path, labels: Labels) -> dict[str, Any]:
    return {
        "source": source.name
        if source.is_dir()
        else f"{source.resolve().parent.name}/{source.name}",
        "pictures": len(labels.codes),
        "facets": {
            name: {value: int((labels.codes[:, f] == code).sum()) for code, value in enumerate(vs)}
            for f, (name, vs) in enumerate(zip(labels.names, labels.values, strict=True))
        },
    }


def _leak(leaked: int, pictures: int) -> str:
    if not leaked:
        return ""
    return f"leak: {leaked} of {pictures} pictures were in this encoder's training"


def _mark(report: Report) -> None:
    """Says of every figure that an encoder which knew the pictures cannot vouch for it."""
    for task in report["tasks"].values():
        task["title"] += " (leak)"


def _not_applicable(protocols: Sequence[str], results: Sequence[TaskResult]) -> dict[str, str]:
    asked = {result.task.key.partition("-")[0] for result in results}
    return {
        name: "no query of it has an answer in this catalogue"
        for name in protocols
        if name not in asked
    }


def _draw_plots(
    report: Report, results: Sequence[TaskResult], labels: Labels, out: Path
) -> dict[str, str]:
    """Writes the plots over all tasks; caption → file name."""
    drawn: dict[str, str] = {}
    if report["tasks"]:
        draw_recall(report["tasks"], out / "recall.png")
        drawn["R@1 of every row"] = "recall.png"
    by_key = {result.task.key: result for result in results}
    mapped = next((by_key[key] for key in ("P2", "P1", "P0") if key in by_key), None)
    if mapped is not None:
        down, across = sorted(mapped.queries.pair[0].tolist())
        draw_heat_map(mapped, labels, (down, across), out / "heat_map.png")
        names = f"{labels.names[down]} × {labels.names[across]}"
        drawn[f"Hits of {names}"] = "heat_map.png"
    return drawn


def _draw_failures(
    results: Sequence[TaskResult], labels: Labels, photos: Sequence[Photo], out: Path
) -> dict[str, str]:
    """Writes the contact sheets of failures; key of the task → file name."""
    drawn: dict[str, str] = {}
    for result in results:
        path = out / f"failures_{result.task.key}.png"
        path.unlink(missing_ok=True)
        worst = worst_failures(result)
        if len(worst):
            draw_failures(result, labels, photos, worst, path)
            drawn[result.task.key] = path.name
    return drawn


def _tell(
    console: Console, report: Report, left_out: Sequence[Skipped], identical: Identical, out: Path
) -> None:
    for skipped in left_out[:_MOST_LISTED]:
        console.print(f"left out: {skipped.path}: {skipped.why}")
    if len(left_out) > _MOST_LISTED:
        console.print(f"… and {len(left_out) - _MOST_LISTED} more, {len(left_out)} in all")
    for name, why in report["not_applicable"].items():
        console.print(f"{name}: {why}")
    if identical.groups:
        console.print(f"{identical}, each kept on one side of every split")
    if report["leak"]:
        console.print(report["leak"])
    console.print(_headline(report))
    console.print(f"{out / 'report.md'} has the rest; {report['seconds']:.0f} s")


def _headline(report: Report) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("R@1")
    for name in ("queries", PLAIN, FACTORED, "re-ranked", "95 % interval"):
        table.add_column(name, justify="right", no_wrap=True)
    for task in report["tasks"].values():
        found = {row: figures.get("recall_at_1") for row, figures in task["rows"].items()}
        values = {row: f"{recall['value']:.2f}" if recall else "–" for row, recall in found.items()}
        served = found[RERANK]
        table.add_row(
            task["title"],
            str(task["queries"]),
            values[PLAIN],
            values[FACTORED],
            values[RERANK],
            f"{served['low']:.2f}–{served['high']:.2f}",
        )
    return table
