"""Generated galleries with the structure of real ones, and queries composed of their rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tashihiki_server.space.base import Vectors

CHUNK = 20_000
# How many directions the rows vary in; embeddings of photos have some tens.
INTRINSIC = 24
CLUSTERS = 2000


@dataclass(frozen=True)
class Gallery:
    """Rows and what an index is told of them.

    Attributes:
        vectors: (n, d) of unit length.
        labels: (n, f) values by number, -1 for none.
        facets: names of the labels' columns.
        blocks: facet, start and stop of each part of a row.
    """

    vectors: Vectors
    labels: NDArray[np.int64]
    facets: tuple[str, ...]
    blocks: tuple[tuple[str, int, int], ...]


def unit(points: NDArray[np.floating[Any]]) -> Vectors:
    """Rows at unit length."""
    norms = np.maximum(np.linalg.norm(points, axis=-1, keepdims=True), 1e-9)
    rows: Vectors = (points / norms).astype(np.float32)
    return rows


def clustered_chunks(count: int, dimension: int, seed: int = 0) -> Iterator[Vectors]:
    """Chunks of non-negative rows around clusters in few directions, the same on every call."""
    random = np.random.default_rng(seed)
    directions = random.normal(size=(INTRINSIC, dimension)).astype(np.float32)
    centres = random.normal(size=(CLUSTERS, INTRINSIC)).astype(np.float32)
    for start in range(0, count, CHUNK):
        size = min(CHUNK, count - start)
        latent = centres[random.integers(CLUSTERS, size=size)]
        latent = latent + 0.4 * random.standard_normal((size, INTRINSIC), dtype=np.float32)
        noise = 1.5 * random.standard_normal((size, dimension), dtype=np.float32)
        yield unit(np.maximum(latent @ directions + noise, 0))


def clustered(count: int, dimension: int, seed: int = 0) -> Gallery:
    """A gallery of embeddings as the sum searches them: one block, no labels."""
    vectors = np.concatenate(list(clustered_chunks(count, dimension, seed)))
    return Gallery(vectors, np.empty((count, 0), np.int64), (), (("", 0, dimension),))


# Number of values and dimension of each facet's block, and the dimension of the rest.
FACETS = ((50, 32), (7, 6), (12, 11))
REST = 64


def factored(count: int, seed: int = 0) -> Gallery:
    """A gallery as a factored space has it: a unit block for each facet and one for the rest."""
    random = np.random.default_rng(seed)
    parts: list[NDArray[Any]] = []
    columns: list[NDArray[np.int64]] = []
    for values, size in FACETS:
        prototypes = unit(random.normal(size=(values, size)))
        shares = random.dirichlet(np.full(values, 2.0))
        column = random.choice(values, size=count, p=shares).astype(np.int64)
        noise = 0.7 * random.normal(size=(count, size)) / np.sqrt(size)
        parts.append(unit(prototypes[column] + noise))
        columns.append(column)
    centres = random.normal(size=(CLUSTERS, 12))
    latent = centres[random.integers(CLUSTERS, size=count)]
    latent = latent + 0.5 * random.normal(size=(count, 12))
    bent = np.tanh(latent @ random.normal(size=(12, REST)))
    parts.append(unit(bent + 0.3 * random.normal(size=(count, REST))))
    stops = np.cumsum([part.shape[1] for part in parts]).tolist()
    names = [*(f"facet{n}" for n in range(len(FACETS))), ""]
    blocks = tuple(
        (name, stop - part.shape[1], stop)
        for name, part, stop in zip(names, parts, stops, strict=True)
    )
    vectors = (np.concatenate(parts, axis=1) / np.sqrt(len(parts))).astype(np.float32)
    return Gallery(vectors, np.stack(columns, axis=1), tuple(names[:-1]), blocks)


def compositions(gallery: Gallery, count: int, seed: int = 1) -> Vectors:
    """Queries (count, d) as searches compose them, the kinds in turn."""
    random = np.random.default_rng(seed)
    if len(gallery.blocks) == 1:
        rows = gallery.vectors[random.integers(len(gallery.vectors), size=(count, 3))]
        return unit(summed(rows))
    return unit(np.array([_filled(gallery, random, n % 4) for n in range(count)]))


def summed(rows: Vectors) -> Vectors:
    """From triples (n, 3, d) of rows: p, p + q, and p - q + r without negative coordinates."""
    out = rows[:, 0].copy()
    out[1::3] += rows[1::3, 1]
    out[2::3] += rows[2::3, 2] - rows[2::3, 1]
    clipped: Vectors = np.maximum(out, 0)
    return clipped


def _filled(gallery: Gallery, random: np.random.Generator, kind: int) -> Vectors:
    """Two values; an item with a value for a facet; one without a facet; one as it is."""
    count = len(gallery.vectors)
    first, second = random.choice(len(gallery.facets), 2, replace=False)
    if kind == 0:
        query = np.zeros(gallery.vectors.shape[1], np.float32)
        _put(gallery, random, query, int(first))
        _put(gallery, random, query, int(second))
        return query
    query = np.array(gallery.vectors[random.integers(count)])
    if kind == 1:
        _put(gallery, random, query, int(first))
    elif kind == 2:
        _, start, stop = gallery.blocks[first]
        query[start:stop] = 0
    return query


def _put(gallery: Gallery, random: np.random.Generator, query: Vectors, facet: int) -> None:
    _, start, stop = gallery.blocks[facet]
    value = gallery.labels[random.integers(len(gallery.labels)), facet]
    members = np.flatnonzero(gallery.labels[:, facet] == value)[:500]
    prototype = unit(np.median(gallery.vectors[members, start:stop], axis=0))
    query[start:stop] = prototype / np.sqrt(len(gallery.blocks))
