from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from client.scripted_server import ScriptedServer
from tashihiki import AsyncClient, Client


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    server = ScriptedServer()
    server.start()
    yield server
    server.stop()


@pytest.fixture
def client(server: ScriptedServer) -> Iterator[Client]:
    with Client(server.target, timeout=5) as client:
        yield client


@pytest.fixture
def plain_terminal(server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TASHIHIKI_SERVER", server.target)
    monkeypatch.setenv("COLUMNS", "80")


@pytest_asyncio.fixture
async def async_client(server: ScriptedServer) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(server.target, timeout=5) as client:
        yield client
