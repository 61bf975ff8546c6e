"""Answers of the service as the JSON that the page reads."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

from tashihiki import (
    Collection,
    ComposedBlock,
    FacetSummary,
    Hit,
    ResolvedTerm,
    SearchResult,
    StoredItem,
    attribute,
    facet,
    item,
)
from tashihiki_server.web.thumbnails import Thumbnails

Json = dict[str, Any]


class Answers:
    """Makes the JSON, and keeps the thumbnails that come with the answers."""

    def __init__(self, thumbnails: Thumbnails) -> None:
        self._thumbnails = thumbnails

    def result(self, collection: str, result: SearchResult, expression: str) -> Json:
        """A page of hits, and how the query was understood.

        Args:
            collection: the collection's name.
            result: of the search.
            expression: the query as text.
        """
        return {
            "expression": expression,
            "terms": [term_json(term) for term in result.terms],
            "blocks": [_block(block) for block in result.blocks],
            "hits": [self._hit(collection, hit) for hit in result.hits],
            "next_page_token": result.next_page_token,
            "route": result.route.value,
        }

    def item(self, collection: str, stored: StoredItem) -> Json:
        """An item without a similarity."""
        return {
            **_shown(stored.id, stored.attributes),
            "metadata": plain(stored.metadata),
            "thumbnail": self.thumbnail(collection, stored.id, stored.thumbnail),
        }

    def thumbnail(self, collection: str, item_id: str, jpeg: bytes | None) -> Json | None:
        """Where the page finds a thumbnail, and its size; None without one."""
        info = self._thumbnails.keep(collection, item_id, jpeg)
        if info is None:
            return None
        address = f"{thumbnail_address(collection, item_id)}&v={info.digest}"
        return {"address": address, "width": info.width, "height": info.height}

    def _hit(self, collection: str, hit: Hit) -> Json:
        return {
            **_shown(hit.id, hit.attributes),
            "metadata": plain(hit.metadata),
            "thumbnail": self.thumbnail(collection, hit.id, hit.thumbnail),
            "similarity": hit.similarity,
            "posterior": hit.posterior,
            "contributions": [part.similarity for part in hit.contributions],
            "blocks": [
                {"similarity": block.similarity, "contribution": block.contribution}
                for block in hit.blocks
            ],
        }


def thumbnail_address(collection: str, item_id: str) -> str:
    """The address of an item's thumbnail as it is now."""
    return f"/api/collections/{quote(collection, safe='')}/thumbnail?id={quote(item_id, safe='')}"


def collection_json(collection: Collection) -> Json:
    """What the page says of a collection."""
    return {
        "name": collection.name,
        "item_count": collection.item_count,
        "space": collection.space_in_force,
        "space_pending": collection.space_pending,
        "fault": collection.fault,
    }


def facet_json(summary: FacetSummary) -> Json:
    """A facet and its values, each with the text that names it in an expression."""
    return {
        "facet": summary.facet,
        "term": repr(facet(summary.facet)),
        # The last item with a value may go between the reads that a summary is made of.
        "filter": (
            repr(facet(summary.facet).isin(*(one.value for one in summary.values[:2])))
            if summary.values
            else ""
        ),
        "unlabelled": summary.unlabelled_count,
        "values": [
            {
                "value": value.value,
                "count": value.member_count,
                "aliases": list(value.aliases),
                "term": repr(attribute(summary.facet, value.value)),
            }
            for value in summary.values
        ],
    }


def term_json(term: ResolvedTerm) -> Json:
    """A term as a chip shows it and sends it back."""
    return {
        "label": term.label,
        "weight": term.weight,
        "kind": term.kind,
        "facet": term.facet,
        "value": term.value,
        "name": term.name,
        "members": term.member_count,
    }


def plain(value: Any) -> Any:
    """Metadata without the numbers that JSON does not know, which become null."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {key: plain(entry) for key, entry in value.items()}
    if isinstance(value, Iterable) and not isinstance(value, str):
        return [plain(entry) for entry in value]
    return value


def _shown(item_id: str, attributes: Mapping[str, str]) -> Json:
    return {
        "id": item_id,
        "term": repr(item(item_id)),
        "attributes": [
            {
                "facet": name,
                "value": value,
                "term": repr(attribute(name, value)),
                "facet_term": repr(facet(name)),
            }
            for name, value in sorted(attributes.items())
        ],
    }


def _block(block: ComposedBlock) -> Json:
    return {"facet": block.facet, "weight": block.weight, "terms": list(block.terms)}
