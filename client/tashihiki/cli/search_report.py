"""A search's answer as a table or as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.padding import Padding
from rich.table import Table

from tashihiki.cli.filtered_metadata import cell, filtered_paths
from tashihiki.cli.output import attribute_text, console, printable
from tashihiki.cli.wording import block_heading, block_text, left_out_text, term_text
from tashihiki.results import Hit, SearchResult

# An id up to this wide keeps to one line; the shares leave the table to make room.
_ID_WIDTH = 40
_ID = 1
_GAP = 2
_INDENT = 3
# Of the best posterior, below which an answer is nothing but the nearest that there is.
_UNLIKELY = 0.01


def print_understood(result: SearchResult, remark: str = "") -> None:
    """How the query was understood, and a remark on its answer."""
    out = console()
    _print_terms(out, result)
    if _has_blocks(result):
        blocks = "  ".join(printable(block_text(block)) for block in result.blocks)
        out.print(f"blocks: {blocks}", soft_wrap=True)
    summary = f"norm {result.norm:.3f}, generation {result.generation}, route {result.route.value}"
    out.print(summary, soft_wrap=True)
    if remark:
        out.print(remark, soft_wrap=True)


def print_hits(result: SearchResult, first_rank: int = 1, where: str | None = None) -> None:
    """The hits and why, with the metadata that the filter `where` asks about.

    In a factored space a hit has a cosine for each block that the query fills; in the sum it has
    what each term contributed.
    """
    if result.hits:
        _print_hits(console(), result, first_rank, _filtered(result, where))


def print_next_page(result: SearchResult) -> None:
    """How to go on."""
    if result.next_page_token:
        console().print(f"next page: --page {printable(result.next_page_token)}", soft_wrap=True)


def search_json(result: SearchResult) -> dict[str, Any]:
    """The answer as one JSON object."""
    return {
        "hits": [_hit_json(hit) for hit in result],
        "norm": result.norm,
        "terms": [vars(term) for term in result.terms],
        "unresolved_terms": [vars(term) for term in result.unresolved_terms],
        "generation": result.generation,
        "route": result.route.value,
        "blocks": [vars(block) for block in result.blocks],
        "next_page_token": result.next_page_token,
    }


def _hit_json(hit: Hit) -> dict[str, Any]:
    return {
        "id": hit.id,
        "similarity": hit.similarity,
        "attributes": dict(hit.attributes),
        "metadata": dict(hit.metadata),
        "contributions": [vars(contribution) for contribution in hit.contributions],
        "blocks": [vars(block) for block in hit.blocks],
        "posterior": hit.posterior,
    }


def _print_terms(out: Console, result: SearchResult) -> None:
    for number, term in zip(_numbers(result), result.terms, strict=True):
        out.print(f"{number} {printable(term_text(term))}", soft_wrap=True)
    indent = " " * len("[1]")
    for missing in result.unresolved_terms:
        out.print(f"{indent} {printable(left_out_text(missing))}", soft_wrap=True)


def _numbers(result: SearchResult) -> list[str]:
    return [f"[{number}]" for number in range(1, len(result.terms) + 1)]


# Of the paths that a filter names, each with a cell for every hit.
_Filtered = Mapping[str, Sequence[str]]


def _filtered(result: SearchResult, where: str | None) -> _Filtered:
    columns = {
        printable(path): [printable(cell(hit.metadata, keys)) for hit in result]
        for path, keys in filtered_paths(where).items()
    }
    return {path: cells for path, cells in columns.items() if any(cells)}


def _print_hits(out: Console, result: SearchResult, first_rank: int, filtered: _Filtered) -> None:
    """Prints what fits beside the ids in columns, and the rest under each hit."""
    shares = [*_share_names(result), *filtered]
    names = ["#", "id", "similarity", *shares, "attributes"]
    reranked = _is_reranked(result)
    rows = [
        _row(first_rank + place, hit, result, reranked, [each[place] for each in filtered.values()])
        for place, hit in enumerate(result)
    ]
    widths = [max(map(cell_len, column)) for column in zip(names, *rows, strict=True)]
    kept = _columns_that_fit(widths, out.width)
    widths[_ID] = max(1, min(widths[_ID], out.width - _taken(widths[:kept])))
    _print_row(out, names[:kept], widths, "bold")
    for row in rows:
        _print_row(out, row[:kept], widths)
        if kept < len(row) - 1:
            under = zip(shares, row[kept:-1], strict=True)
            entries = [f"{name} {share}" for name, share in under if share]
            for line in _packed(entries, out.width - _INDENT):
                _print_under(out, line)
        if kept < len(row):
            _print_under(out, row[-1])
    if reranked and max(hit.posterior or 0.0 for hit in result) < _UNLIKELY:
        out.print("none of these is likely to show what was asked for", soft_wrap=True)


def _has_blocks(result: SearchResult) -> bool:
    return len(result.blocks) > 1


def _share_names(result: SearchResult) -> list[str]:
    posterior = ["posterior"] if _is_reranked(result) else []
    if not _has_blocks(result):
        return posterior + _numbers(result)
    return posterior + [printable(block_heading(b)) for b in result.blocks if b.weight]


def _is_reranked(result: SearchResult) -> bool:
    # On the pages of a long search, hits without a posterior follow those with one.
    return any(hit.posterior is not None for hit in result)


def _row(
    rank: int, hit: Hit, result: SearchResult, reranked: bool, filtered: Sequence[str]
) -> list[str]:
    shares = [_posterior_text(hit.posterior)] if reranked else []
    if _has_blocks(result):
        pairs = zip(result.blocks, hit.blocks, strict=True)
        shares += [f"{share.similarity:+.3f}" for block, share in pairs if block.weight]
    else:
        shares += [f"{contribution.similarity:+.3f}" for contribution in hit.contributions]
    similarity = f"{hit.similarity:.4f}"
    attributes = attribute_text(hit.attributes)
    return [str(rank), printable(hit.id), similarity, *shares, *filtered, attributes]


def _posterior_text(posterior: float | None) -> str:
    if posterior is None:
        return ""
    # The order of hits is that of the logarithms: what is tiny differs too.
    return f"{posterior:.0e}" if 0 < posterior < 0.0005 else f"{posterior:.3f}"


def _columns_that_fit(widths: Sequence[int], room: int) -> int:
    """All columns, all but the attributes, or only rank, id and similarity."""
    every = len(widths)
    if _taken(widths) + widths[_ID] <= room:
        return every
    without = widths[:-1]
    return every - 1 if _taken(without) + min(widths[_ID], _ID_WIDTH) <= room else _ID + 2


def _taken(widths: Sequence[int]) -> int:
    return sum(widths) - widths[_ID] + _GAP * (len(widths) - 1)


def _packed(entries: Sequence[str], room: int) -> list[str]:
    """The entries as lines no wider than `room`, none of them broken unless it is wider."""
    lines: list[str] = []
    for entry in entries:
        joined = f"{lines[-1]}{' ' * _GAP}{entry}" if lines else ""
        if joined and cell_len(joined) <= room:
            lines[-1] = joined
        else:
            lines.append(entry)
    return lines


def _print_row(out: Console, row: Sequence[str], widths: Sequence[int], style: str = "") -> None:
    line = Table.grid(padding=(0, _GAP, 0, 0), pad_edge=False)
    for index, width in enumerate(widths[: len(row)]):
        is_text = index == _ID or index == len(widths) - 1
        line.add_column(justify="left" if is_text else "right", width=width, overflow="fold")
    line.add_row(*row, style=style)
    out.print(line)


def _print_under(out: Console, text: str) -> None:
    if text:
        out.print(Padding(text, (0, 0, 0, _INDENT)))
