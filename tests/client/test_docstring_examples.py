"""What the library says of itself in an editor: complete, and every example runs."""

from __future__ import annotations

import ast
import asyncio
import inspect
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import tashihiki
from calls import random_picture
from tashihiki import AsyncClient, Client, Item
from tashihiki.testing import FakeServer

ADDRESS = "localhost:50051"
CLIENTS: list[type[Any]] = [Client, AsyncClient]
BUILDERS = ("attribute", "facet", "item", "image", "vector")
# That the fake does not answer, or that need no words.
WITHOUT_EXAMPLE = {
    *("find_duplicates", "suggest_labels", "sample"),
    *("create_snapshot", "list_snapshots", "delete_snapshot", "restore_snapshot"),
    *("change_encoder", "roll_back_encoder", "cancel_encoder_change"),
    *("get_collection", "list_collections", "delete_collection", "get_item", "health", "close"),
}


def _examples(thing: object) -> list[str]:
    """The indented paragraphs of a docstring that stand in no section."""
    paragraphs = (inspect.getdoc(thing) or "").split("\n\n")
    return [textwrap.dedent(text) for text in paragraphs if text.startswith("    ")]


def _verbs(client: type[Any]) -> dict[str, Callable[..., Any]]:
    found = inspect.getmembers(client, inspect.isfunction)
    return {name: verb for name, verb in found if not name.startswith("_")}


def _documented() -> Iterator[tuple[str, object]]:
    for client in CLIENTS:
        yield client.__name__, client
        for name, verb in _verbs(client).items():
            if name not in WITHOUT_EXAMPLE:
                yield f"{client.__name__}.{name}", verb
    for name in (*BUILDERS, "Search", "Item", "SearchResult"):
        yield name, getattr(tashihiki, name)


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeServer]:
    (tmp_path / "mug.jpg").write_bytes(random_picture(0)[1])
    monkeypatch.chdir(tmp_path)
    colours = {"mug_7": "red", "mug_8": "blue"}
    items = [
        Item(name, attributes={"product": "mug", "colour": colour, "background": "wood"})
        for name, colour in colours.items()
    ]
    faces = [Item("kr", attributes={"person": "KR", "expression": "HAPPY"})]
    with FakeServer({"items": items, "faces": faces}) as server:
        yield server


DOCUMENTED = dict(_documented())


@pytest.mark.parametrize("name", DOCUMENTED)
def test_examples_run(server: FakeServer, name: str) -> None:
    examples = _examples(DOCUMENTED[name])
    assert examples, f"{name} has no example"
    for text in examples:
        text = text.replace(ADDRESS, server.address)
        names: dict[str, Any] = {each: getattr(tashihiki, each) for each in tashihiki.__all__}
        if name.startswith("Async"):
            asyncio.run(_run_asynchronously(server, text, names))
        else:
            with Client(server.address) as client:
                exec(text, {**names, "client": client})


async def _run_asynchronously(server: FakeServer, text: str, names: dict[str, Any]) -> None:
    async with AsyncClient(server.address) as client:
        names["client"] = client
        code = compile(text, "example", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        running = eval(code, names)
        if inspect.iscoroutine(running):
            await running


@pytest.mark.parametrize("client", CLIENTS)
def test_every_argument_of_every_verb_is_typed_and_told(client: type[Any]) -> None:
    for name, verb in _verbs(client).items():
        text = inspect.getdoc(verb) or ""
        assert text, name
        signature = inspect.signature(verb)
        assert signature.return_annotation is not signature.empty, name
        given = signature.parameters.keys() - {"self", "timeout", "collection"}
        # What a verb does says enough of its only argument.
        if len(given) > 1 and "The arguments are those of" not in text:
            assert [each for each in given if f"{each}:" not in text] == [], name


def test_both_clients_have_the_same_verbs() -> None:
    (threads, loop) = map(_verbs, CLIENTS)
    assert threads.keys() == loop.keys()
    for name, verb in threads.items():
        assert list(inspect.signature(verb).parameters) == list(
            inspect.signature(loop[name]).parameters
        )
