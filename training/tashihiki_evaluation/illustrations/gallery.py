"""A collection of a running server, and its answers beside those of the plain sum."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from tashihiki import Client, ResolvedTerm, StoredItem
from tashihiki_server.names import fold
from tashihiki_server.plain_sum import Embeddings, nearest
from tashihiki_server.space.base import AttributeSpace, Vectors
from tashihiki_server.space.factored import FactoredFit, fit_factored
from tashihiki_server.space.prototype import Prototypes
from tashihiki_server.space.sum import SumSpace
from tashihiki_server.vocabulary import AttributeKey


@dataclass(frozen=True)
class Answer:
    """A query, answered twice.

    Attributes:
        expression: as it is typed.
        terms: as the server understood them.
        asked: facet to value, what a right hit shows.
        ours: the server's hits.
        plain: those of the plain sum of the same terms.
    """

    expression: str
    terms: Sequence[ResolvedTerm]
    asked: Mapping[str, str]
    ours: Sequence[StoredItem]
    plain: Sequence[StoredItem]

    def right(self, hit: StoredItem) -> bool:
        """Whether the hit shows all that was asked for."""
        return all(hit.attributes.get(facet) == value for facet, value in self.asked.items())


class _Spelling:
    """One name for each facet and value, whatever items and queries call it."""

    def __init__(self, aliases: Mapping[str, Mapping[str, str]]) -> None:
        self._meant = {
            (fold(facet), fold(alias)): value
            for facet, names in aliases.items()
            for alias, value in names.items()
        }
        self._facets: dict[str, str] = {}
        self._values: dict[tuple[str, str], str] = {}

    def facet(self, facet: str) -> str:
        """The name under which it was met first."""
        return self._facets.setdefault(fold(facet), facet)

    def value(self, facet: str, value: str) -> str:
        """The name under which it was met first; of an alias, what it stands for."""
        meant = self._meant.get((fold(facet), fold(value)), value)
        return self._values.setdefault((fold(facet), fold(meant)), meant)

    def item(self, item: StoredItem) -> StoredItem:
        """The same item, its labels so spelt."""
        labels = item.attributes.items()
        spelt = {self.facet(facet): self.value(facet, value) for facet, value in labels}
        return replace(item, attributes=spelt)

    def term(self, term: ResolvedTerm) -> ResolvedTerm:
        """The same term, its facet and value so spelt."""
        if term.kind == "attribute":
            facet, value = self.facet(term.facet), self.value(term.facet, term.value)
            return replace(term, facet=facet, value=value)
        return replace(term, facet=self.facet(term.facet)) if term.kind == "facet" else term


class Gallery:
    """A collection, with its pictures and embeddings in memory.

    Attributes:
        items: in the order of their ids.
        embeddings: (items, d).
        values: of each facet, in the order of their codes.
    """

    def __init__(self, client: Client, collection: str) -> None:
        self._client = client
        self._collection = collection
        self._spelling = _Spelling(client.get_collection(collection).aliases)
        found = client.items(collection, include_vectors=True, include_thumbnails=True)
        self.items = [self._spelling.item(i) for i in sorted(found, key=lambda item: item.id)]
        self._by_id = {item.id: item for item in self.items}
        self.embeddings: Vectors = np.array([item.vector for item in self.items], dtype=np.float32)
        facets = sorted({facet for item in self.items for facet in item.attributes})
        self.values = {
            facet: sorted({item.attributes[facet] for item in self.items}) for facet in facets
        }

    @cached_property
    def codes(self) -> NDArray[np.int64]:
        """(items, facets): the number of every item's value."""
        return np.array(
            [
                [names.index(item.attributes[facet]) for facet, names in self.values.items()]
                for item in self.items
            ]
        )

    @cached_property
    def plain(self) -> AttributeSpace:
        """The published recipe, with prototypes of all values."""
        return self.with_prototypes(SumSpace(self.embeddings.shape[1], Prototypes()))

    def with_prototypes(self, space: AttributeSpace) -> AttributeSpace:
        """A space with prototypes of all values."""
        rows = space.project(self.embeddings)
        return space.with_prototypes(
            Prototypes(
                {
                    self.key(facet, value): space.prototype(
                        fold(facet), rows[self.codes[:, column] == code]
                    )
                    for column, (facet, names) in enumerate(self.values.items())
                    for code, value in enumerate(names)
                }
            )
        )

    @cached_property
    def fit(self) -> FactoredFit:
        """The factored space that the server fits to the same items."""
        return fit_factored(self.embeddings, self.codes, [fold(facet) for facet in self.values])

    def key(self, facet: str, value: str) -> AttributeKey:
        """What a value is called in a space."""
        return AttributeKey(fold(facet), self.values[facet].index(value))

    def item(self, identifier: str) -> StoredItem:
        """The item of an id."""
        return self._by_id[identifier]

    def members(self, facet: str, value: str, count: int) -> list[StoredItem]:
        """Items of a value, spread over what there is so that they differ in the other facets."""
        ours = [item for item in self.items if item.attributes[facet] == value]
        # Not the same place in every part: ids repeat the other facets in the same order.
        shares = [(place + (place + 0.5) / count) / count for place in range(count)]
        return [ours[int(share * len(ours))] for share in shares]

    def ask(self, expression: str, *, this_item: str | None = None, limit: int) -> Answer:
        """Asks the server and the plain sum."""
        found = self._client.search(self._collection, expression, this_item=this_item, limit=limit)
        terms = [self._spelling.term(term) for term in found.terms]
        items = [(place, term) for place, term in enumerate(terms) if term.kind == "item"]
        plain = nearest(
            self._all,
            terms,
            {place: self._embedding(term.name) for place, term in items},
            limit,
        )
        return Answer(
            expression,
            terms,
            self._asked(terms),
            [self.item(hit.id) for hit in found],
            [self.items[row] for row, _ in plain.hits],
        )

    @cached_property
    def _all(self) -> Embeddings:
        shown = [item.attributes for item in self.items]
        return Embeddings([item.id for item in self.items], shown, self.embeddings)

    def _embedding(self, identifier: str) -> Vectors:
        vector = self.item(identifier).vector
        assert vector is not None
        return vector

    def _asked(self, terms: Sequence[ResolvedTerm]) -> dict[str, str]:
        asked: dict[str, str] = {}
        for term in terms:
            if term.kind == "item":
                asked |= self.item(term.name).attributes
        for term in terms:
            if term.kind == "facet" or (term.kind == "attribute" and term.weight < 0):
                asked.pop(term.facet, None)
        return asked | {
            term.facet: term.value for term in terms if term.kind == "attribute" and term.weight > 0
        }
