"""The examples in docstrings run; docs/api.md has all of them."""

from __future__ import annotations

import ast
import asyncio
import inspect
from collections.abc import Iterator
from types import CodeType
from typing import Any

import pytest

import tashihiki
from demo_server import DemoServer
from docs.markdown import blocks
from docs.shell import PORT
from reference.pages import API
from tashihiki import AsyncClient, Client, Item, testing

EXAMPLES = [block.text for block in blocks(API) if block.language == "python"]
# What examples begin with, beside the demo and its `mug.jpg`.
MUGS = ["mug_7", "mug_8"]
MADE = "mugs"


@pytest.fixture
def names(demo: DemoServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """What examples take for granted: the public names, a client, a fake server, two mugs."""
    monkeypatch.chdir(demo.folder)
    found = {name: getattr(tashihiki, name) for name in tashihiki.__all__}
    found |= {name: getattr(testing, name) for name in testing.__all__}
    with Client(demo.address) as client, testing.FakeServer() as server:
        like = client.get_item("items", "mug_blue_wood_1.jpg").attributes
        client.upsert("items", [Item(mug, image="mug.jpg", attributes=like) for mug in MUGS])
        yield {**found, "client": client, "server": server}
        client.delete_items("items", MUGS, missing_items="skip")
        client.delete_collection(MADE, allow_missing=True)


@pytest.mark.parametrize("example", EXAMPLES, ids=range(len(EXAMPLES)))
def test_an_example_runs(example: str, demo: DemoServer, names: dict[str, Any]) -> None:
    text = example.replace(PORT, demo.port)
    code = compile(text, str(API), "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    if code.co_flags & inspect.CO_COROUTINE:
        asyncio.run(_awaited(code, names, demo.address))
    else:
        exec(code, names)


async def _awaited(code: CodeType, names: dict[str, Any], address: str) -> None:
    async with AsyncClient(address) as client:
        await eval(code, {**names, "client": client})
