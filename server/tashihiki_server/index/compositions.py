"""Queries as people compose them, made of the rows of a gallery.

A graph or cells that find an item's neighbours easily may miss those of a sum, which lies where
few rows are. So an index is measured on sums and differences. They are made in the coordinates
of the gallery, as `SumSpace.compose` and `FactoredSpace.compose` make theirs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from tashihiki_server.space.base import Block, Vectors
from tashihiki_server.space.prototype import prototype

_Labels = NDArray[np.int64]
# A prototype is the median of no more: thousands say nothing else.
_MEMBERS = 500
# Fewer say too little.
_FEWEST = 8
_VARIANTS = 8
# A sum shorter than this says nothing about a direction.
_SHORTEST = 1e-3
_TRIES = 20


@dataclass(frozen=True)
class Gallery:
    """What compositions are made of.

    Attributes:
        vectors: (n, d), unit length.
        labels: (n, facets), numbers of values; negative for none.
        facets: names of the columns of `labels`.
        blocks: of the vectors; the one block "" in a space that adds everything up.
        clip: whether negative coordinates of a sum are set to 0.
        rest_weight: of an item's coordinates that belong to no facet.
    """

    vectors: Vectors
    labels: _Labels
    facets: Sequence[str]
    blocks: Sequence[Block]
    clip: bool = False
    rest_weight: float = 1.0

    @cached_property
    def values(self) -> list[tuple[int, int]]:
        """Column and number of every value that can be part of a query."""
        parted = {block.facet for block in self.blocks}
        return [
            (column, int(value))
            for column, facet in enumerate(self.facets)
            if not self.factored or facet in parted
            for value in np.unique(self.labels[:, column])
            if value >= 0
        ]

    @property
    def factored(self) -> bool:
        """Whether facets have blocks of their own."""
        return any(block.facet for block in self.blocks)


class Compositions:
    """Draws queries from a gallery."""

    def __init__(self, gallery: Gallery, random: np.random.Generator) -> None:
        self._gallery = gallery
        self._random = random
        self._prototypes: dict[tuple[int, int, int], Vectors] = {}
        self._kinds: list[Callable[[], Vectors]] = (
            [self._sum_of_items, self._difference_of_items, self._item]
            if not gallery.values
            else [
                self._pair,
                self._item_with_another_value,
                self._item_without_a_facet,
                self._item_and_value,
                self._value,
                self._item,
            ]
            if gallery.factored
            else [
                self._pair,
                self._item_with_another_value,
                self._item_and_value,
                self._value,
                self._item,
                self._sum_of_items,
                self._difference_of_items,
            ]
        )

    def draw(self, count: int) -> tuple[Vectors, NDArray[np.int64]]:
        """Queries (m, d) of unit length, of all kinds in turn; m is `count` but for bad luck.

        And their kinds, by number, (m,).
        """
        queries, kinds = [], []
        for number in range(count):
            for _ in range(_TRIES):
                query = self._kinds[number % len(self._kinds)]().astype(np.float64)
                if self._gallery.clip:
                    query = np.maximum(query, 0.0)
                length = float(np.linalg.norm(query))
                if length > _SHORTEST:
                    queries.append((query / length).astype(np.float32))
                    kinds.append(number % len(self._kinds))
                    break
        drawn = np.array(queries, dtype=np.float32).reshape(-1, self._gallery.vectors.shape[1])
        return drawn, np.array(kinds, dtype=np.int64)

    def _pair(self) -> Vectors:
        first, second = self._any_value(), self._any_value()
        for _ in range(_TRIES):
            # Two values of one facet are rarely asked for together.
            if first[0] != second[0]:
                break
            second = self._any_value()
        pair: Vectors = self._prototype(first) + self._prototype(second)
        return pair

    def _value(self) -> Vectors:
        value = self._prototype(self._any_value())
        # Where coordinates may be negative, a value can be subtracted from nothing.
        away = not self._gallery.clip and self._random.random() < 0.25
        return np.negative(value) if away else value

    def _item(self) -> Vectors:
        gallery = self._gallery
        vector = np.array(gallery.vectors[self._random.integers(len(gallery.vectors))])
        if gallery.factored:
            # Its blocks are as long as prototypes.
            vector *= np.sqrt(len(gallery.blocks))
            for block in gallery.blocks:
                if not block.facet:
                    vector[block.start : block.stop] *= gallery.rest_weight
        return vector

    def _item_and_value(self) -> Vectors:
        both: Vectors = self._item() + self._prototype(self._any_value())
        return both

    def _item_with_another_value(self) -> Vectors:
        column, value = self._any_value()
        if self._gallery.factored:
            replaced: Vectors = self._emptied(column) + self._prototype((column, value))
            return replaced
        others = [key for key in self._gallery.values if key[0] == column and key[1] != value]
        swapped = self._item() + self._prototype((column, value))
        if others:
            swapped -= self._prototype(others[self._random.integers(len(others))])
        return swapped

    def _item_without_a_facet(self) -> Vectors:
        return self._emptied(self._any_value()[0])

    def _emptied(self, column: int) -> Vectors:
        vector = self._item()
        for block in self._gallery.blocks:
            if block.facet == self._gallery.facets[column]:
                vector[block.start : block.stop] = 0.0
        return vector

    def _sum_of_items(self) -> Vectors:
        """Of two or three: the more there are, the farther it lies from each."""
        total: Vectors = self._item() + self._item()
        if self._random.random() < 0.5:
            total += self._item()
        return total

    def _difference_of_items(self) -> Vectors:
        changed: Vectors = self._item() - self._item() + self._item()
        return changed

    def _any_value(self) -> tuple[int, int]:
        """A value: now any, now that of any row, since common ones are asked for more."""
        gallery = self._gallery
        key = gallery.values[self._random.integers(len(gallery.values))]
        if self._random.random() < 0.5:
            return key
        row = self._random.integers(len(gallery.labels))
        value = int(gallery.labels[row, key[0]])
        return (key[0], value) if value >= 0 else key

    def _prototype(self, key: tuple[int, int]) -> Vectors:
        # Of another half of the members each time: the few values of a facet are few queries, and
        # prototypes change with every write.
        variant = (*key, int(self._random.integers(_VARIANTS)))
        if variant not in self._prototypes:
            column, value = key
            members = np.flatnonzero(self._gallery.labels[:, column] == value)
            size = min(max(len(members) // 2, _FEWEST), len(members), _MEMBERS)
            members = np.sort(self._random.choice(members, size=size, replace=False))
            self._prototypes[variant] = self._median(self._gallery.facets[column], members)
        return self._prototypes[variant]

    def _median(self, facet: str, members: NDArray[np.int64]) -> Vectors:
        rows = self._gallery.vectors[members]
        if not self._gallery.factored:
            return prototype(rows)
        vector = np.zeros(rows.shape[1], dtype=np.float32)
        for block in self._gallery.blocks:
            if block.facet == facet:
                part = slice(block.start, block.stop)
                vector[part] = prototype(rows[:, part])
        return vector
