"""Short ways to call the services, and what a failed call said."""

from __future__ import annotations

import io
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import grpc
import numpy as np
import pytest
from google.protobuf import json_format, struct_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from serving import Served
from tashihiki.v1 import catalog_pb2, composition_pb2, filter_pb2, search_pb2
from tiny_encoder import SIZE

Floats = NDArray[np.float64]
_numbers = itertools.count()


def fresh_name(stem: str = "collection") -> str:
    """A name that no other test has."""
    return f"{stem}-{next(_numbers)}"


# Requests


def vector(values: ArrayLike) -> composition_pb2.Vector:
    """A vector message."""
    return composition_pb2.Vector(values=np.asarray(values, dtype=np.float32).tolist())


def vector_item(identifier: str, values: ArrayLike, **attributes: str) -> catalog_pb2.ItemInput:
    """An item that is given as a raw vector."""
    return catalog_pb2.ItemInput(id=identifier, vector=vector(values), attributes=attributes)


def metadata(content: Mapping[str, Any]) -> struct_pb2.Struct:
    """A Struct."""
    return json_format.ParseDict(dict(content), struct_pb2.Struct())


def png(pixels: NDArray[np.uint8]) -> bytes:
    """Pixels (height, width, 3) as a PNG file."""
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


def random_picture(seed: int) -> tuple[NDArray[np.uint8], bytes]:
    """Pixels as large as the tiny encoder takes them, and the same as a PNG file."""
    random = np.random.default_rng(seed)
    pixels = random.integers(0, 256, size=(SIZE, SIZE, 3), dtype=np.uint8)
    return pixels, png(pixels)


def term(weight: float | None = None, **operand: Any) -> composition_pb2.Term:
    """A structured term; an attribute is given as a pair."""
    if "attribute" in operand:
        facet, value = operand["attribute"]
        operand["attribute"] = composition_pb2.Attribute(facet=facet, value=value)
    if "group" in operand:
        operand["group"] = composition_pb2.Composition(terms=operand["group"])
    return composition_pb2.Term(weight=weight, **operand)


def query(form: str | Sequence[composition_pb2.Term], **bindings: Any) -> composition_pb2.Query:
    """A query from its text or its terms."""
    bound = composition_pb2.Bindings(**bindings)
    if isinstance(form, str):
        return composition_pb2.Query(expression=form, bindings=bound)
    return composition_pb2.Query(
        composition=composition_pb2.Composition(terms=form), bindings=bound
    )


def facet_in(facet: str, *values: str) -> filter_pb2.Filter:
    """A structured filter."""
    return filter_pb2.Filter(facet_in=filter_pb2.FacetIn(facet=facet, values=values))


def text_filter(text: str) -> filter_pb2.Filter:
    """A filter in its text form."""
    return filter_pb2.Filter(expression=text)


# Calls


def create(
    served: Served,
    name: str,
    *,
    space: catalog_pb2.SpaceKind.ValueType = catalog_pb2.SPACE_KIND_SUM,
    keep_negative: bool = False,
    aliases: Iterable[tuple[str, str, str]] = (),
) -> str:
    """Makes a collection; returns its name."""
    collection = catalog_pb2.Collection(
        name=name,
        space=catalog_pb2.Space(kind=space, keep_negative=keep_negative),
        aliases=[catalog_pb2.Alias(facet=f, alias=a, value=v) for f, a, v in aliases],
    )
    served.catalog.CreateCollection(catalog_pb2.CreateCollectionRequest(collection=collection))
    return name


def upsert(
    served: Served,
    collection: str,
    items: Sequence[catalog_pb2.ItemInput],
    *,
    allow_partial: bool = False,
) -> catalog_pb2.UpsertItemsResponse:
    """UpsertItems."""
    request = catalog_pb2.UpsertItemsRequest(
        collection=collection, items=items, allow_partial=allow_partial
    )
    response: catalog_pb2.UpsertItemsResponse = served.catalog.UpsertItems(request)
    return response


def delete(served: Served, collection: str, *ids: str) -> None:
    """DeleteItems."""
    served.catalog.DeleteItems(catalog_pb2.DeleteItemsRequest(collection=collection, ids=ids))


def search(
    served: Served,
    collection: str,
    form: str | Sequence[composition_pb2.Term],
    bindings: Mapping[str, Any] | None = None,
    **options: Any,
) -> search_pb2.SearchResponse:
    """Search."""
    request = search_pb2.SearchRequest(
        collection=collection, query=query(form, **(bindings or {})), **options
    )
    response: search_pb2.SearchResponse = served.search.Search(request)
    return response


def compose(
    served: Served,
    collection: str,
    form: str | Sequence[composition_pb2.Term],
    bindings: Mapping[str, Any] | None = None,
    **options: Any,
) -> search_pb2.ComposeResponse:
    """Compose."""
    request = search_pb2.ComposeRequest(
        collection=collection, query=query(form, **(bindings or {})), **options
    )
    response: search_pb2.ComposeResponse = served.search.Compose(request)
    return response


def get(served: Served, collection: str, identifier: str, **options: Any) -> catalog_pb2.Item:
    """GetItem."""
    request = catalog_pb2.GetItemRequest(collection=collection, id=identifier, **options)
    response: catalog_pb2.GetItemResponse = served.catalog.GetItem(request)
    return response.item


def pages(served: Served, collection: str, **options: Any) -> Iterator[list[catalog_pb2.Item]]:
    """ListItems, page by page."""
    token = ""
    while True:
        request = catalog_pb2.ListItemsRequest(collection=collection, page_token=token, **options)
        response: catalog_pb2.ListItemsResponse = served.catalog.ListItems(request)
        yield list(response.items)
        token = response.next_page_token
        if not token:
            return


def items(served: Served, collection: str, **options: Any) -> list[catalog_pb2.Item]:
    """Every item that ListItems returns."""
    return [item for page in pages(served, collection, **options) for item in page]


def listed_ids(served: Served, collection: str, **options: Any) -> list[str]:
    """The ids that ListItems returns."""
    return [item.id for item in items(served, collection, **options)]


def stored_vectors(served: Served, collection: str) -> dict[str, Floats]:
    """Every item's embedding, as the server keeps it."""
    found = items(served, collection, page_size=1000, include_vectors=True)
    return {item.id: array(item.vector) for item in found}


# Answers


def array(message: composition_pb2.Vector) -> Floats:
    """A vector message as an array."""
    return np.array(message.values, dtype=np.float64)


def hit_ids(response: search_pb2.SearchResponse) -> list[str]:
    """The ids of the hits, in their order."""
    return [hit.id for hit in response.hits]


@dataclass(frozen=True)
class Failure:
    """What an error says, unpacked from its ErrorInfo."""

    code: grpc.StatusCode
    message: str
    domain: str
    reason: str
    field: str
    remedy: str
    details: dict[str, str]

    @property
    def candidates(self) -> list[str]:
        return self.details["candidates"].split(", ")


_CODES = {code.value[0]: code for code in grpc.StatusCode}


def failure_of(status: status_pb2.Status) -> Failure:
    """Reads a status that must hold one ErrorInfo."""
    (detail,) = status.details
    info = error_details_pb2.ErrorInfo()
    assert detail.Unpack(info)
    details = dict(info.metadata)
    return Failure(
        code=_CODES[status.code],
        message=status.message,
        domain=info.domain,
        reason=info.reason,
        field=details.pop("field", ""),
        remedy=details.pop("remedy", ""),
        details=details,
    )


def failure(call: Callable[[], object]) -> Failure:
    """How the call fails; it is a fault of the server if it does not."""
    with pytest.raises(grpc.RpcError) as caught:
        call()
    status = rpc_status.from_call(cast(grpc.Call, caught.value))
    assert status is not None, caught.value
    return failure_of(status)
