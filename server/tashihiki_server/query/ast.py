"""A query as written, before its names are looked up."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Word:
    """A value of some facet, or a facet."""

    text: str


@dataclass(frozen=True)
class FacetValue:
    facet: str
    value: str


@dataclass(frozen=True)
class WholeFacet:
    facet: str


@dataclass(frozen=True)
class ItemOperand:
    """An item by id; None for `this item`."""

    id: str | None


@dataclass(frozen=True)
class ImageOperand:
    """A picture by the name of its binding (None for `this image`) or by its bytes."""

    name: str | None = None
    data: bytes | None = None


@dataclass(frozen=True)
class VectorOperand:
    """A vector by the name of its binding or by its values."""

    name: str | None = None
    values: NDArray[np.float64] | None = None


@dataclass(frozen=True)
class Group:
    terms: tuple[Term, ...]


Operand = Word | FacetValue | WholeFacet | ItemOperand | ImageOperand | VectorOperand | Group


@dataclass(frozen=True)
class Term:
    """A signed, weighted operand.

    Attributes:
        weight: as written, not yet checked.
        operand: what is added or subtracted.
        field: where it stands in the request.
        span: start and length of the operand in the expression's text, if it has one.
        weight_span: the same of the weight, if it is written.
    """

    weight: float
    operand: Operand
    field: str
    span: tuple[int, int] | None = None
    weight_span: tuple[int, int] | None = None
