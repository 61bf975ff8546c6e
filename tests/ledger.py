"""What clients were told: every acknowledged write, and the ones that nobody was told of."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tashihiki.v1 import catalog_pb2, composition_pb2
from tiny_encoder import DIMENSION

Vector = NDArray[np.float32]


@dataclass(frozen=True)
class Content:
    """An item as its writer knows it.

    Attributes:
        attributes: facet and value, sorted.
        vector: (DIMENSION,) float32 of unit length, as bytes.
    """

    attributes: tuple[tuple[str, str], ...]
    vector: bytes

    def array(self) -> Vector:
        """The vector."""
        return np.frombuffer(self.vector, dtype=np.float32)

    def message(self, identifier: str, *, with_vector: bool = True) -> catalog_pb2.ItemInput:
        """The item to upsert; without its vector the stored one stays."""
        vector = composition_pb2.Vector(values=self.array().tolist()) if with_vector else None
        return catalog_pb2.ItemInput(id=identifier, vector=vector, attributes=dict(self.attributes))


Contents = dict[str, Content]


def content_of(item: catalog_pb2.Item) -> Content:
    """What the server returned with `include_vector`."""
    vector = np.array(item.vector.values, dtype=np.float32)
    return Content(tuple(sorted(item.attributes.items())), vector.tobytes())


def random_content(dice: np.random.Generator, **attributes: str) -> Content:
    """A random direction without negative coordinates."""
    vector = dice.random(DIMENSION).astype(np.float32)
    vector /= np.linalg.norm(vector)
    return Content(tuple(sorted(attributes.items())), vector.tobytes())


def same(found: Mapping[str, Content], wanted: Mapping[str, Content]) -> bool:
    """Equal but for the last bits, which normalising again may turn."""
    if found.keys() != wanted.keys():
        return False
    pairs = [(found[name], wanted[name]) for name in wanted]
    if any(a.attributes != b.attributes for a, b in pairs):
        return False
    return all(a.vector == b.vector for a, b in pairs) or all(
        np.allclose(a.array(), b.array(), atol=1e-6) for a, b in pairs
    )


class Journal:
    """The requests of one writer, who sends one at a time: only the last can be unanswered.

    One thread writes; others may read beside it.
    """

    def __init__(self, contents: Mapping[str, Content] | None = None) -> None:
        self._states: list[Contents] = [dict(contents or {})]
        self._answered = 0
        self._lock = threading.Lock()

    @property
    def answered(self) -> int:
        """How many requests were acknowledged."""
        with self._lock:
            return self._answered

    @property
    def begun(self) -> int:
        """How many were sent, acknowledged or not."""
        with self._lock:
            return len(self._states) - 1

    @property
    def contents(self) -> Contents:
        """The writer's items after the last acknowledged request."""
        with self._lock:
            return self._states[self._answered]

    def states(self, first: int, last: int) -> list[Contents]:
        """The writer's items after `first` requests, and so on up to `last`."""
        with self._lock:
            return self._states[first : last + 1]

    def possible(self) -> list[Contents]:
        """The states that a reader may find now: with the request under way and without."""
        with self._lock:
            return self._states[self._answered :]

    @contextmanager
    def request(
        self, written: Mapping[str, Content], removed: frozenset[str] = frozenset()
    ) -> Iterator[None]:
        """Around the call that asks for a change; stays open when the call fails."""
        with self._lock:
            after = {**self._states[-1], **written}
            self._states.append({i: c for i, c in after.items() if i not in removed})
        yield
        with self._lock:
            self._answered += 1

    def refused(self) -> None:
        """Takes back the last request, which the server has refused."""
        with self._lock:
            self._states.pop()
