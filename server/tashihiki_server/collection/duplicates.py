"""Items that look alike: every pair that could be near enough is compared."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tashihiki_server.deadline import check_deadline
from tashihiki_server.space.base import Vectors

_BLOCK = 512
_CHUNK = 4096
_SAMPLE = 2000
_LENGTHS = (16, 32, 64, 128)
# Float32 dot products of unit vectors are off by less.
_SLACK = 1e-5

_Numbers = NDArray[np.int64]
_Floats = NDArray[np.float64]
_Bounding = Callable[[_Numbers], Vectors]


class VectorRows(Protocol):
    """What is needed of a gallery."""

    def take(self, rows: _Numbers) -> Vectors:
        """The gallery vectors of rows, (n, d), each of unit length."""
        ...


@dataclass(frozen=True)
class Group:
    """Items that look alike.

    Attributes:
        places: among the rows given; of the first item, then of those similar to it, most
            similar first, equal ones as they were given.
        similarities: cosines to the first, in [-1, 1].
    """

    places: _Numbers
    similarities: _Floats


@dataclass(frozen=True)
class Progress:
    """How many items, counted from the first, are in their groups or in none for good."""

    done: int


def near_duplicates(
    view: VectorRows, rows: _Numbers, min_similarity: float
) -> Iterator[Group | Progress]:
    """Groups of two items and more, and how far the search has come.

    In the order given, each item that is in no group yet is the first of one, and takes every
    later item in no group that is similar enough to it. Nothing is estimated: pairs are left out
    only where an upper bound of their cosine is too low. The work grows by the square of the
    number of items, memory by 600 bytes for an item at most.

    Args:
        view: the vectors of the rows.
        rows: the items, (n,).
        min_similarity: the least cosine to the first item of a group, in (0, 1].

    Raises:
        DeadlineExceededError: DEADLINE_EXCEEDED.
    """
    threshold = round(min_similarity, 9)
    bounding = _bounding(view, rows, threshold)
    grouped = np.zeros(len(rows), dtype=bool)
    start = 0
    while start < len(rows):
        block = start + np.flatnonzero(~grouped[start:])[:_BLOCK]
        if not len(block):
            break
        start = int(block[-1]) + 1
        vectors = view.take(rows[block]).astype(np.float64)
        found = _Found()
        leads = _within(block, vectors, threshold, found)
        heads, vectors, bounds = block[leads], vectors[leads], bounding(block[leads])
        for chunk in range(start, len(rows), _CHUNK):
            check_deadline()
            later = chunk + np.flatnonzero(~grouped[chunk : chunk + _CHUNK])
            possible = bounds @ bounding(later).T >= threshold - _SLACK
            rest, firsts = later[possible.any(axis=0)], np.flatnonzero(possible.any(axis=1))
            if len(rest):
                cosines = _cosines(vectors[firsts], view.take(rows[rest]))
                # The first of those that are similar enough, not the most similar.
                taker = (cosines >= threshold).argmax(axis=0)
                similarities = cosines[taker, np.arange(len(rest))]
                taken = similarities >= threshold
                found.add(heads[firsts[taker[taken]]], rest[taken], similarities[taken])
                grouped[rest[taken]] = True
            yield Progress(int(block[0]))
        yield from found.groups()
        yield Progress(start)
    yield Progress(len(rows))


class _Found:
    """Items with the first items of their groups."""

    def __init__(self) -> None:
        self._parts: list[tuple[_Numbers, _Numbers, _Floats]] = []

    def add(self, heads: _Numbers, members: _Numbers, similarities: _Floats) -> None:
        if len(members):
            self._parts.append((heads, members, similarities))

    def groups(self) -> Iterator[Group]:
        if not self._parts:
            return
        heads = np.concatenate([heads for heads, _, _ in self._parts])
        members = np.concatenate([members for _, members, _ in self._parts])
        similarities = np.concatenate([found for _, _, found in self._parts])
        order = np.lexsort((members, -similarities, heads))
        heads, members, similarities = heads[order], members[order], similarities[order]
        starts = np.flatnonzero(np.diff(heads, prepend=-1))
        for start, stop in zip(starts, [*starts[1:], len(heads)], strict=True):
            yield Group(
                np.concatenate([heads[start : start + 1], members[start:stop]]),
                np.concatenate([[1.0], similarities[start:stop]]),
            )


def _within(block: _Numbers, vectors: _Floats, threshold: float, found: _Found) -> _Numbers:
    """Groups a block; returns which of it are in no group of another."""
    near = (cosines := _cosines(vectors, vectors)) >= threshold
    vacant = np.ones(len(block), dtype=bool)
    leads = []
    for number in range(len(block)):
        if vacant[number]:
            leads.append(number)
            vacant[number] = False
            taken = np.flatnonzero(near[number] & vacant)
            vacant[taken] = False
            found.add(np.repeat(block[number], len(taken)), block[taken], cosines[number, taken])
    return np.array(leads, dtype=np.int64)


def _cosines(first: NDArray[np.floating], second: NDArray[np.floating]) -> _Floats:
    cosines: _Floats = first.astype(np.float64) @ second.astype(np.float64).T
    return np.clip(np.round(cosines, 9), -1.0, 1.0)


# Upper bounds


def _bounding(view: VectorRows, rows: _Numbers, threshold: float) -> _Bounding:
    """Vectors whose dot products are no less than the cosines of the items at these places.

    By Cauchy and Schwarz, x · y ≤ Px · Py + |x - Px| |y - Py| for a projection P. With P on the
    main directions of a sample, the coordinates of Px and the length of the rest are a short
    vector. How short is chosen by the work that a second sample promises.
    """
    directions = _directions(view, rows, threshold) if len(rows) > _SAMPLE else None
    if directions is None:
        return lambda places: view.take(rows[places])
    short = np.empty((len(rows), directions.shape[1] + 1), dtype=np.float32)
    for start in range(0, len(rows), _CHUNK):
        check_deadline()
        short[start : start + _CHUNK] = _short(view.take(rows[start : start + _CHUNK]), directions)
    return lambda places: short[places]


def _short(vectors: Vectors, directions: Vectors) -> Vectors:
    inside = vectors @ directions
    # What rounding may add to the square is added, or the bound would not hold.
    rest = np.sqrt(np.maximum(1.0 - np.square(inside).sum(axis=1), 0.0) + 1e-6)
    return np.concatenate([inside, rest[:, None]], axis=1, dtype=np.float32)


def _directions(view: VectorRows, rows: _Numbers, threshold: float) -> Vectors | None:
    """(d, k), orthonormal; None where comparing whole vectors is no more work."""
    sample = view.take(rows[np.linspace(0, len(rows) - 1, _SAMPLE).astype(np.int64)])
    fitted, tried = sample[::2], sample[1::2]
    dimension = sample.shape[1]
    # By the Gram matrix of the sample, which is small whatever the dimension.
    _, mixes = np.linalg.eigh(fitted.astype(np.float64) @ fitted.T)
    basis, _ = np.linalg.qr(fitted.T @ mixes[:, ::-1][:, : max(_LENGTHS)])
    similar = tried @ tried.T >= threshold - _SLACK
    best, least = None, float(dimension)
    for length in _LENGTHS:
        directions = basis[:, :length].astype(np.float32)
        short = _short(tried, directions)
        loose = (short @ short.T >= threshold - _SLACK) & ~similar
        # An item is compared as a whole where a single one of a block may be near it.
        compared = 1.0 - (1.0 - float(loose.mean())) ** _BLOCK
        work = length + 2.0 * compared * dimension
        if length < dimension and work < least:
            best, least = directions, work
    return best
