"""Conditions on attributes and metadata, joined with `&`, `|` and `~`."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from numbers import Real
from typing import NoReturn, TypeAlias, cast

from tashihiki._syntax import number, quoted, word
from tashihiki.errors import InvalidArgumentError

Scalar: TypeAlias = str | float | bool


class Filter:
    """A condition that an item meets or not. Its repr is valid filter text."""

    def __and__(self, other: Filter) -> Filter:
        if not isinstance(other, Filter):
            return NotImplemented
        return AllOf((*_parts(self, AllOf), *_parts(other, AllOf)))

    def __or__(self, other: Filter) -> Filter:
        if not isinstance(other, Filter):
            return NotImplemented
        return AnyOf((*_parts(self, AnyOf), *_parts(other, AnyOf)))

    def __invert__(self) -> Filter:
        return Not(self)

    def __bool__(self) -> NoReturn:
        raise TypeError("join filters with &, | and ~, not with and, or and not")


@dataclass(frozen=True, repr=False)
class FacetIn(Filter):
    """The item's value for `facet` is one of `values`."""

    facet: str
    values: tuple[str, ...]

    def __repr__(self) -> str:
        return f"{word(self.facet)} in ({', '.join(map(word, self.values))})"


@dataclass(frozen=True, repr=False)
class FacetExists(Filter):
    """The item has a value for `facet`."""

    facet: str

    def __repr__(self) -> str:
        return f"exists({word(self.facet)})"


@dataclass(frozen=True, repr=False)
class MetadataRange(Filter):
    """The item's metadata has a number at `path`, within all bounds that are not None.

    Raises:
        InvalidArgumentError: FILTER_INVALID without a bound, and for NaN and infinity.
    """

    path: str
    at_least: float | None = None
    more_than: float | None = None
    at_most: float | None = None
    less_than: float | None = None

    def __post_init__(self) -> None:
        bounds = [bound for _, bound in self._bounds()]
        if not bounds or not all(map(math.isfinite, bounds)):
            raise _invalid("a range needs a bound, and finite ones", "Give a finite number.")

    def _bounds(self) -> list[tuple[str, float]]:
        signs = {
            ">=": self.at_least,
            ">": self.more_than,
            "<=": self.at_most,
            "<": self.less_than,
        }
        return [(sign, bound) for sign, bound in signs.items() if bound is not None]

    def __repr__(self) -> str:
        path = _path(self.path)
        return " and ".join(f"{path} {sign} {number(bound)}" for sign, bound in self._bounds())


@dataclass(frozen=True, repr=False)
class MetadataIn(Filter):
    """The item's metadata has one of `values` at `path`: "3" is not 3, and True is not 1."""

    path: str
    values: tuple[Scalar, ...]

    def __repr__(self) -> str:
        return f"{_path(self.path)} in ({', '.join(map(_scalar_text, self.values))})"


@dataclass(frozen=True, repr=False)
class MetadataExists(Filter):
    """The item's metadata has anything but null at `path`."""

    path: str

    def __repr__(self) -> str:
        return f"exists({_path(self.path)})"


@dataclass(frozen=True, repr=False)
class AllOf(Filter):
    """Every one of `filters` holds."""

    filters: tuple[Filter, ...]

    def __repr__(self) -> str:
        return " and ".join(_nested(part) for part in self.filters)


@dataclass(frozen=True, repr=False)
class AnyOf(Filter):
    """At least one of `filters` holds."""

    filters: tuple[Filter, ...]

    def __repr__(self) -> str:
        return " or ".join(_nested(part) for part in self.filters)


@dataclass(frozen=True, repr=False)
class Not(Filter):
    """`filter` does not hold."""

    filter: Filter

    def __repr__(self) -> str:
        return f"not {_nested(self.filter)}"


def _parts(condition: Filter, kind: type[AllOf] | type[AnyOf]) -> tuple[Filter, ...]:
    return condition.filters if isinstance(condition, kind) else (condition,)


def _nested(condition: Filter) -> str:
    joined = isinstance(condition, (AllOf, AnyOf, MetadataRange))
    return f"({condition!r})" if joined else repr(condition)


@dataclass(frozen=True, eq=False)
class MetadataPath:
    """A place in the metadata, the start of a filter: compare it, or use its methods.

    Numbers are compared with `>=`, `>`, `<=`, `<` and `between`; `==`, `!=` and `isin` take text,
    numbers and booleans; TypeError says so of anything else. An item without the metadata meets
    no condition on it but the negated ones. NaN and infinity raise InvalidArgumentError
    FILTER_INVALID.

    Attributes:
        path: keys, joined by dots.
    """

    path: str

    # Lets `numpy.float64(10) <= metadata("price")` reach __ge__.
    __array_ufunc__ = None
    __hash__ = None  # type: ignore[assignment]

    def __ge__(self, bound: float) -> Filter:
        return MetadataRange(self.path, at_least=self._bound(">=", bound))

    def __gt__(self, bound: float) -> Filter:
        return MetadataRange(self.path, more_than=self._bound(">", bound))

    def __le__(self, bound: float) -> Filter:
        return MetadataRange(self.path, at_most=self._bound("<=", bound))

    def __lt__(self, bound: float) -> Filter:
        return MetadataRange(self.path, less_than=self._bound("<", bound))

    def __eq__(self, value: object) -> Filter:  # type: ignore[override]
        return self.isin(cast(Scalar, value))

    def __ne__(self, value: object) -> Filter:  # type: ignore[override]
        return ~(self == value)

    def between(self, low: float, high: float) -> Filter:
        """The filter "a number from `low` to `high`, both included"."""
        least, most = _real(low), _real(high)
        if least is None or most is None:
            raise TypeError(
                f"metadata({self.path!r}).between takes two numbers, not {low!r} and {high!r}"
            )
        return MetadataRange(self.path, at_least=least, at_most=most)

    def isin(self, *values: Scalar | Iterable[Scalar]) -> Filter:
        """The filter "one of these": `isin("a", "b")`, or `isin(["a", "b"])`."""
        listed: list[Scalar] = []
        for value in values:
            if isinstance(value, Iterable) and not isinstance(value, (str, bytes)):
                listed.extend(map(_scalar, value))
            else:
                listed.append(_scalar(value))
        if not listed:
            raise TypeError("isin takes at least one value")
        return MetadataIn(self.path, tuple(listed))

    def exists(self) -> Filter:
        """The filter "anything but null is there"."""
        return MetadataExists(self.path)

    def _bound(self, sign: str, value: object) -> float:
        bound = _real(value)
        if bound is None:
            raise TypeError(
                f"metadata({self.path!r}) {sign} takes a number, not {value!r}:"
                " text and booleans have no order, compare them with == or isin"
            )
        return bound


def metadata(path: str) -> MetadataPath:
    """A place in the metadata, to filter by: `metadata("price") < 20`.

    Args:
        path: keys, joined by dots, such as `size.width`.

    Raises:
        InvalidArgumentError: FILTER_INVALID for an empty path.
    """
    if not isinstance(path, str):
        raise TypeError(f"a path is text, not {type(path).__name__}")
    if not path:
        raise _invalid("the path is empty", "Give the keys, joined by dots.")
    return MetadataPath(path)


def exists(facet: str) -> Filter:
    """The filter "the item has a label for this facet"; see also `metadata(path).exists()`."""
    if not isinstance(facet, str):
        raise TypeError(f"a facet is text, not {type(facet).__name__}")
    return FacetExists(facet)


def _real(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, Real):
        return None
    try:
        real = float(value)
    except OverflowError:
        real = math.inf
    if not math.isfinite(real):
        raise _invalid(f"{value} is not a finite number", "Compare with a finite number.")
    return real


def _scalar(value: object) -> Scalar:
    if isinstance(value, (str, bool)):
        return value
    real = _real(value)
    if real is None:
        raise TypeError(f"metadata is compared with text, numbers and booleans, not {value!r}")
    return real


def _scalar_text(value: Scalar) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return quoted(value) if isinstance(value, str) else number(value)


def _path(path: str) -> str:
    return ".".join(["metadata", *map(word, path.split("."))])


def _invalid(message: str, remedy: str) -> InvalidArgumentError:
    return InvalidArgumentError(message, reason="FILTER_INVALID", field="where", remedy=remedy)
