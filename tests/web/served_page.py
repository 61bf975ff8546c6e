"""A real `tashihiki serve` with its page, over pictures of squares whose labels tests know."""

from __future__ import annotations

import io
import json
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

from server_process import ServerProcess, eventually, running
from tashihiki import Client, Item

COLOURS = ("red", "green", "blue")
# `red` is a value of two facets, on purpose.
BACKGROUNDS = ("white", "black", "red")
COPIES = 12
# Generous: a loaded machine must not fail a test.
PATIENCE_MS = 30_000
SQUARES = "squares"
PLAIN = "plain"
HOSTILE = "hostile"
INHERITED = "inherited"
# Names that every object of a browser's language has already.
INHERITED_FACETS = ("constructor", "__proto__")
# What runs, if any of it is ever taken for HTML.
SCRIPT = '"><img src=x onerror="window.broken=1"><script>window.broken=1</script>'


@dataclass(frozen=True)
class Site:
    """Where the page and the service answer."""

    url: str
    address: str
    server: ServerProcess

    def get(
        self, path: str, headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> tuple[int, Mapping[str, str], bytes]:
        """An HTTP request as it is, without a browser; a POST where there is a body."""
        request = urllib.request.Request(self.url + path, body, dict(headers or {}))
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, dict(answer.headers), answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, dict(error.headers), error.read()

    def ask(self, path: str, body: Mapping[str, Any] | None = None) -> tuple[int, Any]:
        """A route's status and JSON."""
        data = None if body is None else json.dumps(body).encode()
        status, _, answer = self.get(path, {"Content-Type": "application/json"}, data)
        return status, json.loads(answer)


def square(colour: str, background: str, copy: int = 0) -> bytes:
    """A square on a background, PNG; copies differ in size and place."""
    picture = Image.new("RGB", (96, 64), background)
    edge = 26 + 2 * copy
    ImageDraw.Draw(picture).rectangle((14 + copy, 12, 14 + copy + edge, 12 + edge), fill=colour)
    out = io.BytesIO()
    picture.save(out, "PNG")
    return out.getvalue()


def identifier(colour: str, background: str, copy: int = 0) -> str:
    """The id of a square."""
    return f"{colour}_{background}_{copy}.png"


def free_port() -> int:
    """A port that nothing listens on at the moment."""
    with socket.create_server(("127.0.0.1", 0)) as one:
        port: int = one.getsockname()[1]
        return port


@contextmanager
def open_site(data: Path, bundle: Path, port: int | None = None, *options: str) -> Iterator[Site]:
    """Serves a data folder, page included, until the end of the block."""
    port = port or free_port()
    with running(data, bundle, "--gallery", f"127.0.0.1:{port}", *options) as server:
        site = Site(f"http://127.0.0.1:{port}", f"127.0.0.1:{server.port}", server)

        def answers() -> bool:
            try:
                return site.get("/api/health")[0] == 200
            except OSError:
                return False

        eventually(answers, "the page answers")
        yield site


def fill(site: Site) -> None:
    """Makes the collections, and waits for the factored space of the squares."""
    squares = [
        Item(
            identifier(colour, background, copy),
            image=square(colour, background, copy),
            attributes={"colour": colour, "background": background},
            metadata={"copy": copy},
        )
        for colour in COLOURS
        for background in BACKGROUNDS
        for copy in range(COPIES)
    ]
    hostile = [
        Item(
            f"{SCRIPT}{number}",
            image=square(COLOURS[number % 3], "white", number),
            attributes={SCRIPT: f"{number % 2}{SCRIPT}"},
            metadata={SCRIPT: SCRIPT},
        )
        for number in range(4)
    ]
    # Most are spelt otherwise than the value that they are counted for.
    inherited = [
        Item(
            str(number),
            image=square(COLOURS[number % 3], "white", number),
            attributes=dict.fromkeys(INHERITED_FACETS, value),
        )
        for number, value in enumerate(["toString", "tostring", "TOSTRING", "other"])
    ]
    with Client(site.address, timeout=60) as client:
        client.create_collection(PLAIN, space="sum")
        client.upsert(PLAIN, squares)
        client.create_collection(HOSTILE)
        client.upsert(HOSTILE, hostile)
        client.create_collection(INHERITED, space="sum")
        client.upsert(INHERITED, inherited)
        client.create_collection(SQUARES)
        client.upsert(SQUARES, squares)

        def is_fitted() -> bool:
            state = client.get_collection(SQUARES)
            return state.space_in_force == "factored" and not state.space_pending

        eventually(is_fitted, "the factored space is in force")
