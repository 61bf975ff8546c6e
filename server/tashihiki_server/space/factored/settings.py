"""What a fit can be told, and the bounds that it keeps."""

from __future__ import annotations

from dataclasses import dataclass

from tashihiki.errors import InvalidArgumentError

MISSING = -1
"""The code of a label that an item does not have."""

MAX_FACET_RANK = 64
REST_RANK = 64
# Shares of the mean residual variance, among which cross-validation chooses.
SHRINKAGES = (0.1, 0.3, 1.0, 3.0)
# Where too few combinations are held out to choose.
DEFAULT_SHRINKAGE = 1.0


@dataclass(frozen=True)
class FitSettings:
    """How a factored space is fitted.

    Attributes:
        separation: how much a facet's directions avoid what the other facets change: 0 not at
            all, infinity wholly.
        relevance: how much a facet's block listens to the coordinates that tell its values
            apart: each counts by the power of its F ratio less 1. With 0, all count alike.
        shrinkage: share of the mean residual variance that is added to every direction's, or
            None to choose it among `SHRINKAGES` by cross-validation.
        facet_rank: most dimensions of a facet's block.
        rest_rank: most dimensions of the rest block.
        rest_weight: of the rest block beside a facet's block in a query by items and pictures.
    """

    separation: float = 10.0
    relevance: float = 0.5
    shrinkage: float | None = None
    facet_rank: int = MAX_FACET_RANK
    rest_rank: int = REST_RANK
    rest_weight: float = 1.0

    def __post_init__(self) -> None:
        """Refuses what no fit can use.

        Raises:
            InvalidArgumentError: SETTING_INVALID.
        """
        finite = self.shrinkage is None or 0 < self.shrinkage < float("inf")
        sound = (
            self.separation >= 0
            and 0 <= self.relevance <= 1
            and finite
            and self.facet_rank >= 1
            and self.rest_rank >= 0
            and 0 <= self.rest_weight < float("inf")
        )
        if not sound:
            raise InvalidArgumentError(f"not a setting of a fit: {self}", reason="SETTING_INVALID")


DEFAULT_SETTINGS = FitSettings()
