from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from demo_server import DemoServer
from docs.shell import free_port
from server_process import eventually

EXAMPLE = Path(__file__).parents[2] / "examples" / "fastapi_service.py"


@pytest.fixture(scope="module")
def service(demo: DemoServer) -> Iterator[httpx.Client]:
    port = free_port()
    process = subprocess.Popen([sys.executable, str(EXAMPLE), demo.address, port])
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as web:

        def answers() -> bool:
            assert process.poll() is None
            try:
                return web.get("/openapi.json").status_code == 200
            except httpx.TransportError:
                return False

        eventually(answers, "the service answers")
        yield web
    process.terminate()
    # Having ended in order, uvicorn passes the signal on.
    assert process.wait(60) in (0, -signal.SIGTERM)


@pytest.fixture
def photo(demo: DemoServer) -> bytes:
    return (demo.folder / "mug.jpg").read_bytes()


def test_a_photo_and_an_expression_give_hits(service: httpx.Client, photo: bytes) -> None:
    form = {"expression": "this image − background + red", "limit": "4"}
    answer = service.post("/items/search", data=form, files={"photo": photo})
    assert answer.status_code == 200
    hits = answer.json()
    assert len(hits) == 4
    for hit in hits:
        product, colour, background, _ = hit["id"].split("_")
        assert (product, colour) == ("mug", "red")
        assert hit["attributes"]["background"] == background
        assert hit["agreement"]["product"] > 0.9


@pytest.mark.parametrize(
    ("path", "expression", "headers", "status", "reason"),
    [
        ("/items/search", "this image + rde", {}, 400, "UNKNOWN_VALUE"),
        ("/nothing/search", "this image", {}, 404, "UNKNOWN_COLLECTION"),
        ("/items/search", "this image", {"X-Timeout": "1e-6"}, 504, "DEADLINE_EXCEEDED"),
    ],
)
def test_errors_are_told_as_http_tells_them(
    service: httpx.Client,
    photo: bytes,
    path: str,
    expression: str,
    headers: dict[str, str],
    status: int,
    reason: str,
) -> None:
    form = {"expression": expression}
    answer = service.post(path, data=form, files={"photo": photo}, headers=headers)
    assert (answer.status_code, answer.json()["reason"]) == (status, reason)


def test_what_is_no_picture_is_of_no_supported_type(service: httpx.Client) -> None:
    form = {"expression": "this image + red"}
    answer = service.post("/items/search", data=form, files={"photo": b"not a picture"})
    assert (answer.status_code, answer.json()["reason"]) == (415, "IMAGE_FORMAT_UNKNOWN")
    assert answer.json()["remedy"]
