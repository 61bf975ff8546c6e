"""The page's query: what it sends, checked, and the composition that comes of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tashihiki import (
    Composition,
    InvalidArgumentError,
    ResolvedTerm,
    Search,
    TashihikiError,
    attribute,
    facet,
    item,
)
from tashihiki.composition import Composable, Image, ItemReference
from tashihiki.query import Mode
from tashihiki_server.web.failures import invalid_request
from tashihiki_server.web.pictures import QueryPictures

_UNBOUND_REMEDY = "Click a result to make it this item, or drop, paste or choose a picture."
_MODES: dict[str, Mode] = {"replace": "replace", "add": "add"}


@dataclass(frozen=True)
class PageQuery:
    """A query as the page sends it.

    Attributes:
        expression: text; None where terms are given.
        terms: of the chips.
        item: what `this item` stands for, or "".
        picture: the token of what `this image` stands for, or "".
        where: filter text, or "".
        only: facet to the values that hits may have.
        mode: whether attributes replace what items show, or are added.
        limit: hits on a page.
        page_token: of the page before, or "".
    """

    expression: str | None = ""
    terms: Sequence[Mapping[str, Any]] = ()
    item: str = ""
    picture: str = ""
    where: str = ""
    only: Mapping[str, Sequence[str]] = field(default_factory=dict)
    mode: Mode = "replace"
    limit: int = 40
    page_token: str = ""


def parse_query(body: object) -> PageQuery:
    """Reads the JSON of a query.

    Raises:
        InvalidArgumentError: REQUEST_INVALID.
    """
    if not isinstance(body, dict):
        raise invalid_request("the request is no JSON object")
    terms = body.get("terms")
    only = body.get("only", {})
    limit = body.get("limit", 40)
    if not isinstance(only, dict) or not all(map(_is_texts, only.values())):
        raise invalid_request("`only` is not a facet's values")
    if terms is not None and not (
        isinstance(terms, list) and all(isinstance(term, dict) for term in terms)
    ):
        raise invalid_request("`terms` is no list of terms")
    if not isinstance(limit, int) or isinstance(limit, bool):
        raise invalid_request("`limit` is not a number")
    mode = _MODES.get(_text(body, "mode") or "replace")
    if mode is None:
        raise invalid_request("`mode` is neither replace nor add")
    return PageQuery(
        expression=None if terms is not None else _text(body, "expression"),
        terms=terms or (),
        item=_text(body, "item"),
        picture=_text(body, "picture"),
        where=_text(body, "where"),
        only=only,
        mode=mode,
        limit=limit,
        page_token=_text(body, "page_token"),
    )


def search_of(collection: str, query: PageQuery, pictures: QueryPictures) -> Search:
    """The search that a query asks for, thumbnails included.

    Raises:
        InvalidArgumentError: REQUEST_INVALID or WEIGHT_INVALID.
        NotFoundError: PICTURE_GONE.
    """
    data = pictures.get(query.picture).data if query.picture else None
    asked: str | Composable
    if query.expression is not None:
        asked = query.expression
    else:
        asked = _sum([_term(term, data, query.item) for term in query.terms])
    return Search(
        collection=collection,
        query=asked,
        limit=query.limit,
        where=_condition(query),
        this_item=query.item or None,
        this_image=data,
        mode=query.mode,
        include_thumbnails=True,
        page_token=query.page_token,
    )


def as_on_the_page(error: TashihikiError, query: PageQuery) -> TashihikiError:
    """The error with its place in the text as it was typed, and what to do about it here."""
    if error.reason == "UNBOUND_OPERAND":
        error.remedy = _UNBOUND_REMEDY
    if error.field.startswith("filter") and query.where and query.only:
        place = error.details.get("position", "")
        if place.isdecimal():
            shifted = min(max(int(place) - 1, 0), len(query.where))
            error.details["position"] = str(shifted)
    return error


def term_of(term: ResolvedTerm, picture: bytes | None) -> Composition:
    """A term that was understood, as a composition of its own."""
    return _term(
        {
            "kind": term.kind,
            "facet": term.facet,
            "value": term.value,
            "name": term.name,
            "weight": term.weight,
        },
        picture,
    )


class _ThisItem(ItemReference):
    def __repr__(self) -> str:
        return "this item"


class _ThisImage(Image):
    def __repr__(self) -> str:
        return "this image"


def _term(term: Mapping[str, Any], picture: bytes | None, this_item: str = "") -> Composition:
    kind, weight = term.get("kind"), term.get("weight", 1.0)
    if isinstance(weight, bool) or not isinstance(weight, (int, float)):
        raise invalid_request("a weight is not a number")
    if kind == "attribute":
        return weight * attribute(_text(term, "facet"), _text(term, "value"))
    if kind == "facet":
        return weight * facet(_text(term, "facet"))
    if kind == "item":
        name = _text(term, "name")
        return weight * (_ThisItem(name) if name == this_item else item(name))
    if kind == "image":
        if picture is None:
            raise InvalidArgumentError(
                "the query names a picture, but none was given",
                reason="UNBOUND_OPERAND",
                field="picture",
                remedy=_UNBOUND_REMEDY,
            )
        return weight * _ThisImage(picture)
    raise invalid_request(f"a term of kind {kind!r} cannot be changed here")


def _sum(terms: Sequence[Composition]) -> Composition:
    total = Composition(())
    for term in terms:
        total = total + term
    return total


def _condition(query: PageQuery) -> str | None:
    parts = [repr(facet(name).isin(*values)) for name, values in query.only.items() if values]
    if query.where.strip():
        # Where it stands alone it is sent as it is, so that places in it are those in the text.
        parts.insert(0, f"({query.where})" if parts else query.where)
    return " and ".join(parts) or None


def _text(body: Mapping[str, Any], name: str) -> str:
    value = body.get(name, "")
    if not isinstance(value, str):
        raise invalid_request(f"`{name}` is not text")
    return value


def _is_texts(values: object) -> bool:
    return isinstance(values, list) and all(isinstance(value, str) for value in values)
