"""Answers to searches."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, overload

import numpy as np
from numpy.typing import NDArray

from tashihiki import _notebook

TermKind = Literal["attribute", "facet", "item", "image", "vector", "unknown"]


class SearchRoute(enum.Enum):
    """How the nearest items were found."""

    INDEX = "index"
    CELLS = "cells"
    EXACT = "exact"
    UNKNOWN = "unknown"


class HealthStatus(enum.Enum):
    """What the server's health service says."""

    UNKNOWN = 0
    SERVING = 1
    NOT_SERVING = 2


@dataclass(frozen=True)
class ResolvedTerm:
    """How one term was understood.

    Attributes:
        label: the term in words, for example `expression:HAPPY`.
        weight: the signed weight, parentheses multiplied out.
        kind: what it turned out to be; `facet` is a facet that is ignored.
        facet: of an attribute or an ignored facet, else "".
        value: of an attribute, else "".
        name: an item's id, or the name or number of a picture or vector, else "".
        member_count: the items behind an attribute's prototype, else 0.
    """

    label: str
    weight: float
    kind: TermKind
    facet: str = ""
    value: str = ""
    name: str = ""
    member_count: int = 0


@dataclass(frozen=True)
class UnresolvedTerm:
    """A term that was left out, and why (UPPER_SNAKE)."""

    label: str
    weight: float
    reason: str


@dataclass(frozen=True)
class ComposedBlock:
    """A part of a composed query: what it asks for in one facet.

    Attributes:
        facet: "" for the rest: what no facet accounts for; in the sum, everything.
        weight: the block's norm as a share of the sum of all blocks' norms; 0 where it is empty.
        terms: the terms that filled it, by their places among the result's terms, from 0.
    """

    facet: str
    weight: float
    terms: tuple[int, ...]


@dataclass(frozen=True)
class BlockSimilarity:
    """How a hit compares with one part of the query.

    Attributes:
        facet: as in `ComposedBlock`.
        similarity: cosine within the block, in [-1, 1]; 0 where it is empty.
        contribution: the block's weight times that; a hit's sum to its similarity.
    """

    facet: str
    similarity: float
    contribution: float


@dataclass(frozen=True)
class Contribution:
    """What one term adds to a hit's similarity; a hit's contributions sum to it."""

    label: str
    weight: float
    similarity: float


@dataclass(frozen=True)
class Hit:
    """One item found.

    Attributes:
        id: the item's id.
        similarity: in [-1, 1]; higher is better. In the sum the cosine to the composed vector;
            in a factored space the mean of the blocks' cosines, weighted by the blocks' weights.
        attributes: facet to value.
        metadata: what was stored with the item.
        contributions: one for each resolved term, in the same order.
        thumbnail: a small JPEG, when asked for; None for items given as vectors.
        blocks: one for each of the result's blocks, in the same order.
        posterior: the probability that it shows what was added and not what was subtracted,
            and shares what the query's items show, the facets taken as independent; None for
            hits that were not re-ranked.
    """

    id: str
    similarity: float
    attributes: Mapping[str, str]
    metadata: Mapping[str, Any]
    contributions: tuple[Contribution, ...]
    thumbnail: bytes | None = field(default=None, repr=False)
    blocks: tuple[BlockSimilarity, ...] = ()
    posterior: float | None = None

    def _repr_html_(self) -> str:
        return _notebook.hit_html(self)


@dataclass(frozen=True)
class Timings:
    """Where the time of a call went in the server.

    Attributes:
        total: seconds from the arrival of the request until the answer was ready to be sent.
        stages: seconds by the stage's name, in the order in which they first began: `queue`,
            `resolve`, `decode`, `encode`, `compose`, `filter`, `look_up`, `rerank`, `fetch`,
            `respond`; only those that the call needed. They sum to a little less than the total.
    """

    total: float
    stages: Mapping[str, float]


@dataclass(frozen=True, eq=False)
class SearchResult:
    """The hits, most similar first, and how the query was understood.

    Re-ranked hits come in the order of their posteriors instead. Iteration, `len()` and
    indexing go over the hits. A notebook shows them as a strip of pictures, with
    `include_thumbnails=True`, or as a table, and a single hit with what each term brought:

        for hit in client.search("items", "mug + red"):
            print(hit.id, hit.similarity, hit.attributes)

    Attributes:
        hits: the items found.
        norm: Euclidean norm of the composition before it was normalised.
        terms: the terms as understood.
        unresolved_terms: the terms left out.
        generation: the published state of space and index that answered.
        route: how the nearest items were found.
        vector: the composed unit vector, shape (d,), float32, when asked for; in a factored
            space it is no embedding.
        blocks: the parts of the composed query.
        next_page_token: what `search(page_token=...)` takes to go on after these hits; "" when
            there are no more, and with grouping or diversity.
        timings: where the time went in the server, when asked for.
    """

    hits: tuple[Hit, ...]
    norm: float
    terms: tuple[ResolvedTerm, ...]
    unresolved_terms: tuple[UnresolvedTerm, ...]
    generation: int
    route: SearchRoute
    vector: NDArray[np.float32] | None = None
    blocks: tuple[ComposedBlock, ...] = ()
    next_page_token: str = ""
    timings: Timings | None = None

    def __iter__(self) -> Iterator[Hit]:
        return iter(self.hits)

    def __len__(self) -> int:
        return len(self.hits)

    @overload
    def __getitem__(self, index: int) -> Hit: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Hit, ...]: ...
    def __getitem__(self, index: int | slice) -> Hit | tuple[Hit, ...]:
        return self.hits[index]

    def _repr_html_(self) -> str:
        return _notebook.result_html(self)


@dataclass(frozen=True, eq=False)
class ComposeResult:
    """A composed query without a search.

    Attributes:
        vector: unit length, shape (d,), float32; in a factored space it is no embedding.
        norm: Euclidean norm of the composition before it was normalised.
        terms: the terms as understood.
        unresolved_terms: the terms left out.
        generation: the published state of space and index that answered.
        blocks: the parts of the composed query.
        timings: where the time went in the server, when asked for.
    """

    vector: NDArray[np.float32]
    norm: float
    terms: tuple[ResolvedTerm, ...]
    unresolved_terms: tuple[UnresolvedTerm, ...]
    generation: int
    blocks: tuple[ComposedBlock, ...] = ()
    timings: Timings | None = None
