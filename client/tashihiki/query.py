"""One search, as data: what `Client.search` takes, for use in batches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from numpy.typing import ArrayLike

from tashihiki._image import ImageSource
from tashihiki.composition import Composable
from tashihiki.filters import Filter

Query: TypeAlias = str | Composable
Condition: TypeAlias = str | Filter
MissingItems: TypeAlias = Literal["fail", "skip"]
Mode: TypeAlias = Literal["replace", "add"]
# A facet, one hit for each of its values; or a facet and how many.
GroupBy: TypeAlias = str | tuple[str, int]


@dataclass(frozen=True, eq=False)
class Search:
    """A search of one collection; the arguments are those of `Client.search`.

        client.batch_search([Search("items", "mug + red"), Search("items", "mug + blue", limit=3)])

    Attributes:
        collection: the collection's name.
        query: a composition or expression text.
        limit: hits wanted, 1 to 1000.
        where: which items may be hits: a filter or filter text.
        this_item: the id that `this item` stands for.
        this_image: the picture that `this image` stands for.
        images: the pictures that `image(NAME)` stands for, by name.
        vectors: the vectors that `vector(NAME)` stands for, by name; shape (d,).
        include_operands: let items of the query be hits too.
        missing_items: fail for item ids that are not there, or skip them.
        include_vector: also return the composed vector.
        include_thumbnails: also return the hits' thumbnails.
        mode: whether an attribute takes the place of what items and pictures show in its
            facet, or is added to it.
        rerank: whether the first 100 are ordered by how probably they show the attributes;
            None leaves it to the server.
        min_similarity: only hits at least as similar, in [-1, 1].
        group_by: at most one hit for each value of this facet; a pair of facet and number for
            more.
        diversity: the share of similarity in the choice of hits that differ, in (0, 1].
        page_token: `next_page_token` of the page before, all else but `limit` being the same.
        timings: also tell where the time went in the server; not in a batch.
    """

    collection: str
    query: Query
    limit: int = 10
    where: Condition | None = None
    this_item: str | None = None
    this_image: ImageSource | None = None
    images: Mapping[str, ImageSource] = field(default_factory=dict)
    vectors: Mapping[str, ArrayLike] = field(default_factory=dict)
    include_operands: bool = False
    missing_items: MissingItems = "fail"
    include_vector: bool = False
    include_thumbnails: bool = False
    mode: Mode = "replace"
    rerank: bool | None = None
    min_similarity: float | None = None
    group_by: GroupBy | None = None
    diversity: float | None = None
    page_token: str = ""
    timings: bool = False
