"""A search's answer as a table or as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table

from tashihiki.cli.output import attribute_text, console, printable, table
from tashihiki.results import Hit, ResolvedTerm, SearchResult

# An id up to this wide keeps to one line, at the cost of the other columns.
_ID_WIDTH = 40


def print_report(result: SearchResult) -> None:
    """How the query was understood, then the hits with what each term contributed."""
    out = console()
    _print_terms(out, result)
    summary = f"norm {result.norm:.3f}, generation {result.generation}, route {result.route.value}"
    out.print(summary, soft_wrap=True)
    if not result.hits:
        out.print("no hits")
        return
    out.print()
    out.print(_hits(result))


def search_json(result: SearchResult) -> dict[str, Any]:
    """The answer as one JSON object."""
    return {
        "hits": [_hit_json(hit) for hit in result],
        "norm": result.norm,
        "terms": [vars(term) for term in result.terms],
        "unresolved_terms": [vars(term) for term in result.unresolved_terms],
        "generation": result.generation,
        "route": result.route.value,
    }


def _hit_json(hit: Hit) -> dict[str, Any]:
    return {
        "id": hit.id,
        "similarity": hit.similarity,
        "attributes": dict(hit.attributes),
        "metadata": dict(hit.metadata),
        "contributions": [vars(contribution) for contribution in hit.contributions],
    }


def _print_terms(out: Console, result: SearchResult) -> None:
    for term in result.terms:
        line = f"{term.weight:+g}  {printable(term.label)}: {_meaning(term)}"
        out.print(line, soft_wrap=True)
    for missing in result.unresolved_terms:
        line = f"{missing.weight:+g}  {printable(missing.label)}: left out, {missing.reason}"
        out.print(line, soft_wrap=True)


def _meaning(term: ResolvedTerm) -> str:
    if term.kind == "attribute":
        name = printable(f"{term.facet}:{term.value}")
        return f"{name}, prototype of {term.member_count} items"
    if term.kind == "facet":
        return f"the facet {printable(term.facet)} is ignored"
    return f"{term.kind} {printable(term.name)}".rstrip()


def _hits(result: SearchResult) -> Table:
    labels = [_unique(term, result.terms) for term in result.terms]
    numbers = ("#", "similarity", *labels)
    grid = table("#", "id", "similarity", *labels, "attributes", numbers=numbers)
    grid.columns[1].min_width = min(_ID_WIDTH, max(cell_len(hit.id) for hit in result))
    for rank, hit in enumerate(result, start=1):
        grid.add_row(*_row(rank, hit))
    return grid


def _unique(term: ResolvedTerm, terms: Sequence[ResolvedTerm]) -> str:
    label = printable(term.label)
    if term.kind == "facet":
        return f"- {label}"
    twice = sum(other.label == term.label for other in terms) > 1
    return f"{term.weight:+g} {label}" if twice or term.weight != 1 else label


def _row(rank: int, hit: Hit) -> list[str]:
    shares = [f"{contribution.similarity:+.3f}" for contribution in hit.contributions]
    similarity = f"{hit.similarity:.4f}"
    return [str(rank), printable(hit.id), similarity, *shares, attribute_text(hit.attributes)]
