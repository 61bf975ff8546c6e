"""The message form of a query, read into the same terms as its text form."""

from __future__ import annotations

import numpy as np

from tashihiki.errors import InvalidArgumentError
from tashihiki.v1 import composition_pb2
from tashihiki_server.query.ast import (
    FacetValue,
    Group,
    ImageOperand,
    ItemOperand,
    Operand,
    Term,
    VectorOperand,
    WholeFacet,
    Word,
)
from tashihiki_server.query.expression import MAX_DEPTH, parse_expression

MAX_TERMS = 1000


def read_query(query: composition_pb2.Query, field: str = "query") -> tuple[Term, ...]:
    """The terms of a query in either form.

    Raises:
        InvalidArgumentError: those of `parse_expression`, QUERY_MISSING, COMPOSITION_EMPTY,
            COMPOSITION_INVALID or TOO_MANY_TERMS.
    """
    form = query.WhichOneof("form")
    if form == "expression":
        terms = parse_expression(query.expression, f"{field}.expression")
    elif form == "composition":
        terms = _read_composition(query.composition, f"{field}.composition", 0)
    else:
        raise _invalid("QUERY_MISSING", "the request has no query", field)
    if _size(terms) > MAX_TERMS:
        raise _invalid("TOO_MANY_TERMS", f"the query has more than {MAX_TERMS} terms", field)
    return terms


def _size(terms: tuple[Term, ...]) -> int:
    return sum(_size(t.operand.terms) if isinstance(t.operand, Group) else 1 for t in terms)


def _read_composition(
    composition: composition_pb2.Composition, field: str, depth: int
) -> tuple[Term, ...]:
    if depth > MAX_DEPTH:
        raise _invalid(
            "COMPOSITION_INVALID", f"groups are nested more than {MAX_DEPTH} deep", field
        )
    if not composition.terms:
        raise _invalid("COMPOSITION_EMPTY", "the composition has no terms", f"{field}.terms")
    return tuple(
        _read_term(term, f"{field}.terms[{number}]", depth)
        for number, term in enumerate(composition.terms)
    )


def _read_term(term: composition_pb2.Term, field: str, depth: int) -> Term:
    weight = term.weight if term.HasField("weight") else 1.0
    return Term(weight, _read_operand(term, field, depth), field)


def _read_operand(term: composition_pb2.Term, field: str, depth: int) -> Operand:
    kind = term.WhichOneof("operand")
    if kind == "attribute":
        if not term.attribute.facet:
            return FacetValue("", term.attribute.value)
        return FacetValue(term.attribute.facet, term.attribute.value)
    if kind == "group":
        return Group(_read_composition(term.group, f"{field}.group", depth + 1))
    if kind == "vector":
        return VectorOperand(values=np.array(term.vector.values, dtype=np.float64))
    if kind == "placeholder":
        return _read_placeholder(term.placeholder, field)
    if kind == "facet":
        return WholeFacet(term.facet)
    if kind == "item_id":
        return ItemOperand(term.item_id)
    if kind == "image":
        return ImageOperand(data=term.image)
    if kind == "image_name":
        return ImageOperand(name=term.image_name)
    if kind == "vector_name":
        return VectorOperand(name=term.vector_name)
    if kind == "word":
        return Word(term.word)
    raise _invalid("COMPOSITION_INVALID", "the term has no operand", field)


def _read_placeholder(placeholder: composition_pb2.Placeholder.ValueType, field: str) -> Operand:
    if placeholder == composition_pb2.PLACEHOLDER_THIS_ITEM:
        return ItemOperand(None)
    if placeholder == composition_pb2.PLACEHOLDER_THIS_IMAGE:
        return ImageOperand()
    raise _invalid("COMPOSITION_INVALID", "the placeholder is not known", field)


def _invalid(reason: str, message: str, field: str) -> InvalidArgumentError:
    remedy = "Send terms or an expression, for example `person KR + HAPPY`."
    return InvalidArgumentError(message, reason=reason, field=field, remedy=remedy)
