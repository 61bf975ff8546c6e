"""How a query's terms are put into words."""

from __future__ import annotations

from tashihiki.catalog import EncoderChange
from tashihiki.results import ComposedBlock, ResolvedTerm, UnresolvedTerm

MINUS = "\N{MINUS SIGN}"


def term_text(term: ResolvedTerm) -> str:
    """`+ 0.5 × colour:red (9 items)`."""
    notes = {"attribute": f" ({term.member_count} items)", "facet": " (ignored)"}
    return f"{weight_text(term.weight)} {operand_text(term)}{notes.get(term.kind, '')}"


def left_out_text(term: UnresolvedTerm) -> str:
    """`+ item(x) (left out: UNKNOWN_ITEM)`."""
    return f"{weight_text(term.weight)} {term.label} (left out: {term.reason})"


def operand_text(term: ResolvedTerm) -> str:
    """The operand without its weight, as the server resolved it."""
    if term.kind == "attribute":
        return f"{term.facet}:{term.value}"
    if term.kind == "facet":
        return term.facet
    if term.kind == "item":
        return f"item({term.name})"
    return term.label


def block_text(block: ComposedBlock) -> str:
    """`colour 33 % [2]`, the numbers being those of the terms that filled the block."""
    return f"{block_name(block)} {block.weight:.0%} {_term_numbers(block)}".rstrip()


def block_heading(block: ComposedBlock) -> str:
    """`colour [2]`."""
    return f"{block_name(block)} {_term_numbers(block)}".rstrip()


def block_name(block: ComposedBlock) -> str:
    """The facet, or `rest`."""
    return block.facet or "rest"


def _term_numbers(block: ComposedBlock) -> str:
    return "".join(f"[{number + 1}]" for number in block.terms)


def encoder_change_text(change: EncoderChange) -> str:
    """`f00d: 10 of 213 items, stopped: the disk is full`."""
    fault = f", stopped: {change.fault}" if change.fault else ""
    return f"{change.encoder}: {change.done_count} of {change.total_count} items{fault}"


def weight_text(weight: float) -> str:
    """The sign, and the size when it is not 1."""
    sign = MINUS if weight < 0 else "+"
    size = abs(weight)
    return sign if size == 1 else f"{sign} {size:g} ×"
