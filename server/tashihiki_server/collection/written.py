"""What comes of an upsert."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tashihiki.errors import TashihikiError


@dataclass(frozen=True)
class Written:
    """What came of each record, by its place among them.

    Attributes:
        versions: the items' versions; None for those refused.
        faults: what is wrong with those refused.
        unchanged: how many were so already, and keep their version.
    """

    versions: Sequence[int | None]
    faults: Mapping[int, TashihikiError]
    unchanged: int


def placed(
    versions: Sequence[int], before: Sequence[int | None], faults: Mapping[int, TashihikiError]
) -> Written:
    """The versions of the sound records at the places that they have among all.

    Args:
        versions: of the sound records.
        before: the versions that these items had; None for new ones.
        faults: of the other records.
    """
    rest = iter(versions)
    count = len(versions) + len(faults)
    unchanged = sum(new == old for new, old in zip(versions, before, strict=True))
    return Written(
        [None if place in faults else next(rest) for place in range(count)], faults, unchanged
    )
