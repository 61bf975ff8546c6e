"""`tashihiki collections`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from tashihiki.catalog import Collection, IndexStatus, SpaceDiagnostics
from tashihiki.cli.completion import collection_names
from tashihiki.cli.failure import reporting
from tashihiki.cli.options import DEFAULT_SERVER, DEFAULT_TIMEOUT, Json, Server, Timeout
from tashihiki.cli.output import console, print_json, printable, table
from tashihiki.cli.wording import encoder_change_text
from tashihiki.client import Client

Name = Annotated[
    str | None,
    typer.Argument(help="Only this collection, with its space.", autocompletion=collection_names),
]


def collections(
    name: Name = None,
    json: Json = False,
    server: Server = DEFAULT_SERVER,
    timeout: Timeout = DEFAULT_TIMEOUT,
) -> None:
    """List the collections of a server, or describe one."""
    with reporting(), Client(server, timeout=timeout) as client:
        if name is None:
            _list(client.list_collections(), json)
        elif json:
            print_json(_collection_json(client.get_collection(name)))
        else:
            _describe(client.get_collection(name))


def _list(found: list[Collection], json: bool) -> None:
    if json:
        print_json([_collection_json(collection) for collection in found])
        return
    numbers = ("items", "dimension", "generation")
    grid = table("name", "items", "space", "dimension", "generation", "encoder", numbers=numbers)
    for one in found:
        grid.add_row(
            printable(one.name),
            str(one.item_count),
            _space_text(one),
            str(one.dimension),
            str(one.generation),
            printable(one.encoder),
        )
    out = console()
    out.print(grid if found else "no collections")
    for one in found:
        if one.fault:
            out.print(printable(f"{one.name} cannot be used: {one.fault}"), soft_wrap=True)


def _space_text(collection: Collection) -> str:
    """`sum, factored pending`: what answers, and what is on its way."""
    pending = ", refitting" if collection.space_in_force == "factored" else ", factored pending"
    return collection.space_in_force + (pending if collection.space_pending else "")


def _describe(collection: Collection) -> None:
    out = console()
    facts = Table.grid(padding=(0, 2, 0, 0), pad_edge=False)
    facts.add_row("name", printable(collection.name))
    facts.add_row("items", str(collection.item_count))
    facts.add_row("space", f"{_space_text(collection)} (asked for: {collection.space.kind})")
    facts.add_row("dimension", str(collection.dimension))
    facts.add_row("generation", str(collection.generation))
    facts.add_row("encoder", printable(collection.encoder))
    if collection.previous_encoder:
        facts.add_row("encoder before", printable(collection.previous_encoder))
    if collection.encoder_change is not None:
        facts.add_row("changing to", printable(encoder_change_text(collection.encoder_change)))
    facts.add_row("target recall", f"{collection.target_recall:g}")
    if collection.index is not None:
        facts.add_row("index", _index_text(collection.index))
    _describe_fit(out, facts, collection.diagnostics)
    if collection.index is not None and collection.index.curve:
        out.print()
        out.print(_curve(collection.index))


def _describe_fit(out: Console, facts: Table, fit: SpaceDiagnostics | None) -> None:
    if fit is None:
        out.print(facts)
        return
    fitted = f"{fit.item_count} items, {fit.combination_count} combinations of values"
    facts.add_row("fitted to", fitted)
    facts.add_row("shrinkage", f"{fit.shrinkage:g}")
    facts.add_row("additive R²", f"{fit.additive_r2:.3f}")
    if fit.held_out_accuracy is not None:
        facts.add_row("recognised", f"{fit.held_out_accuracy:.1%} of held-out values")
    out.print(facts)
    out.print()
    out.print(_variance(fit))
    if fit.angles:
        out.print()
        out.print(_angles(fit))


def _index_text(index: IndexStatus) -> str:
    """`cells, 9000 items; 120 newer, 30 removed; being built`."""
    parts = [f"{index.route.value}, {index.indexed_count} items"]
    if index.newer_count or index.removed_count:
        parts.append(f"{index.newer_count} newer, {index.removed_count} removed")
    if index.pending:
        parts.append("being built")
    return "; ".join(parts)


def _curve(index: IndexStatus) -> Table:
    """What the build measured; a star for what searches use."""
    names = ("setting", "neighbours", "recall", "ms")
    grid = table("measured", *names, "", numbers=names)
    for point in index.curve:
        grid.add_row(
            point.route.value,
            f"{point.setting:g}",
            str(point.count),
            f"{point.recall:.4f}",
            f"{point.seconds * 1000:.3f}",
            "*" if point.chosen else "",
        )
    return grid


def _variance(fit: SpaceDiagnostics) -> Table:
    grid = table("share of the variance", "", "block", numbers=("", "block"))
    for facet in fit.facets:
        grid.add_row(printable(facet.facet), f"{facet.variance_share:.1%}", str(facet.dimension))
    grid.add_row("interaction", f"{fit.interaction_share:.1%}", "")
    grid.add_row("residual", f"{fit.residual_share:.1%}", "")
    grid.add_row("rest", "", str(fit.rest_dimension))
    return grid


def _angles(fit: SpaceDiagnostics) -> Table:
    grid = table("smallest angle between", "", "degrees", numbers=("degrees",))
    for angle in fit.angles:
        grid.add_row(printable(angle.facet), printable(angle.other), f"{angle.degrees:.1f}")
    return grid


def _collection_json(collection: Collection) -> dict[str, Any]:
    return {
        **vars(collection),
        "space": vars(collection.space),
        "create_time": collection.create_time and collection.create_time.isoformat(),
        "diagnostics": collection.diagnostics and asdict(collection.diagnostics),
        "index": collection.index and _index_json(collection.index),
        "encoder_change": collection.encoder_change and asdict(collection.encoder_change),
    }


def _index_json(index: IndexStatus) -> dict[str, Any]:
    return {
        **vars(index),
        "route": index.route.value,
        "curve": [{**vars(point), "route": point.route.value} for point in index.curve],
    }
