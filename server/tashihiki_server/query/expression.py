"""The text form of a query, parsed."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from functools import cache, lru_cache
from pathlib import Path

from lark import Lark, Token, Transformer, UnexpectedCharacters, UnexpectedInput, v_args
from lark.exceptions import UnexpectedEOF, UnexpectedToken, VisitError

from tashihiki.errors import InvalidArgumentError, TashihikiError
from tashihiki_server.query.ast import (
    FacetValue,
    Group,
    ImageOperand,
    ItemOperand,
    Operand,
    Term,
    VectorOperand,
    Word,
)

MAX_LENGTH = 10_000
MAX_DEPTH = 32
# What callers ask again and again is short; parsing takes as long as a look-up.
_REMEMBERED_LENGTH = 200
FIELD = "query.expression"
_QUOTES = {'"': '"', "'": "'", "“": "”"}
_QUOTED = re.compile(r""""(\\.|[^"\\])*("|\\?\Z)|'(\\.|[^'\\])*('|\\?\Z)|“[^”]*(”|\Z)""", re.DOTALL)

# Before what is not expected, where people write it for a sign.
_JOINED = re.compile(r"([,，、;]|(?<!\S)(?:&&?|and|not))\s*\Z", re.IGNORECASE)


def parse_expression(text: str, field: str = FIELD) -> tuple[Term, ...]:
    """Parses a query such as `person KR + 0.5 * (HAPPY − "navy blue")`.

    Raises:
        InvalidArgumentError: EXPRESSION_EMPTY, EXPRESSION_TOO_LONG, EXPRESSION_SYNTAX or
            WEIGHT_INVALID, with the `position` and `length` of the fault in its details.
    """
    if not text.strip():
        raise InvalidArgumentError(
            "the expression is empty",
            reason="EXPRESSION_EMPTY",
            field=field,
            remedy="Write at least one term, for example `person KR + HAPPY`.",
        )
    _check_size(text, field)
    return _remembered(text, field) if len(text) <= _REMEMBERED_LENGTH else _parsed(text, field)


@lru_cache(maxsize=4096)
def _remembered(text: str, field: str) -> tuple[Term, ...]:
    return _parsed(text, field)


def _parsed(text: str, field: str) -> tuple[Term, ...]:
    try:
        tree = _parser().parse(text)
        terms: tuple[Term, ...] = _Build(field).transform(tree)
        return terms
    except VisitError as error:
        if isinstance(error.orig_exc, TashihikiError):
            raise error.orig_exc from None
        raise
    except UnexpectedInput as error:
        raise _syntax(text, error, field) from None


@cache
def _parser() -> Lark:
    grammar = Path(__file__).with_name("expression.lark").read_text(encoding="utf-8")
    return Lark(grammar, parser="lalr", propagate_positions=True, maybe_placeholders=True)


def _check_size(text: str, field: str) -> None:
    if len(text) > MAX_LENGTH:
        raise InvalidArgumentError(
            f"the expression has {len(text)} characters, over the limit of {MAX_LENGTH}",
            reason="EXPRESSION_TOO_LONG",
            field=field,
            remedy="Send structured terms.",
        )
    depth = 0
    for position, character in enumerate(_unquoted(text)):
        depth += (character in "(（") - (character in ")）")
        if depth > MAX_DEPTH:
            raise _fault(
                f"parentheses are nested more than {MAX_DEPTH} deep",
                text,
                position,
                field,
                "Multiply the groups out.",
            )


def unquote(text: str) -> str:
    """A name without its quotes; a backslash keeps the character after it."""
    if len(text) >= 2 and _QUOTES.get(text[0]) == text[-1]:
        return re.sub(r"\\(.)", r"\1", text[1:-1])
    return text


def _unquoted(text: str) -> str:
    """The text with spaces for what stands in quotes, to its end where they are not closed."""
    return _QUOTED.sub(lambda quoted: " " * len(quoted.group()), text)


def _weight_text(token: Token) -> str:
    return str(token)[:-1].strip()


def _argument(token: Token) -> str:
    return unquote(re.split(r"[(（]", str(token), maxsplit=1)[1][:-1].strip())


def _span(token: Token) -> tuple[int, int]:
    start = token.start_pos or 0
    return start, (token.end_pos or start) - start


_Piece = tuple[Operand, tuple[int, int]]


@v_args(inline=True)
class _Build(Transformer[Token, tuple[Term, ...]]):
    def __init__(self, field: str) -> None:
        super().__init__()
        self._field = field

    def start(self, terms: tuple[Term, ...]) -> tuple[Term, ...]:
        return terms

    def expression(self, *pieces: Term | Token | None) -> tuple[Term, ...]:
        terms: list[Term] = []
        sign = 1.0
        for piece in pieces:
            if isinstance(piece, Term):
                terms.append(replace(piece, weight=sign * piece.weight))
            else:
                sign = -1.0 if piece is not None and str(piece) in "-−–－" else 1.0
        return tuple(terms)

    def term(self, weight: Token | None, piece: _Piece) -> Term:
        operand, span = piece
        if weight is None:
            return Term(1.0, operand, self._field, span)
        written = _span(weight)[0], len(_weight_text(weight))
        return Term(self._number(weight), operand, self._field, span, written)

    def _number(self, token: Token) -> float:
        text = _weight_text(token)
        try:
            return float(text.replace("∞", "inf"))
        except ValueError:
            raise InvalidArgumentError(
                f"{text!r} before * is not a number",
                reason="WEIGHT_INVALID",
                field=self._field,
                remedy="Write a number, for example `0.5 * red`.",
                details={"position": str(token.start_pos), "length": str(len(text))},
            ) from None

    def name(self, token: Token) -> Token:
        return token

    def facet_value(self, facet: Token, *rest: Token) -> _Piece:
        value = rest[-1]
        start, _ = _span(facet)
        end = sum(_span(value))
        return FacetValue(unquote(str(facet)), unquote(str(value))), (start, end - start)

    def word(self, name: Token) -> _Piece:
        return Word(unquote(str(name))), _span(name)

    def item(self, token: Token) -> _Piece:
        return ItemOperand(_argument(token)), _span(token)

    def image(self, token: Token) -> _Piece:
        return ImageOperand(name=_argument(token)), _span(token)

    def vector(self, token: Token) -> _Piece:
        return VectorOperand(name=_argument(token)), _span(token)

    def this_item(self, token: Token) -> _Piece:
        return ItemOperand(None), _span(token)

    def this_image(self, token: Token) -> _Piece:
        return ImageOperand(), _span(token)

    def group(self, left: Token, terms: tuple[Term, ...], right: Token) -> _Piece:
        start, _ = _span(left)
        return Group(terms), (start, sum(_span(right)) - start)


def _syntax(text: str, error: UnexpectedInput, field: str) -> InvalidArgumentError:
    position = len(text.rstrip())
    if isinstance(error, UnexpectedCharacters):
        position = error.pos_in_stream or 0
    elif isinstance(error, UnexpectedToken) and error.token.type != "$END":
        position = error.token.start_pos or 0
        joined = _JOINED.search(_unquoted(text)[:position])
        if joined is not None and error.token.type not in ("SIGN", "COLON", "RIGHT"):
            # `mug & red` is read as the value & of a facet mug, and then red.
            word = joined[1]
            return _fault(
                f"{word!r} does not join terms",
                text,
                joined.start(1),
                field,
                "Write a −, or leave items out with a filter."
                if word.casefold() == "not"
                else "Write a + between them.",
                len(word),
            )
    message, remedy = _diagnose(text, position, error)
    return _fault(message, text, position, field, remedy)


def _diagnose(text: str, position: int, error: UnexpectedInput) -> tuple[str, str]:
    ended = isinstance(error, UnexpectedEOF) or position >= len(text.rstrip())
    found = text[position] if not ended else ""
    unquoted = _unquoted(text)
    opened = sum(map(unquoted.count, "(（")) - sum(map(unquoted.count, ")）"))
    closing = _QUOTES.get(found, "")
    checks: list[tuple[Callable[[], bool], str, str]] = [
        (lambda: bool(closing), "a quote is not closed", f"Close it with {closing}."),
        (lambda: found in ")）" and opened < 0, "a parenthesis is not opened", "Remove it."),
        (lambda: found in ")）" and not ended, "a term is missing before )", "Add the term."),
        (lambda: ended and opened > 0, "a parenthesis is not closed", "Add the missing `)`."),
        (lambda: ended, "the expression ends where a term is needed", "Add the term."),
        (
            lambda: found in "+-−–＋－",
            "a sign stands where a term is needed",
            "Quote names that hold signs or spaces.",
        ),
    ]
    for holds, message, remedy in checks:
        if holds():
            return message, remedy
    return (
        f"{found!r} is not expected here",
        "Join terms with + or −, and quote names that hold signs or spaces.",
    )


def _fault(
    message: str, text: str, position: int, field: str, remedy: str, length: int = 1
) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"{message}, at character {position + 1}",
        reason="EXPRESSION_SYNTAX",
        field=field,
        remedy=remedy,
        details={"position": str(position), "length": str(length)},
    )
