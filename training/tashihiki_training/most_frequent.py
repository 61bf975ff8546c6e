"""`--top FACET=N`: a catalogue cut down to a facet's most frequent values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from tashihiki.errors import InvalidArgumentError
from tashihiki_server.dataset import Dataset
from tashihiki_server.names import fold, similar


def most_frequent(dataset: Dataset, texts: Iterable[str]) -> Dataset:
    """The photos whose value of each facet named is among its so many most frequent ones.

    Ties go to the value that sorts first. Photos without a label in such a facet stay out.

    Args:
        dataset: the whole catalogue, which frequencies are counted in.
        texts: FACET=N.

    Raises:
        InvalidArgumentError: SETTING_INVALID, UNKNOWN_FACET.
    """
    facets = {fold(name): name for name in dataset.facets}
    photos = dataset.photos
    for name, count in map(_parsed, texts):
        if fold(name) not in facets:
            raise unknown_facet(name, "top", dataset.facets)
        facet = facets[fold(name)]
        tally = Counter(fold(p.attributes[facet]) for p in dataset.photos if facet in p.attributes)
        kept = set(sorted(tally, key=lambda value: (-tally[value], value))[:count])
        photos = [p for p in photos if fold(p.attributes.get(facet, "")) in kept]
    return Dataset(photos, dataset.facets, dataset.skipped)


def unknown_facet(name: str, field: str, facets: Sequence[str]) -> InvalidArgumentError:
    """UNKNOWN_FACET, with the facets there are."""
    candidates = similar(name, facets) or list(facets)
    return InvalidArgumentError(
        f"the photos have no facet {name!r}",
        reason="UNKNOWN_FACET",
        field=field,
        remedy=f"There is {', '.join(facets)}." if facets else "The photos have no facets.",
        details={"candidates": ", ".join(candidates)},
    )


def _parsed(text: str) -> tuple[str, int]:
    facet, _, count = text.rpartition("=")
    if not facet or not count.isdecimal() or int(count) < 2:
        raise InvalidArgumentError(
            f"{text!r} does not say how many values of a facet to keep",
            reason="SETTING_INVALID",
            field="top",
            remedy="Write FACET=N with at least 2 values, as in colour=12.",
        )
    return facet, int(count)
