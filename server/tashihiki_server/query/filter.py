"""Which items may be hits: filters as text or messages, turned into a mask over rows."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from pathlib import Path
from typing import Protocol

import numpy as np
from lark import Lark, Token, Transformer, UnexpectedInput, v_args
from lark.exceptions import UnexpectedToken
from numpy.typing import NDArray

from tashihiki.errors import InvalidArgumentError
from tashihiki.v1 import filter_pb2
from tashihiki_server.deadline import check_deadline
from tashihiki_server.query.expression import MAX_DEPTH, MAX_LENGTH, unquote

MAX_BYTES = 64 * 2**10

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class FacetIn:
    facet: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class And:
    filters: tuple[Filter, ...]


@dataclass(frozen=True)
class Or:
    filters: tuple[Filter, ...]


@dataclass(frozen=True)
class Not:
    filter: Filter


Filter = FacetIn | And | Or | Not


class LabelledRows(Protocol):
    """What a filter needs of the rows that it is applied to."""

    def __len__(self) -> int: ...

    def having(self, facet: str, values: tuple[str, ...]) -> Mask:
        """The rows whose facet has one of the values.

        Raises:
            InvalidArgumentError: UNKNOWN_FACET or UNKNOWN_VALUE.
        """
        ...


def admitted(condition: Filter, rows: LabelledRows) -> Mask:
    """The rows that the filter admits, one bool for each."""
    if isinstance(condition, FacetIn):
        return rows.having(condition.facet, condition.values)
    if isinstance(condition, Not):
        return ~admitted(condition.filter, rows)
    every = isinstance(condition, And)
    mask = np.full(len(rows), every)
    for part in condition.filters:
        check_deadline()
        (np.logical_and if every else np.logical_or)(mask, admitted(part, rows), out=mask)
    return mask


def filter_from_message(message: filter_pb2.Filter, field: str, depth: int = 0) -> Filter:
    """Reads a filter message.

    Raises:
        InvalidArgumentError: FILTER_INVALID.
    """
    if depth == 0 and message.ByteSize() > MAX_BYTES:
        raise _invalid(f"the filter has more than {MAX_BYTES} bytes", field)
    if depth > MAX_DEPTH:
        raise _invalid(f"filters are nested more than {MAX_DEPTH} deep", field)
    kind = message.WhichOneof("predicate")
    if kind == "facet_in":
        if not message.facet_in.facet:
            raise _invalid("a facet_in names no facet", field)
        return FacetIn(message.facet_in.facet, tuple(message.facet_in.values))
    if kind == "not":
        return Not(filter_from_message(getattr(message, "not"), field, depth + 1))
    if kind in ("and", "or"):
        parts = getattr(message, kind).filters
        read = tuple(filter_from_message(part, field, depth + 1) for part in parts)
        return And(read) if kind == "and" else Or(read)
    if kind == "expression":
        return parse_filter(message.expression, f"{field}.expression")
    raise _invalid("the filter has no predicate", field)


def parse_filter(text: str, field: str) -> Filter:
    """Parses a filter such as `colour in (red, blue) and not background:wood`.

    Raises:
        InvalidArgumentError: FILTER_INVALID, with the position of the fault.
    """
    if len(text) > MAX_LENGTH or _depth(text) > MAX_DEPTH:
        raise _invalid("the filter is too long or too deep", field)
    try:
        parsed: Filter = _Build().transform(_parser().parse(text))
        return parsed
    except RecursionError:
        raise _invalid("the filter is nested too deep", field) from None
    except UnexpectedInput as error:
        position = error.pos_in_stream if error.pos_in_stream is not None else len(text)
        if isinstance(error, UnexpectedToken) and error.token.type == "$END":
            position = len(text)
        raise InvalidArgumentError(
            f"the filter cannot be read at character {position + 1}",
            reason="FILTER_INVALID",
            field=field,
            remedy="Write for example `colour in (red, blue) and not background:wood`.",
            details={"position": str(position), "length": "1"},
        ) from None


def _depth(text: str) -> int:
    levels = accumulate((character == "(") - (character == ")") for character in text)
    return max(levels, default=0)


@cache
def _parser() -> Lark:
    grammar = Path(__file__).with_name("filter.lark").read_text(encoding="utf-8")
    return Lark(grammar, parser="lalr")


@v_args(inline=True)
class _Build(Transformer[Token, Filter]):
    def start(self, condition: Filter) -> Filter:
        return condition

    def either(self, *parts: Filter | Token) -> Filter:
        return Or(tuple(part for part in parts if not isinstance(part, Token)))

    def both(self, *parts: Filter | Token) -> Filter:
        return And(tuple(part for part in parts if not isinstance(part, Token)))

    def negation(self, _: Token, condition: Filter) -> Filter:
        return Not(condition)

    def name(self, token: Token) -> str:
        return unquote(str(token))

    def facet_in(self, facet: str, _: Token, *values: str) -> Filter:
        return FacetIn(facet, values)

    def facet_not_in(self, facet: str, _: Token, __: Token, *values: str) -> Filter:
        return Not(FacetIn(facet, values))

    def facet_is(self, facet: str, _: Token, value: str) -> Filter:
        return FacetIn(facet, (value,))


def _invalid(message: str, field: str) -> InvalidArgumentError:
    return InvalidArgumentError(
        message,
        reason="FILTER_INVALID",
        field=field,
        remedy="Use facet_in, and, or, not, or the text form.",
    )
