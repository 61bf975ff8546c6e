"""Items as clients send them, whose colour and shape show in their vectors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.contents.generated import unit
from tashihiki.v1 import catalog_pb2, composition_pb2
from tashihiki_server.space.base import Vectors

_LOOKS = 24
# How much of an item is its own beside the photo that it shows.
_OWN = 0.1


@dataclass(frozen=True)
class Kind:
    """What items there are.

    Attributes:
        dimension: of their vectors.
        colours: values of the facet `colour`, c0, c1, …
        shapes: values of the facet `shape`, s0, s1, …
    """

    dimension: int
    colours: int = 12
    shapes: int = 7


@dataclass(frozen=True)
class Drawn:
    """A generated item without its id."""

    vector: Vectors
    labels: dict[str, str]

    def message(self, number: int) -> catalog_pb2.ItemInput:
        """The item under its number."""
        return catalog_pb2.ItemInput(
            id=item_id(number),
            vector=composition_pb2.Vector(values=self.vector.tolist()),
            attributes=self.labels,
        )


def item_id(number: int) -> str:
    """The id of a numbered item."""
    return f"i{number:09d}"


class Items:
    """Draws items: a colour and a shape, beside much that is neither."""

    def __init__(self, kind: Kind, seed: int, photos: Vectors | None = None) -> None:
        """Draws the same for the same seed.

        Args:
            kind: of the items.
            seed: of what differs between the items.
            photos: (n, dimension) unit vectors; each item is near one of them, so that photos
                like these have neighbours.
        """
        shared = np.random.default_rng(0)
        self._colours = _normal(shared, kind.colours, kind.dimension)
        self._shapes = _normal(shared, kind.shapes, kind.dimension)
        self._looks = _normal(shared, _LOOKS, kind.dimension)
        self._random = np.random.default_rng(seed)
        self._photos = photos

    def draw(self, count: int) -> list[Drawn]:
        """So many items more."""
        colours = self._random.integers(len(self._colours), size=count)
        shapes = self._random.integers(len(self._shapes), size=count)
        looks = _normal(self._random, count, _LOOKS) @ self._looks / 4
        vectors = unit(np.abs(self._colours[colours] + self._shapes[shapes] + looks))
        if self._photos is not None:
            shown = self._photos[self._random.integers(len(self._photos), size=count)]
            vectors = unit(shown + _OWN * vectors)
        return [
            Drawn(vector, {"colour": f"c{colour}", "shape": f"s{shape}"})
            for vector, colour, shape in zip(vectors, colours, shapes, strict=True)
        ]

    def messages(self, count: int, batch: int = 1000) -> Iterator[list[catalog_pb2.ItemInput]]:
        """Batches of numbered items."""
        for start in range(0, count, batch):
            drawn = self.draw(min(batch, count - start))
            yield [item.message(start + n) for n, item in enumerate(drawn)]


def pair_expressions(kind: Kind) -> list[str]:
    """Every colour with every shape, in an order that has nothing to do with them."""
    pairs = [f"colour:c{c} + shape:s{s}" for c in range(kind.colours) for s in range(kind.shapes)]
    order = np.random.default_rng(0).permutation(len(pairs))
    return [pairs[place] for place in order]


def _normal(random: np.random.Generator, *shape: int) -> NDArray[np.float32]:
    return random.standard_normal(shape, dtype=np.float32)
