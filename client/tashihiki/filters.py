"""Conditions on attributes, joined with `&`, `|` and `~`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn

from tashihiki._syntax import word


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
    return f"({condition!r})" if isinstance(condition, (AllOf, AnyOf)) else repr(condition)
