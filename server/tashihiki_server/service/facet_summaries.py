"""What ListAttributes tells of each facet."""

from __future__ import annotations

from tashihiki.v1 import catalog_pb2
from tashihiki_server.vocabulary import Vocabulary


def facet_summaries(
    vocabulary: Vocabulary, item_count: int, facet: str
) -> list[catalog_pb2.FacetSummary]:
    """The facets with their values.

    Args:
        vocabulary: of the items' labels.
        item_count: how many items there are, labelled or not.
        facet: the only one wanted, as the caller spells it; all of them when empty.

    Raises:
        InvalidArgumentError: UNKNOWN_FACET.
    """
    facets = [vocabulary.find_facet(facet, "facet")] if facet else sorted(vocabulary.facets())
    return [_summary(vocabulary, item_count, each) for each in facets]


def _summary(vocabulary: Vocabulary, item_count: int, facet: str) -> catalog_pb2.FacetSummary:
    values = [
        catalog_pb2.ValueSummary(
            value=vocabulary.value_name(key),
            member_count=vocabulary.count(key),
            aliases=vocabulary.aliases(key),
        )
        for key in vocabulary.keys(facet)
    ]
    values.sort(key=lambda value: (-value.member_count, value.value))
    labelled = sum(value.member_count for value in values)
    return catalog_pb2.FacetSummary(
        facet=vocabulary.facet_name(facet),
        values=values,
        unlabelled_count=max(0, item_count - labelled),
    )
