"""Two answers beside each other, as a table or as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from rich.table import Table

from tashihiki.cli.output import console, printable
from tashihiki.cli.wording import term_text
from tashihiki.results import Hit, ResolvedTerm


@dataclass(frozen=True)
class Side:
    """One of the answers.

    Attributes:
        name: of the space or the query.
        terms: as they were understood.
        hits: the best first.
        note: why there are none, where that is not the collection's doing.
    """

    name: str
    terms: Sequence[ResolvedTerm]
    hits: Sequence[Hit]
    note: str = ""


@dataclass(frozen=True)
class Comparison:
    """Two answers."""

    left: Side
    right: Side

    @property
    def alone(self) -> set[str]:
        """The ids of the hits that only one side has."""
        return {hit.id for hit in self.left.hits} ^ {hit.id for hit in self.right.hits}

    def print(self) -> None:
        """The terms, the hits of both sides rank by rank, and how many they share."""
        out = console()
        for side in (self.left, self.right):
            if side is self.left or side.terms != self.left.terms:
                out.print(printable("  ".join(map(term_text, side.terms))), soft_wrap=True)
        out.print()
        out.print(self._table())
        for side in (self.left, self.right):
            if side.note:
                out.print("\n" + printable(f"{side.name}: {side.note}"), soft_wrap=True)
        out.print(f"\n{self._shared()} in both, * only on that side")

    def json(self) -> dict[str, Any]:
        """The same as one JSON object."""
        return {
            "sides": [self._side_json(side) for side in (self.left, self.right)],
            "shared_count": self._shared(),
        }

    def _shared(self) -> int:
        return len({hit.id for hit in self.left.hits} - self.alone)

    def _table(self) -> Table:
        grid = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
        grid.add_column("#", justify="right", no_wrap=True)
        for side in (self.left, self.right):
            grid.add_column("", no_wrap=True)
            grid.add_column(printable(side.name), overflow="fold")
            grid.add_column("similarity", justify="right", no_wrap=True)
            grid.add_column("values", overflow="fold")
        pairs = zip_longest(self.left.hits, self.right.hits)
        for rank, pair in enumerate(pairs, start=1):
            cells = [cell for hit in pair for cell in self._cells(hit)]
            grid.add_row(str(rank), *cells)
        return grid

    def _cells(self, hit: Hit | None) -> tuple[str, str, str, str]:
        if hit is None:
            return "", "", "", ""
        mark = "*" if hit.id in self.alone else ""
        # Without the facets' names, of which two sides have no room.
        values = printable(" ".join(hit.attributes[facet] for facet in sorted(hit.attributes)))
        return mark, printable(hit.id), f"{hit.similarity:.4f}", values

    def _side_json(self, side: Side) -> dict[str, Any]:
        return {
            "name": side.name,
            "note": side.note,
            "terms": [vars(term) for term in side.terms],
            "hits": [
                {
                    "id": hit.id,
                    "similarity": hit.similarity,
                    "attributes": dict(hit.attributes),
                    "only_here": hit.id in self.alone,
                }
                for hit in side.hits
            ],
        }
