"""Which items may be hits: filters as text or messages, turned into a mask over rows."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from functools import cache
from itertools import accumulate
from pathlib import Path
from typing import Protocol

import numpy as np
from google.protobuf import struct_pb2
from lark import Lark, Token, Transformer, UnexpectedInput, v_args
from lark.exceptions import UnexpectedToken, VisitError
from numpy.typing import NDArray

from tashihiki.errors import FailedPreconditionError, InvalidArgumentError, TashihikiError
from tashihiki.v1 import filter_pb2
from tashihiki_server.deadline import check_deadline
from tashihiki_server.names import spelt
from tashihiki_server.query.expression import MAX_DEPTH, MAX_LENGTH, unquote

MAX_BYTES = 64 * 2**10
_REMEDY = (
    "Use facet_in, metadata_range, metadata_in, exists, and, or, not, or the text form, each"
    " complete."
)
_BOUNDS = {">=": "at_least", ">": "more_than", "<=": "at_most", "<": "less_than"}

Mask = NDArray[np.bool_]
Scalar = str | float | bool


@dataclass(frozen=True)
class Places:
    """Where the names of a condition stand in the filter's text: starts and lengths.

    Attributes:
        field: of the request, that holds the text.
        facet: of the facet.
        values: of each of its values.
    """

    field: str
    facet: tuple[int, int]
    values: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class FacetIn:
    facet: str
    values: tuple[str, ...]
    places: Places | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Bounds:
    """The limits of a number; None where there is none."""

    at_least: float | None = None
    more_than: float | None = None
    at_most: float | None = None
    less_than: float | None = None

    def admit(self, numbers: NDArray[np.float64]) -> Mask:
        """Which of the numbers lie within; NaN never does."""
        within = ~np.isnan(numbers)
        if self.at_least is not None:
            within &= numbers >= self.at_least
        if self.more_than is not None:
            within &= numbers > self.more_than
        if self.at_most is not None:
            within &= numbers <= self.at_most
        if self.less_than is not None:
            within &= numbers < self.less_than
        return within


@dataclass(frozen=True)
class MetadataRange:
    path: str
    bounds: Bounds


@dataclass(frozen=True)
class MetadataIn:
    path: str
    values: tuple[Scalar, ...]


@dataclass(frozen=True)
class FacetExists:
    facet: str
    places: Places | None = field(default=None, compare=False)


@dataclass(frozen=True)
class MetadataExists:
    path: str


@dataclass(frozen=True)
class And:
    filters: tuple[Filter, ...]


@dataclass(frozen=True)
class Or:
    filters: tuple[Filter, ...]


@dataclass(frozen=True)
class Not:
    filter: Filter


Filter = FacetIn | FacetExists | MetadataRange | MetadataIn | MetadataExists | And | Or | Not


class LabelledRows(Protocol):
    """What a filter needs of the rows that it is applied to."""

    def __len__(self) -> int: ...

    @property
    def alive(self) -> Mask:
        """The rows whose items are still there."""
        ...

    def having(self, facet: str, values: tuple[str, ...]) -> Mask:
        """The rows whose facet has one of the values.

        Raises:
            InvalidArgumentError: UNKNOWN_FACET or UNKNOWN_VALUE.
        """
        ...

    def labelled_in(self, facet: str) -> Mask:
        """The rows that have a value of the facet.

        Raises:
            InvalidArgumentError: UNKNOWN_FACET.
        """
        ...

    def between(self, path: str, bounds: Bounds) -> Mask:
        """The rows whose metadata has a number within the bounds at the path.

        Raises:
            FailedPreconditionError: FILTER_PATH_LIMIT.
        """
        ...

    def equal(self, path: str, values: tuple[Scalar, ...]) -> Mask:
        """The rows whose metadata has one of the values at the path.

        Raises:
            FailedPreconditionError: FILTER_PATH_LIMIT.
        """
        ...

    def present(self, path: str) -> Mask:
        """The rows whose metadata has anything but null at the path.

        Raises:
            FailedPreconditionError: FILTER_PATH_LIMIT.
        """
        ...


def admitted(condition: Filter, rows: LabelledRows, *, lenient: bool = False) -> Mask:
    """The rows that the filter admits, one bool for each.

    Args:
        condition: the filter.
        rows: that it is applied to.
        lenient: whether facets and values that no item carries match nothing, rather than being
            an error.
    """
    if isinstance(condition, (FacetIn, FacetExists)):
        return _carrying_known(condition, rows) if lenient else _carrying_all(condition, rows)
    if isinstance(condition, MetadataRange):
        return rows.between(condition.path, condition.bounds)
    if isinstance(condition, MetadataIn):
        return rows.equal(condition.path, condition.values)
    if isinstance(condition, MetadataExists):
        return rows.present(condition.path)
    if isinstance(condition, Not):
        return ~admitted(condition.filter, rows, lenient=lenient)
    every = isinstance(condition, And)
    mask = np.full(len(rows), every)
    for part in condition.filters:
        check_deadline()
        of_part = admitted(part, rows, lenient=lenient)
        (np.logical_and if every else np.logical_or)(mask, of_part, out=mask)
    return mask


def _carrying_all(condition: FacetIn | FacetExists, rows: LabelledRows) -> Mask:
    try:
        return _carrying(condition, rows)
    except InvalidArgumentError as error:
        _suggest_metadata(error, condition, rows)
        if condition.places is not None:
            start, length = _fault(condition, condition.places, error, rows)
            error.field = condition.places.field
            error.details |= {"position": str(start), "length": str(length)}
        raise


def _suggest_metadata(
    error: InvalidArgumentError, condition: FacetIn | FacetExists, rows: LabelledRows
) -> None:
    # `gender:Men` is about a facet, also where the metadata alone has a gender.
    if error.reason != "UNKNOWN_FACET":
        return
    try:
        there = bool((rows.present(condition.facet) & rows.alive).any())
    except FailedPreconditionError:
        return
    if there:
        path = f"metadata.{_bare(condition.facet)}"
        error.message = f"no facet {spelt(condition.facet)}; did you mean {path}?"
        error.details["candidates"] = path
        error.remedy = "Write the path where the metadata is meant."


def _fault(
    condition: FacetIn | FacetExists,
    places: Places,
    error: InvalidArgumentError,
    rows: LabelledRows,
) -> tuple[int, int]:
    if isinstance(condition, FacetIn) and error.reason == "UNKNOWN_VALUE":
        for value, place in zip(condition.values, places.values, strict=True):
            check_deadline()
            try:
                rows.having(condition.facet, (value,))
            except InvalidArgumentError:
                return place
    return places.facet


def _carrying(condition: FacetIn | FacetExists, rows: LabelledRows) -> Mask:
    if isinstance(condition, FacetExists):
        return rows.labelled_in(condition.facet)
    return rows.having(condition.facet, condition.values)


def _carrying_known(condition: FacetIn | FacetExists, rows: LabelledRows) -> Mask:
    try:
        return _carrying(condition, rows)
    except InvalidArgumentError:
        mask = np.zeros(len(rows), dtype=bool)
    values = condition.values if isinstance(condition, FacetIn) else ()
    for value in values if len(values) > 1 else ():
        check_deadline()
        mask |= _carrying_known(FacetIn(condition.facet, (value,)), rows)
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
    if kind == "metadata_range":
        return _range(message.metadata_range, field)
    if kind == "metadata_in":
        path = _path(message.metadata_in.path, field)
        return MetadataIn(path, tuple(_scalar(v, field) for v in message.metadata_in.values))
    if kind == "exists":
        return _exists(message.exists, field)
    if kind == "expression":
        return parse_filter(message.expression, f"{field}.expression")
    raise _invalid("the filter has no predicate", field)


def _path(path: str, field: str) -> str:
    if not path:
        raise _invalid("a condition on metadata names no path", field)
    return path


def _range(message: filter_pb2.MetadataRange, field: str) -> MetadataRange:
    given = {each.name: value for each, value in message.ListFields() if each.name != "path"}
    if not given:
        raise _invalid("a metadata_range has no bound", field)
    if not all(map(math.isfinite, given.values())):
        raise _invalid("a bound of a metadata_range is not finite", field)
    return MetadataRange(_path(message.path, field), Bounds(**given))


def _scalar(message: struct_pb2.Value, field: str) -> Scalar:
    kind = message.WhichOneof("kind")
    if kind not in ("string_value", "number_value", "bool_value"):
        raise _invalid("a metadata_in compares with text, numbers and booleans only", field)
    if kind == "number_value" and not math.isfinite(message.number_value):
        raise _invalid("a number of a metadata_in is not finite", field)
    scalar: Scalar = getattr(message, kind)
    return scalar


def _exists(message: filter_pb2.Exists, field: str) -> Filter:
    if message.WhichOneof("subject") == "metadata":
        return MetadataExists(_path(message.metadata, field))
    if not message.facet:
        raise _invalid("an exists names neither a facet nor a path", field)
    return FacetExists(message.facet)


def parse_filter(text: str, field: str) -> Filter:
    """Parses a filter such as `colour in (red, blue) and not background:wood`.

    Raises:
        InvalidArgumentError: FILTER_INVALID, with the position of the fault.
    """
    if len(text) > MAX_LENGTH or _depth(text) > MAX_DEPTH:
        raise _invalid("the filter is too long or too deep", field)
    try:
        parsed: Filter = _Build(field).transform(_parser().parse(text))
        return parsed
    except RecursionError:
        raise _invalid("the filter is nested too deep", field) from None
    except VisitError as error:
        if isinstance(error.orig_exc, TashihikiError):
            raise error.orig_exc from None
        raise
    except UnexpectedInput as error:
        position = error.pos_in_stream if error.pos_in_stream is not None else len(text)
        if isinstance(error, UnexpectedToken) and error.token.type == "$END":
            position = len(text)
        raise InvalidArgumentError(
            f"the filter cannot be read at character {position + 1}",
            reason="FILTER_INVALID",
            field=field,
            remedy="Write for example `colour in (red, blue) and metadata.price < 20`.",
            details={"position": str(position), "length": "1"},
        ) from None


def _depth(text: str) -> int:
    levels = accumulate((character == "(") - (character == ")") for character in text)
    return max(levels, default=0)


@cache
def _parser() -> Lark:
    grammar = Path(__file__).with_name("filter.lark").read_text(encoding="utf-8")
    return Lark(grammar, parser="lalr")


# Not whatever Python's float() reads: `nan`, `inf` and `1_000` are text.
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
_SIGNS = str.maketrans("−–－＋", "---+")
_BOOLEANS = {"true": True, "false": False}
_SEGMENT = re.compile(r"""\.("(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|[^."']+)""", re.DOTALL)


def _number(word: str) -> float | None:
    word = word.translate(_SIGNS)
    return float(word) if _NUMBER.fullmatch(word) else None


@v_args(inline=True)
class _Build(Transformer[Token, Filter]):
    def __init__(self, field: str) -> None:
        super().__init__()
        self._field = field

    def start(self, condition: Filter) -> Filter:
        return condition

    def either(self, *parts: Filter | Token) -> Filter:
        return Or(tuple(part for part in parts if not isinstance(part, Token)))

    def both(self, *parts: Filter | Token) -> Filter:
        return And(tuple(part for part in parts if not isinstance(part, Token)))

    def negation(self, _: Token, condition: Filter) -> Filter:
        return Not(condition)

    def facet(self, token: Token) -> Token:
        return token

    def name(self, token: Token) -> Token:
        return token

    def path(self, token: Token) -> str:
        path = ".".join(map(unquote, _SEGMENT.findall(str(token))))
        if not path:
            raise self._fault("a condition on metadata names no path", token, _REMEDY)
        return path

    def scalar(self, token: Token) -> Scalar:
        text = str(token)
        if token.type == "QUOTED":
            return unquote(text)
        if text.lower() in _BOOLEANS:
            return _BOOLEANS[text.lower()]
        number = _number(text)
        if number is None:
            return text
        return self._finite(number, token)

    def facet_in(self, facet: Token, _: Token, *values: Token) -> Filter:
        names = tuple(unquote(str(value)) for value in values)
        return FacetIn(unquote(str(facet)), names, self._places(facet, *values))

    def facet_not_in(self, facet: Token, _: Token, __: Token, *values: Token) -> Filter:
        return Not(self.facet_in(facet, _, *values))

    def facet_is(self, facet: Token, _: Token, value: Token) -> Filter:
        return self.facet_in(facet, _, value)

    def facet_compared(self, facet: Token, sign: Token, value: Token) -> Filter:
        path = unquote(str(facet))
        if re.match(r"metadata\.", path, re.IGNORECASE):
            raise self._fault(
                f"{path!r} is compared with {sign}, but in quotes it is a facet",
                facet,
                f"Write the path without the quotes: `{_bare(path)} {sign} {unquote(value)}`.",
            )
        turned = _number(facet) is not None
        name, bound = ("price", "20") if turned else (str(facet), unquote(str(value)))
        bound = "20" if _number(bound) is None else bound
        alternative = (
            ""
            if turned
            else f" Of a facet, values are listed: `{name} in ({bound}, …)`; to compare"
            " its numbers, import the column as metadata, leaving it out of `index --facet`."
        )
        raise self._fault(
            f"{unquote(name)!r} is compared with {sign}, but only numbers in the metadata can be",
            sign,
            f"Of metadata, write the path first: `metadata.{name} {sign} {bound}`.{alternative}",
        )

    def facet_exists(self, _: Token, facet: Token) -> Filter:
        return FacetExists(unquote(str(facet)), self._places(facet))

    def metadata_in(self, path: str, _: Token, *values: Scalar) -> Filter:
        return MetadataIn(path, values)

    def metadata_not_in(self, path: str, _: Token, __: Token, *values: Scalar) -> Filter:
        return Not(MetadataIn(path, values))

    def metadata_is(self, path: str, _: Token, value: Scalar) -> Filter:
        return MetadataIn(path, (value,))

    def metadata_compared(self, path: str, sign: Token, token: Token) -> Filter:
        number = _number(token)
        if number is None:
            raise self._fault(
                f"{token} is no number",
                token,
                f"Compare with a number, without quotes: `metadata.price {sign} 20`.",
            )
        return MetadataRange(path, Bounds(**{_BOUNDS[sign]: self._finite(number, token)}))

    def metadata_exists(self, _: Token, path: str) -> Filter:
        return MetadataExists(path)

    def _places(self, facet: Token, *values: Token) -> Places:
        return Places(self._field, _span(facet), tuple(map(_span, values)))

    def _finite(self, number: float, token: Token) -> float:
        if not math.isfinite(number):
            raise self._fault(f"{token} is too large a number", token, "Use a smaller one.")
        return number

    def _fault(self, message: str, token: Token, remedy: str) -> InvalidArgumentError:
        start, length = _span(token)
        return InvalidArgumentError(
            f"{message}, at character {start + 1}",
            reason="FILTER_INVALID",
            field=self._field,
            remedy=remedy,
            details={"position": str(start), "length": str(length)},
        )


def _bare(path: str) -> str:
    """A path with quotes only around the names that need them."""
    names = path.split(".")
    return ".".join(n if re.fullmatch(r"""[^\s,:：=()"'<>!]+""", n) else f'"{n}"' for n in names)


def _span(token: Token) -> tuple[int, int]:
    return token.start_pos or 0, len(token)


def _invalid(message: str, field: str) -> InvalidArgumentError:
    return InvalidArgumentError(
        message,
        reason="FILTER_INVALID",
        field=field,
        remedy=_REMEDY,
    )
