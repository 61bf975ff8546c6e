"""Values that too few photos show for searches to find them well."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

FEW_PHOTOS = 5
_MOST_NAMED = 5


def rare_values(counts: Mapping[str, Mapping[str, int]]) -> Iterator[str]:
    """A line for each facet with rare values, the rarest first.

    Args:
        counts: for each facet, how many photos have each of its values.
    """
    for facet, values in counts.items():
        few = {value: count for value, count in values.items() if count < FEW_PHOTOS}
        if few:
            rarest = sorted(few, key=lambda value: (few[value], value))
            named = ", ".join(f"{value} ({few[value]})" for value in rarest[:_MOST_NAMED])
            more = f" and {len(few) - _MOST_NAMED} more" if len(few) > _MOST_NAMED else ""
            yield (
                f"{facet}: fewer than {FEW_PHOTOS} photos of {named}{more}; what is rare is found "
                "badly, and what is subtracted from a facet may point at it; label more"
            )
