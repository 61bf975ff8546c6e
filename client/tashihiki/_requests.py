"""Callers' values as messages of the contract."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

from google.protobuf import struct_pb2
from numpy.typing import ArrayLike

from tashihiki._image import ImageSource, read_image
from tashihiki._vector import as_vector
from tashihiki.catalog import Item, Space, SpaceKind
from tashihiki.composition import (
    Attribute,
    Composable,
    Facet,
    Image,
    ItemReference,
    Term,
)
from tashihiki.errors import InvalidArgumentError
from tashihiki.filters import (
    AllOf,
    AnyOf,
    FacetExists,
    FacetIn,
    Filter,
    MetadataExists,
    MetadataIn,
    MetadataRange,
    Not,
    Scalar,
)
from tashihiki.query import Condition, GroupBy, MissingItems, Mode, Query, Search
from tashihiki.v1 import catalog_pb2, composition_pb2, filter_pb2, search_pb2

_MISSING_ITEMS = {
    "fail": composition_pb2.MISSING_ITEMS_FAIL,
    "skip": composition_pb2.MISSING_ITEMS_SKIP,
}
_MODES = {
    "replace": composition_pb2.ATTRIBUTE_MODE_REPLACE,
    "add": composition_pb2.ATTRIBUTE_MODE_ADD,
}
_RERANK = {
    None: search_pb2.RERANK_UNSPECIFIED,
    False: search_pb2.RERANK_OFF,
    True: search_pb2.RERANK_ON,
}
_SPACE_KINDS = {
    "auto": catalog_pb2.SPACE_KIND_UNSPECIFIED,
    "sum": catalog_pb2.SPACE_KIND_SUM,
    "factored": catalog_pb2.SPACE_KIND_FACTORED,
}


def search_request(search: Search) -> search_pb2.SearchRequest:
    """The message of one search."""
    return search_pb2.SearchRequest(
        collection=search.collection,
        query=query_message(
            search.query, search.this_item, search.this_image, search.images, search.vectors
        ),
        limit=count(search.limit),
        filter=None if search.where is None else filter_message(search.where),
        include_operands=search.include_operands,
        missing_items=missing_items(search.missing_items),
        include_vector=search.include_vector,
        include_thumbnails=search.include_thumbnails,
        attribute_mode=attribute_mode(search.mode),
        rerank=_RERANK[search.rerank],
        min_similarity=search.min_similarity,
        grouping=None if search.group_by is None else grouping(search.group_by),
        diversity=(
            None if search.diversity is None else search_pb2.Diversity(balance=search.diversity)
        ),
        page_token=search.page_token,
        include_timings=search.timings,
    )


def query_message(
    query: Query,
    this_item: str | None,
    this_image: ImageSource | None,
    images: Mapping[str, ImageSource] | None,
    vectors: Mapping[str, ArrayLike] | None,
) -> composition_pb2.Query:
    """The message of a composition or expression with its bindings."""
    bindings = composition_pb2.Bindings(
        this_item=this_item or "",
        this_image=b"" if this_image is None else read_image(this_image),
        images={name: read_image(source) for name, source in (images or {}).items()},
        vectors={name: vector_message(values) for name, values in (vectors or {}).items()},
    )
    if isinstance(query, str):
        return composition_pb2.Query(expression=query, bindings=bindings)
    if isinstance(query, Composable):
        terms = [_term(term) for term in query.terms]
        composition = composition_pb2.Composition(terms=terms)
        return composition_pb2.Query(composition=composition, bindings=bindings)
    raise TypeError(f"a query is a composition or text, not {type(query).__name__}")


def grouping(choice: GroupBy) -> search_pb2.Grouping:
    """The message of a facet, or of a facet and how many hits each of its values may have."""
    facet, limit = (choice, 1) if isinstance(choice, str) else choice
    # On the wire 0 stands for 1.
    if not 1 <= limit < 2**31:
        _refuse(
            "OUT_OF_RANGE",
            f"{limit} hits of one value cannot be had.",
            "grouping.max_per_value",
            "Use 1 or more.",
        )
    return search_pb2.Grouping(facet=facet, max_per_value=limit)


def filter_message(condition: Condition) -> filter_pb2.Filter:
    """The message of a filter or filter text."""
    if isinstance(condition, str):
        return filter_pb2.Filter(expression=condition)
    if isinstance(condition, FacetIn):
        facet_in = filter_pb2.FacetIn(facet=condition.facet, values=condition.values)
        return filter_pb2.Filter(facet_in=facet_in)
    if isinstance(condition, FacetExists):
        return filter_pb2.Filter(exists=filter_pb2.Exists(facet=condition.facet))
    if isinstance(condition, MetadataRange):
        metadata_range = filter_pb2.MetadataRange(
            path=condition.path,
            at_least=condition.at_least,
            more_than=condition.more_than,
            at_most=condition.at_most,
            less_than=condition.less_than,
        )
        return filter_pb2.Filter(metadata_range=metadata_range)
    if isinstance(condition, MetadataIn):
        values = [_scalar(value) for value in condition.values]
        metadata_in = filter_pb2.MetadataIn(path=condition.path, values=values)
        return filter_pb2.Filter(metadata_in=metadata_in)
    if isinstance(condition, MetadataExists):
        return filter_pb2.Filter(exists=filter_pb2.Exists(metadata=condition.path))
    # Three of the predicates are named after Python's keywords.
    if isinstance(condition, AllOf):
        return filter_pb2.Filter(**{"and": _filters(condition.filters)})  # type: ignore[arg-type]
    if isinstance(condition, AnyOf):
        return filter_pb2.Filter(**{"or": _filters(condition.filters)})  # type: ignore[arg-type]
    if isinstance(condition, Not):
        negated = filter_message(condition.filter)
        return filter_pb2.Filter(**{"not": negated})  # type: ignore[arg-type]
    raise TypeError(f"a condition is a filter or text, not {type(condition).__name__}")


def item_input(item: Item) -> catalog_pb2.ItemInput:
    """The message of an item to add; its picture is read here.

    Raises:
        InvalidArgumentError: ITEM_INVALID, METADATA_INVALID, VECTOR_INVALID,
            IMAGE_NOT_FOUND or IMAGE_UNREADABLE.
    """
    if not isinstance(item, Item):
        raise TypeError(f"upsert takes items of class Item, not {type(item).__name__}")
    if item.image is not None and item.vector is not None:
        _refuse("ITEM_INVALID", "An item has a picture or a vector, not both.", "item", "Drop one.")
    message = catalog_pb2.ItemInput(
        id=item.id,
        vector=None if item.vector is None else vector_message(item.vector),
        attributes=dict(item.attributes),
        metadata=_metadata(item.metadata),
        etag=item.etag,
    )
    if item.image is not None:
        message.image = read_image(item.image)
    return message


def vector_message(values: ArrayLike) -> composition_pb2.Vector:
    """The message of a raw vector of shape (d,)."""
    return composition_pb2.Vector(values=as_vector(values).tolist())


def missing_items(choice: MissingItems) -> composition_pb2.MissingItems.ValueType:
    """The enum value of `fail` or `skip`."""
    if choice not in _MISSING_ITEMS:
        raise ValueError(f"missing_items is 'fail' or 'skip', not {choice!r}")
    return _MISSING_ITEMS[choice]


def attribute_mode(mode: Mode) -> composition_pb2.AttributeMode.ValueType:
    """The enum value of `replace` or `add`."""
    if mode not in _MODES:
        raise ValueError(f"mode is 'replace' or 'add', not {mode!r}")
    return _MODES[mode]


def collection_message(
    name: str,
    encoder: str,
    space: Space | SpaceKind,
    aliases: Mapping[str, Mapping[str, str]] | None,
    target_recall: float | None,
) -> catalog_pb2.Collection:
    """The message of a collection to create."""
    if not isinstance(space, Space):
        space = Space(space)
    if space.kind not in _SPACE_KINDS:
        raise ValueError(f"space is 'auto', 'sum' or 'factored', not {space.kind!r}")
    return catalog_pb2.Collection(
        name=name,
        encoder=encoder,
        space=catalog_pb2.Space(kind=_SPACE_KINDS[space.kind], keep_negative=space.keep_negative),
        aliases=[
            catalog_pb2.Alias(facet=facet, alias=alias, value=value)
            for facet, names in (aliases or {}).items()
            for alias, value in names.items()
        ],
        target_recall=unlike_default(target_recall, "collection.target_recall", "Use 0.5 to 1."),
    )


def count(number: int, field: str = "limit") -> int:
    """`number` when it is 1 to 1000.

    Raises:
        InvalidArgumentError: LIMIT_INVALID.
    """
    # On the wire 0 stands for the default, which nobody who writes 0 means.
    if not 1 <= number <= 1000:
        _refuse("LIMIT_INVALID", f"The {field} is {number}.", field, "Use 1 to 1000.")
    return number


def unlike_default(number: float | None, field: str, remedy: str) -> float:
    """`number`, or 0, which stands for the server's default, when it is None.

    Raises:
        InvalidArgumentError: OUT_OF_RANGE for 0 itself.
    """
    if number == 0:
        _refuse("OUT_OF_RANGE", f"The {field.rpartition('.')[2]} is 0.", field, remedy)
    return number or 0.0


def seed(number: int | None) -> int | None:
    """`number` when 64 bits hold it.

    Raises:
        InvalidArgumentError: OUT_OF_RANGE.
    """
    if number is not None and not -(2**63) <= number < 2**63:
        _refuse("OUT_OF_RANGE", f"The seed is {number}.", "seed", "Use a number of 64 bits.")
    return number


def _term(term: Term) -> composition_pb2.Term:
    operand = term.operand
    if isinstance(operand, Attribute):
        attribute = composition_pb2.Attribute(facet=operand.facet, value=operand.value)
        return composition_pb2.Term(weight=term.weight, attribute=attribute)
    if isinstance(operand, Facet):
        return composition_pb2.Term(weight=term.weight, facet=operand.name)
    if isinstance(operand, ItemReference):
        return composition_pb2.Term(weight=term.weight, item_id=operand.id)
    if isinstance(operand, Image):
        return composition_pb2.Term(weight=term.weight, image=operand.data)
    return composition_pb2.Term(weight=term.weight, vector=vector_message(operand.values))


def _filters(conditions: tuple[Filter, ...]) -> filter_pb2.Filters:
    return filter_pb2.Filters(filters=[filter_message(condition) for condition in conditions])


def _scalar(value: Scalar) -> struct_pb2.Value:
    if isinstance(value, bool):
        return struct_pb2.Value(bool_value=value)
    if isinstance(value, str):
        return struct_pb2.Value(string_value=value)
    return struct_pb2.Value(number_value=value)


def _metadata(metadata: Mapping[str, Any]) -> struct_pb2.Struct | None:
    if not metadata:
        return None
    struct = struct_pb2.Struct()
    try:
        struct.update(dict(metadata))
    except (TypeError, ValueError) as error:
        _refuse("METADATA_INVALID", f"The metadata is no JSON: {error}.", "item.metadata", "")
    return struct


def _refuse(reason: str, message: str, field: str, remedy: str) -> NoReturn:
    raise InvalidArgumentError(message, reason=reason, field=field, remedy=remedy)
