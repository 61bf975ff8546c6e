"""Fixtures for every test that needs the server: a tiny encoder, a library, a running server."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from demo_server import DemoServer, demo_server, drawn_demo
from serving import Served, serving
from tashihiki_server.library import Library
from tiny_encoder import write_tiny_encoder

# Examples are the same on every run, and a slow machine is no fault.
settings.register_profile(
    "repeatable",
    deadline=None,
    derandomize=True,
    max_examples=50,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("repeatable")


@pytest.fixture(scope="session")
def tiny_encoder_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an encoder whose answers `tiny_encoder.tiny_embedding` knows."""
    folder = tmp_path_factory.mktemp("encoder") / "tiny"
    write_tiny_encoder(folder)
    return folder


@contextmanager
def _opened(folder: Path, bundle: Path) -> Iterator[Library]:
    library = Library(folder, bundle)
    try:
        yield library
    finally:
        library.close()


@pytest.fixture
def open_library(tmp_path: Path, tiny_encoder_bundle: Path) -> Iterator[Callable[..., Library]]:
    """Opens libraries, by default under `tmp_path / "data"`; closed at the end of the test."""
    with ExitStack() as stack:

        def open_one(folder: Path | None = None) -> Library:
            path = tmp_path / "data" if folder is None else folder
            return stack.enter_context(_opened(path, tiny_encoder_bundle))

        yield open_one


@pytest.fixture
def library(open_library: Callable[..., Library]) -> Library:
    """An empty library of this test's own."""
    return open_library()


@pytest.fixture
def served(library: Library) -> Iterator[Served]:
    """A running server over an empty library of this test's own."""
    with serving(library) as running:
        yield running


@pytest.fixture(scope="module")
def module_served(
    tmp_path_factory: pytest.TempPathFactory, tiny_encoder_bundle: Path
) -> Iterator[Served]:
    """A running server that the tests of a module share."""
    folder = tmp_path_factory.mktemp("module") / "data"
    with _opened(folder, tiny_encoder_bundle) as library, serving(library) as running:
        yield running


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose `data` holds the demo, which nobody serves."""
    base = tmp_path_factory.getbasetemp()
    return drawn_demo(base.parent if "PYTEST_XDIST_WORKER" in os.environ else base)


@pytest.fixture(scope="session")
def demo(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoServer]:
    """A server of the demo that all tests share; what they add to it has names of its own."""
    with demo_server(drawn, tmp_path_factory.mktemp("desk")) as running:
        yield running
