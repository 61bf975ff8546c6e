"""What a fit found, in numbers for people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class FacetDiagnostics:
    """A facet that has a block.

    Attributes:
        facet: folded name.
        values: how many values its labels have.
        items: how many items have a label of it.
        rank: dimensions of its block.
        variance_share: of the variance of all items, every combination counted once, what the
            facet's additive effects make up. Facets that go together share what they have in
            common, so that it may be below 0.
    """

    facet: str
    values: int
    items: int
    rank: int
    variance_share: float


@dataclass(frozen=True)
class FacetAngle:
    """The smallest principal angle between two facets' directions, in degrees: 90 is apart."""

    first: str
    second: str
    degrees: float


@dataclass(frozen=True)
class Diagnostics:
    """A fit's data, and how well it explains them.

    Attributes:
        items: with a label that the fit used.
        combinations: distinct ones of their labels.
        facets: those that have a block.
        interaction_share: of the variance, what lies between combinations and is not additive.
        residual_share: of the variance, what lies within combinations. The facets' shares and
            these two sum to 1.
        additive_r2: share of the variance between combinations that the additive effects
            explain.
        angles: between every two facets.
        rest_rank: dimensions of the rest block.
        relevance, separation: as they were set.
        shrinkage: as it was set or chosen.
        score: share of held-out items' values that were recognised, the mean over the facets;
            None where too few could be held out.
    """

    items: int
    combinations: int
    facets: tuple[FacetDiagnostics, ...]
    interaction_share: float
    residual_share: float
    additive_r2: float
    angles: tuple[FacetAngle, ...]
    rest_rank: int
    relevance: float
    separation: float
    shrinkage: float
    score: float | None

    def to_json(self) -> dict[str, Any]:
        """As JSON's types; an infinite separation is null."""
        content = asdict(self)
        if content["separation"] == float("inf"):
            content["separation"] = None
        return content

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Diagnostics:
        """What `to_json` made.

        Raises:
            KeyError, TypeError, ValueError: where it is anything else.
        """
        facts = dict(content)
        facts["facets"] = tuple(FacetDiagnostics(**facet) for facet in facts["facets"])
        facts["angles"] = tuple(FacetAngle(**angle) for angle in facts["angles"])
        if facts["separation"] is None:
            facts["separation"] = float("inf")
        return cls(**facts)
