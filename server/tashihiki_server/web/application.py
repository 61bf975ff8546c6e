"""The routes of the page: its files, and what they ask the service for."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from tashihiki import AsyncClient, HealthStatus, Search, SearchResult, StoredItem
from tashihiki.errors import (
    FailedPreconditionError,
    InternalError,
    InvalidArgumentError,
    NotFoundError,
    TashihikiError,
)
from tashihiki_server.images import ImageLimits
from tashihiki_server.web.answers import Answers, collection_json, facet_json
from tashihiki_server.web.collection_map import CollectionMap
from tashihiki_server.web.completion import complete
from tashihiki_server.web.duplicates import duplicate_groups
from tashihiki_server.web.embeddings import EmbeddingStore
from tashihiki_server.web.failures import failure_response, invalid_request
from tashihiki_server.web.pictures import QueryPictures
from tashihiki_server.web.plain_sum import PlainSum
from tashihiki_server.web.query import (
    PageQuery,
    as_on_the_page,
    parse_query,
    search_of,
)
from tashihiki_server.web.security import LOOPBACK_NAMES, OwnOrigin, SecurityHeaders
from tashihiki_server.web.thumbnails import Thumbnails
from tashihiki_server.web.vocabulary import Names

STATIC = Path(__file__).with_name("static")
MAX_JSON_BYTES = 256 * 2**10
_HEALTH_SECONDS = 2.0
_MAP_HITS = 12


def page_application(
    client: AsyncClient, *, limits: ImageLimits | None = None, loopback_only: bool = True
) -> Starlette:
    """The page as an ASGI application.

    Args:
        client: of the service; it is not closed with the application.
        limits: on the pictures that people search with.
        loopback_only: answer only under the names of this machine, whatever address other sites
            give their own names.
    """
    api = _Api(client, limits or ImageLimits())
    of = "/api/collections/{collection}"
    routes = [
        Route("/", _index),
        Mount("/static", StaticFiles(directory=STATIC)),
        Route("/api/health", api.health),
        Route("/api/collections", api.collections),
        Route(f"{of}/facets", api.facets),
        Route(f"{of}/completion", api.completion),
        Route(f"{of}/sample", api.sample),
        Route(f"{of}/item", api.item),
        Route(f"{of}/thumbnail", api.thumbnail),
        Route(f"{of}/duplicates", api.duplicates),
        Route(f"{of}/search", api.search, methods=["POST"]),
        Route(f"{of}/plain-sum", api.plain_sum, methods=["POST"]),
        Route(f"{of}/map", api.map, methods=["POST"]),
        Route("/api/pictures", api.keep_picture, methods=["POST"]),
        Route("/api/pictures/{token}", api.picture),
    ]

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        await api.close()

    return Starlette(
        routes=routes,
        lifespan=lifespan,
        middleware=[
            Middleware(SecurityHeaders),
            Middleware(OwnOrigin, names=LOOPBACK_NAMES if loopback_only else None),
        ],
        exception_handlers={
            TashihikiError: _failed,
            HTTPException: _not_there,
            Exception: _faulty,
        },
    )


class _Api:
    def __init__(self, client: AsyncClient, limits: ImageLimits) -> None:
        self._client = client
        self._limits = limits
        self._names = Names(client)
        self._pictures = QueryPictures(limits)
        self._thumbnails = Thumbnails(client)
        self._answers = Answers(self._thumbnails)
        self._plain_sum = PlainSum(client, EmbeddingStore(client))
        self._map = CollectionMap(client, self._names)

    async def close(self) -> None:
        await self._names.close()

    async def health(self, request: Request) -> Response:
        status = await self._client.health(timeout=_HEALTH_SECONDS)
        return JSONResponse({"serving": status is HealthStatus.SERVING})

    async def collections(self, request: Request) -> Response:
        found = await self._client.list_collections()
        return JSONResponse({"collections": [collection_json(one) for one in found]})

    async def facets(self, request: Request) -> Response:
        found = await self._names.facets(request.path_params["collection"])
        return JSONResponse({"facets": [facet_json(one) for one in found]})

    async def completion(self, request: Request) -> Response:
        collection = request.path_params["collection"]
        text = request.query_params.get("text", "")
        cursor = _count(request, "cursor", len(text), maximum=len(text))
        facets, ids = await asyncio.gather(
            self._names.facets(collection), self._names.ids(collection)
        )
        found = complete(text, cursor, facets, ids)
        options = [vars(option) for option in found.options]
        return JSONResponse({"start": found.start, "end": found.end, "options": options})

    async def sample(self, request: Request) -> Response:
        collection = request.path_params["collection"]
        drawn = await self._client.sample(
            collection,
            _count(request, "count", 40, maximum=200),
            seed=_count(request, "seed", 0, maximum=2**31),
            include_thumbnails=True,
        )
        items = [self._answers.item(collection, one) for one in drawn]
        return JSONResponse({"items": items, "item_count": drawn.admitted_count})

    async def item(self, request: Request) -> Response:
        collection = request.path_params["collection"]
        stored = await self._stored(collection, request.query_params.get("id", ""))
        return JSONResponse(self._answers.item(collection, stored))

    async def thumbnail(self, request: Request) -> Response:
        digest = request.query_params.get("v", "")
        jpeg = await self._thumbnails.get(
            request.path_params["collection"], request.query_params.get("id", ""), digest
        )
        return _jpeg(jpeg, lasting=bool(digest))

    async def duplicates(self, request: Request) -> Response:
        collection = request.path_params["collection"]
        groups = await duplicate_groups(
            self._client, collection, request.query_params.get("id", "")
        )
        return JSONResponse({"groups": groups})

    async def search(self, request: Request) -> Response:
        collection = request.path_params["collection"]
        query = parse_query(await _json(request))
        search = search_of(collection, query, self._pictures)
        result = await self._result(search, query)
        expression = query.expression
        if expression is None:
            expression = repr(search.query)
        return JSONResponse(self._answers.result(collection, result, expression))

    async def plain_sum(self, request: Request) -> Response:
        collection = request.path_params["collection"]
        query = parse_query(await _json(request))
        search = search_of(collection, query, self._pictures)
        understood = await self._client.compose(
            collection,
            search.query,
            this_item=search.this_item,
            this_image=search.this_image,
        )
        answer = await self._plain_sum.answer(collection, understood.terms, search)
        return JSONResponse(answer)

    async def map(self, request: Request) -> Response:
        collection = request.path_params["collection"]
        body = await _json(request)
        query = parse_query(body)
        facet = str(body.get("facet", ""))
        if not (query.expression or query.terms):
            return JSONResponse(await self._map.draw(collection, facet, None, (), ()))
        search = search_of(collection, query, self._pictures)
        result = await self._result(search, query)
        hits = [hit.id for hit in result.hits[:_MAP_HITS]]
        drawn = await self._map.draw(collection, facet, search, result.terms, hits)
        return JSONResponse(drawn)

    async def keep_picture(self, request: Request) -> Response:
        # Other sites can send text and forms without asking; of pictures a browser asks first.
        if not request.headers.get("content-type", "").startswith("image/"):
            raise InvalidArgumentError(
                "what was sent is not a picture",
                reason="IMAGE_FORMAT_UNKNOWN",
                field="picture",
                remedy="Send JPEG, PNG, WEBP, GIF, TIFF or BMP.",
            )
        data = await _body(request, self._limits.max_bytes)
        return JSONResponse({"token": await self._pictures.keep(data)})

    async def picture(self, request: Request) -> Response:
        kept = self._pictures.get(request.path_params["token"])
        return _jpeg(kept.preview, lasting=True)

    async def _stored(self, collection: str, item_id: str) -> StoredItem:
        try:
            return await self._client.get_item(collection, item_id, include_thumbnail=True)
        except FailedPreconditionError as error:
            if error.reason != "CATALOGUE_DAMAGED":
                raise
        # Its picture may be all that is damaged.
        return await self._client.get_item(collection, item_id)

    async def _result(self, search: Search, query: PageQuery) -> SearchResult:
        try:
            return await self._client.search(**vars(search))
        except TashihikiError as error:
            raise as_on_the_page(error, query) from None


async def _index(request: Request) -> Response:
    return FileResponse(STATIC / "index.html", media_type="text/html; charset=utf-8")


async def _body(request: Request, most: int) -> bytes:
    found = bytearray()
    async for chunk in request.stream():
        found += chunk
        if len(found) > most:
            raise InvalidArgumentError(
                f"the image has more bytes than the limit of {most}",
                reason="IMAGE_TOO_LARGE",
                field="picture",
                remedy="Send a smaller file; the search sees no more than a thumbnail of it.",
            )
    return bytes(found)


async def _json(request: Request) -> dict[str, Any]:
    if request.headers.get("content-type", "").partition(";")[0] != "application/json":
        raise invalid_request("the request is not sent as application/json")
    found = bytearray()
    async for chunk in request.stream():
        found += chunk
        if len(found) > MAX_JSON_BYTES:
            raise invalid_request("the request is too long", "Shorten the query.")
    try:
        body = json.loads(bytes(found))
    except (ValueError, RecursionError):
        raise invalid_request("the request is no JSON") from None
    if not isinstance(body, dict):
        raise invalid_request("the request is no JSON object")
    return body


def _count(request: Request, name: str, default: int, *, maximum: int) -> int:
    text = request.query_params.get(name, str(default))
    if not (text.isascii() and text.isdecimal() and len(text) < 12):
        raise invalid_request(f"`{name}` is not a number")
    return min(int(text), maximum)


def _jpeg(data: bytes, *, lasting: bool) -> Response:
    keep = "private, max-age=86400, immutable" if lasting else "no-cache"
    return Response(data, media_type="image/jpeg", headers={"Cache-Control": keep})


def _failed(request: Request, error: Exception) -> Response:
    assert isinstance(error, TashihikiError)
    return failure_response(error)


def _not_there(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    missing = NotFoundError(
        f"{error.detail}: {request.url.path}",
        reason="NOT_FOUND",
        remedy="Open the page at /.",
    )
    return failure_response(missing, status=error.status_code)


def _faulty(request: Request, error: Exception) -> Response:
    fault = InternalError(
        "the page's server has a fault of its own",
        reason="INTERNAL",
        remedy="The log of `tashihiki serve` has the cause.",
    )
    return failure_response(fault)
