"""A web service of your own: a photo and an expression in, hits as JSON out.

`python examples/fastapi_service.py localhost:50051 8000` serves; then, from another shell,
`curl -F photo=@mug.jpg -F 'expression=this image − background + red' localhost:8000/items/search`.
"""

from __future__ import annotations

import math
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Annotated, Any

import uvicorn
from fastapi import APIRouter, FastAPI, Form, Header, Request, UploadFile
from fastapi.responses import JSONResponse
from grpc import StatusCode
from pydantic import BaseModel

from tashihiki import AsyncClient, TashihikiError

MAX_SECONDS = 10.0
STATUS_OF_REASON = {
    "OVERLOADED": HTTPStatus.SERVICE_UNAVAILABLE,
    "PROTOTYPE_PENDING": HTTPStatus.SERVICE_UNAVAILABLE,
    "FACET_PENDING": HTTPStatus.SERVICE_UNAVAILABLE,
    "IMAGE_TOO_LARGE": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "IMAGE_FORMAT_UNKNOWN": HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
}
# For all other reasons.
STATUS_OF_CODE = {
    StatusCode.INVALID_ARGUMENT: HTTPStatus.BAD_REQUEST,
    StatusCode.NOT_FOUND: HTTPStatus.NOT_FOUND,
    StatusCode.FAILED_PRECONDITION: HTTPStatus.CONFLICT,
    StatusCode.UNAVAILABLE: HTTPStatus.BAD_GATEWAY,
    StatusCode.DEADLINE_EXCEEDED: HTTPStatus.GATEWAY_TIMEOUT,
}

router = APIRouter()


class Found(BaseModel):
    """A hit: the item, and the cosine in each facet that the query asks for."""

    id: str
    similarity: float
    attributes: Mapping[str, str]
    metadata: Mapping[str, Any]
    agreement: Mapping[str, float]


@router.post("/{collection}/search")
async def search(
    request: Request,
    collection: str,
    photo: UploadFile,
    expression: Annotated[str, Form()],
    limit: Annotated[int, Form(ge=1, le=100)] = 10,
    x_timeout: Annotated[float, Header(gt=0)] = MAX_SECONDS,
) -> list[Found]:
    """The items that match an expression about `this image`, the photo.

    The caller's `X-Timeout`, in seconds, is the deadline of the call behind this one: nothing is
    worked out for somebody who no longer waits.
    """
    client: AsyncClient = request.state.client
    result = await client.search(
        collection,
        expression,
        this_image=await photo.read(),
        limit=limit,
        timeout=min(x_timeout, MAX_SECONDS),
    )
    return [
        Found(
            id=hit.id,
            similarity=hit.similarity,
            attributes=hit.attributes,
            metadata=hit.metadata,
            agreement={block.facet: block.similarity for block in hit.blocks if block.facet},
        )
        for hit in result
    ]


async def refusal(request: Request, error: Exception) -> JSONResponse:
    """An error of the search as HTTP says it; its reason and remedy are for the caller to read."""
    assert isinstance(error, TashihikiError)
    otherwise = STATUS_OF_CODE.get(error.code, HTTPStatus.INTERNAL_SERVER_ERROR)
    headers = {}
    if error.retry_delay is not None:
        headers["Retry-After"] = str(math.ceil(error.retry_delay))
    return JSONResponse(
        {
            "reason": error.reason,
            "message": error.message,
            "field": error.field,
            "remedy": error.remedy,
            **error.details,
        },
        STATUS_OF_REASON.get(error.reason, otherwise),
        headers,
    )


def application(server: str) -> FastAPI:
    """The service, in front of the server at an address."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
        # One for all requests, since it keeps its connection.
        async with AsyncClient(server) as client:
            yield {"client": client}

    app = FastAPI(lifespan=lifespan)
    app.include_router(router)
    app.add_exception_handler(TashihikiError, refusal)
    return app


def main(address: str = "localhost:50051", port: str = "8000") -> None:
    uvicorn.run(application(address), port=int(port), log_level="info")


if __name__ == "__main__":
    main(*sys.argv[1:])
