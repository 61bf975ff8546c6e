"""What a query adds and subtracts, built with Python's operators."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from numbers import Real
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tashihiki._image import ImageSource, image_name, read_image
from tashihiki._syntax import number, word
from tashihiki._vector import as_vector
from tashihiki.errors import InvalidArgumentError
from tashihiki.filters import FacetIn, Filter


class Composable:
    """Anything that can be added, subtracted and multiplied by a number.

    Weights are finite real numbers: others raise TypeError, and NaN and infinity raise
    InvalidArgumentError WEIGHT_INVALID.
    """

    # Lets `numpy.float32(0.5) * attribute("red")` reach __rmul__.
    __array_ufunc__ = None

    @property
    def terms(self) -> tuple[Term, ...]:
        """The signed, weighted operands, parentheses multiplied out."""
        raise NotImplementedError

    def __add__(self, other: Composable) -> Composition:
        if not isinstance(other, Composable):
            return NotImplemented
        return Composition(self.terms + other.terms)

    def __radd__(self, other: int) -> Composable:
        # sum() starts from 0.
        return self if type(other) is int and other == 0 else NotImplemented

    def __sub__(self, other: Composable) -> Composition:
        if not isinstance(other, Composable):
            return NotImplemented
        return self + -other

    def __pos__(self) -> Composable:
        return self

    def __neg__(self) -> Composition:
        return self * -1

    def __mul__(self, factor: float) -> Composition:
        scale = _weight(factor)
        return Composition(tuple(Term(term.weight * scale, term.operand) for term in self.terms))

    __rmul__ = __mul__

    def __truediv__(self, divisor: float) -> Composition:
        scale = _weight(divisor)
        if scale == 0:
            raise _invalid_weight("A composition cannot be divided by zero.")
        return Composition(tuple(Term(term.weight / scale, term.operand) for term in self.terms))

    def __repr__(self) -> str:
        return _text(self.terms)


class _Operand(Composable):
    @property
    def terms(self) -> tuple[Term, ...]:
        return (Term(1.0, self),)  # type: ignore[arg-type]


@dataclass(frozen=True, repr=False)
class Attribute(_Operand):
    """One value of a facet; of whichever facet has it when `facet` is empty."""

    facet: str
    value: str

    def __repr__(self) -> str:
        return f"{word(self.facet)}:{word(self.value)}" if self.facet else word(self.value)


@dataclass(frozen=True, repr=False)
class Facet(_Operand):
    """A facet as a whole: subtracted from a composition, or the start of a filter."""

    name: str

    def isin(self, value: str, *values: str) -> Filter:
        """The filter "the item's value for this facet is one of these"."""
        for one in (value, *values):
            if not isinstance(one, str):
                raise TypeError(f"isin takes values as text, not {type(one).__name__}")
        return FacetIn(self.name, (value, *values))

    def __repr__(self) -> str:
        return word(self.name)


@dataclass(frozen=True, repr=False)
class ItemReference(_Operand):
    """An item of the collection that is searched."""

    id: str

    def __repr__(self) -> str:
        return f"item({word(self.id)})"


@dataclass(frozen=True, repr=False)
class Image(_Operand):
    """An encoded picture. The name is for people only."""

    data: bytes
    name: str = field(default="image", compare=False)

    def __repr__(self) -> str:
        return f"image({word(self.name)})"


@dataclass(frozen=True, repr=False)
class Vector(_Operand):
    """A raw vector, kept as float32 bytes. The name is for people only."""

    data: bytes
    name: str = field(default="vector", compare=False)

    @property
    def values(self) -> NDArray[np.float32]:
        """Shape (d,); read-only."""
        return np.frombuffer(self.data, dtype=np.float32)

    def __repr__(self) -> str:
        return f"vector({word(self.name)})"


Operand: TypeAlias = Attribute | Facet | ItemReference | Image | Vector


@dataclass(frozen=True)
class Term:
    """One signed, weighted operand."""

    weight: float
    operand: Operand

    def __post_init__(self) -> None:
        object.__setattr__(self, "weight", _weight(self.weight))


@dataclass(frozen=True, repr=False)
class Composition(Composable):
    """Signed, weighted terms. Its repr is valid expression text."""

    _terms: tuple[Term, ...]

    @property
    def terms(self) -> tuple[Term, ...]:
        return self._terms


def attribute(facet_or_value: str, value: str | None = None) -> Attribute:
    """One value of a facet, to add or subtract.

        attribute("person", "KR") + attribute("HAPPY")

    Args:
        facet_or_value: the facet; with one argument the value, which must then be of one facet
            of the collection only.
        value: of the facet.
    """
    if value is None:
        return Attribute("", _name(facet_or_value, "value"))
    return Attribute(_name(facet_or_value, "facet"), _name(value, "value"))


def facet(name: str) -> Facet:
    """A whole facet: subtract it to ignore it, or filter with `.isin(...)`.

        item("mug_7") - facet("background")
        facet("colour").isin("red", "blue")

    Args:
        name: the facet's, without regard to case and width.
    """
    return Facet(_name(name, "facet"))


def item(item_id: str) -> ItemReference:
    """An item of the collection that is searched, by its id.

        item("mug_7") - facet("background") + attribute("red")

    Args:
        item_id: the item's id.
    """
    return ItemReference(_name(item_id, "item id"))


def image(source: ImageSource, *, name: str | None = None) -> Image:
    """A picture: a path, bytes, a binary file or a PIL image. It is read at once.

        image("mug.jpg") + 0.5 * attribute("red")

    Args:
        source: the picture.
        name: that it goes by in texts; its file's name when None.

    Raises:
        InvalidArgumentError: IMAGE_NOT_FOUND or IMAGE_UNREADABLE.
        TypeError: for anything that is no picture source.
    """
    return Image(read_image(source), image_name(source) if name is None else name)


def vector(values: ArrayLike, *, name: str = "vector") -> Vector:
    """A raw vector of shape (d,), as long as the collection's embeddings.

        vector(client.embed("items", ["mug.jpg"])[0]) - facet("background")

    Raises:
        InvalidArgumentError: VECTOR_INVALID when it is not one-dimensional and finite.
    """
    return Vector(as_vector(values).tobytes(), name)


def _name(text: str, what: str) -> str:
    if not isinstance(text, str):
        raise TypeError(f"a {what} is text, not {type(text).__name__}")
    return text


def _weight(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"a weight is a real number, not {type(value).__name__}")
    try:
        weight = float(value)
    except OverflowError:
        weight = math.inf
    if not math.isfinite(weight):
        raise _invalid_weight("A weight is a finite number.")
    return weight


def _invalid_weight(message: str) -> InvalidArgumentError:
    return InvalidArgumentError(
        message, reason="WEIGHT_INVALID", field="query.composition", remedy="Pass a finite weight."
    )


def _text(terms: tuple[Term, ...]) -> str:
    text = ""
    for term in terms:
        negative = math.copysign(1.0, term.weight) < 0
        sign = (" - " if negative else " + ") if text else ("-" if negative else "")
        size = abs(term.weight)
        factor = "" if size == 1 else f"{number(size)} * "
        text += f"{sign}{factor}{term.operand!r}"
    return text
