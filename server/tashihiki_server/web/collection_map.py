"""A map of a collection: its items in two dimensions, and a query as the path of its terms."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np
from cachetools import LRUCache
from numpy.typing import NDArray

from tashihiki import (
    AsyncClient,
    Collection,
    Composition,
    ResolvedTerm,
    Search,
    SearchResult,
    attribute,
    item,
)
from tashihiki.composition import Composable
from tashihiki.errors import TashihikiError
from tashihiki_server.web.query import term_of
from tashihiki_server.web.vocabulary import Names

SAMPLE_SIZE = 400
# Of the map, as a share of its width.
HEIGHT = 0.65
_BATCH = 100
# The facet that colours the map counts more, so that its values lie apart.
_COLOURED_WEIGHT = 2.0

_Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class _Sample:
    """Items in the coordinates of the space in force.

    Attributes:
        ids: of the items.
        attributes: facet to value, for each.
        rows: (n, dimension).
        prototypes: by facet and value, (dimension,).
        blocks: the coordinates of each facet's block; empty where all share them.
    """

    ids: Sequence[str]
    attributes: Sequence[Mapping[str, str]]
    rows: _Floats
    prototypes: Mapping[tuple[str, str], _Floats]
    blocks: Mapping[str, NDArray[np.int64]]


class CollectionMap:
    """Draws maps. Coordinates come from searches for the items and values themselves."""

    def __init__(self, client: AsyncClient, names: Names) -> None:
        self._client = client
        self._names = names
        self._kept: LRUCache[str, tuple[tuple[datetime | None, int, int], _Sample]] = LRUCache(4)
        self._lock = asyncio.Lock()

    async def draw(
        self,
        collection: str,
        facet: str,
        search: Search | None,
        terms: Sequence[ResolvedTerm],
        hits: Sequence[str],
    ) -> dict[str, Any]:
        """The points, prototypes and path; x from -1 to 1, y from -HEIGHT to HEIGHT, upwards.

        Args:
            collection: the collection's name.
            facet: that colours the map; where it is "" the first one that the query has a value of,
                or the first one of all.
            search: the query, or None without one.
            terms: of the query, as the service understood them.
            hits: ids of its best hits, which are drawn too.

        Raises:
            NotFoundError: UNKNOWN_COLLECTION.
        """
        state = await self._client.get_collection(collection)
        facets = [one.facet for one in await self._names.facets(collection)]
        asked = [term.facet for term in terms if term.kind == "attribute"]
        coloured = next((one for one in (facet, *asked, *facets) if one in facets), "")
        sample = await self._sample(state)
        marked = await self._vectors(collection, [item(one) for one in hits])
        steps = await self._steps(collection, search, terms) if search else []
        return await asyncio.to_thread(
            _drawing, sample, coloured, facets, list(zip(hits, marked, strict=True)), steps
        )

    async def _sample(self, state: Collection) -> _Sample:
        key = state.create_time, state.generation, state.item_count
        async with self._lock:
            kept = self._kept.get(state.name)
            if kept is None or kept[0] != key:
                kept = key, await self._fetch(state)
                self._kept[state.name] = kept
        return kept[1]

    async def _fetch(self, state: Collection) -> _Sample:
        drawn = await self._client.sample(state.name, SAMPLE_SIZE, seed=0)
        values = [
            (one.facet, value.value)
            for one in await self._names.facets(state.name)
            for value in one.values[:24]
        ]
        rows = await self._vectors(state.name, [item(one.id) for one in drawn])
        found = await self._vectors(state.name, [attribute(*value) for value in values])
        kept = [(one, row) for one, row in zip(drawn, rows, strict=True) if row is not None]
        prototypes = {
            value: row for value, row in zip(values, found, strict=True) if row is not None
        }
        return _Sample(
            [one.id for one, _ in kept],
            [one.attributes for one, _ in kept],
            np.array([row for _, row in kept]),
            prototypes,
            _blocks(prototypes) if state.space_in_force == "factored" else {},
        )

    async def _vectors(
        self, collection: str, queries: Sequence[Composable]
    ) -> list[_Floats | None]:
        searches = [
            Search(collection, query, limit=1, include_vector=True, rerank=False)
            for query in queries
        ]
        return [_vector(result) for result in await self._answers(searches)]

    async def _answers(self, searches: Sequence[Search]) -> list[SearchResult | TashihikiError]:
        found: list[SearchResult | TashihikiError] = []
        for start in range(0, len(searches), _BATCH):
            found += await self._client.batch_search(searches[start : start + _BATCH])
        return found

    async def _steps(
        self, collection: str, search: Search, terms: Sequence[ResolvedTerm]
    ) -> list[tuple[str, _Floats]]:
        picture = search.this_image if isinstance(search.this_image, bytes) else None
        parts = [term_of(term, picture) for term in terms]
        searches = []
        total = Composition(())
        for part in parts:
            total = total + part
            searches.append(
                replace(
                    search,
                    query=total,
                    limit=1,
                    where=None,
                    include_vector=True,
                    include_thumbnails=False,
                    rerank=False,
                    page_token="",
                )
            )
        labels = [f"{'−' if term.weight < 0 else '+'} {term.label}" for term in terms]
        steps = zip(labels, await self._answers(searches), strict=True)
        # A beginning such as an ignored facet on its own has no place.
        return [
            (label, vector) for label, answer in steps if (vector := _vector(answer)) is not None
        ]


def _vector(answer: SearchResult | TashihikiError) -> _Floats | None:
    if isinstance(answer, TashihikiError) or answer.vector is None:
        return None
    return answer.vector.astype(np.float64)


def _blocks(prototypes: Mapping[tuple[str, str], _Floats]) -> dict[str, NDArray[np.int64]]:
    # A query for a value fills the block of its facet and no other.
    filled: dict[str, NDArray[np.bool_]] = {}
    for (facet, _), row in prototypes.items():
        filled[facet] = filled.get(facet, np.zeros(len(row), dtype=bool)) | (row != 0)
    return {facet: np.flatnonzero(mask) for facet, mask in filled.items()}


class _Projection:
    """The two directions in which a sample differs most.

    Blocks count alike, but for the coloured facet's. A block that a query leaves empty, having
    nothing to say there, is put at the mean of the items.
    """

    def __init__(self, sample: _Sample, coloured: str) -> None:
        rows = sample.rows
        blocks = dict(sample.blocks) or {"": np.arange(rows.shape[1])}
        self._parts = list(blocks.values())
        self._lengths = [
            float(np.median(np.linalg.norm(rows[:, part], axis=1))) for part in self._parts
        ]
        self._means = [rows[:, part].mean(axis=0) for part in self._parts]
        spread = [float(np.sqrt(rows[:, part].var(axis=0).sum())) or 1.0 for part in self._parts]
        self._scales = [
            (_COLOURED_WEIGHT if name == coloured else 1.0) / size
            for name, size in zip(blocks, spread, strict=True)
        ]
        self._factored = bool(sample.blocks)
        centred = np.array([self._centred(row) for row in rows])
        _, _, directions = np.linalg.svd(centred, full_matrices=False)
        # The signs of singular vectors are arbitrary; a map shall not flip between two looks.
        signs = np.sign(directions[np.arange(2), np.abs(directions[:2]).argmax(axis=1)])
        self._directions = directions[:2] * signs[:, None]

    def __call__(self, vector: _Floats) -> _Floats:
        point: _Floats = self._directions @ self._centred(vector)
        return point

    def _centred(self, vector: _Floats) -> _Floats:
        return np.concatenate(
            [
                scale * (self._filled(vector[part], length, mean) - mean)
                for part, length, mean, scale in zip(
                    self._parts, self._lengths, self._means, self._scales, strict=True
                )
            ]
        )

    def _filled(self, block: _Floats, length: float, mean: _Floats) -> _Floats:
        if not self._factored:
            return block
        norm = float(np.linalg.norm(block))
        return mean if norm < 1e-6 else block * (length / norm)


def _frame(points: _Floats) -> Callable[[_Floats], dict[str, float]]:
    """Moves and scales points alike in both directions, to fill the map."""
    least, most = points.min(axis=0), points.max(axis=0)
    half = np.maximum((most - least) / 2, 1e-9)
    scale = float((np.array([1.0, HEIGHT]) / half).min())

    def place(point: _Floats) -> dict[str, float]:
        x, y = (point - (least + most) / 2) * scale
        return {"x": round(float(x), 4), "y": round(float(y), 4)}

    return place


def _drawing(
    sample: _Sample,
    coloured: str,
    facets: Sequence[str],
    hits: Sequence[tuple[str, _Floats | None]],
    steps: Sequence[tuple[str, _Floats]],
) -> dict[str, Any]:
    empty: dict[str, Any] = {"origin": None, "points": [], "prototypes": [], "path": [], "hits": []}
    about = {"facet": coloured, "facets": list(facets), "sampled": len(sample.ids)}
    if len(sample.ids) < 3:
        return {**about, **empty}
    project = _Projection(sample, coloured)
    points = [project(row) for row in sample.rows]
    prototypes = [
        (value, project(row))
        for (facet, value), row in sample.prototypes.items()
        if facet == coloured
    ]
    path = [(label, project(row)) for label, row in steps]
    marked = [(one, project(row)) for one, row in hits if row is not None]
    everything = np.array(
        [np.zeros(2), *points, *(place for _, place in [*prototypes, *path, *marked])]
    )
    place = _frame(everything)
    return {
        **about,
        "points": [
            {"id": one, "value": attributes.get(coloured, ""), **place(point)}
            for one, attributes, point in zip(sample.ids, sample.attributes, points, strict=True)
        ],
        "prototypes": [{"value": value, **place(point)} for value, point in prototypes],
        "path": [{"label": label, **place(point)} for label, point in path],
        "origin": place(np.zeros(2)),
        "hits": [{"id": one, **place(point)} for one, point in marked],
    }
