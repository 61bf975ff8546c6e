"""Builds that take one route only, however few the rows are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import pytest

from tashihiki_server.collection import builds
from tashihiki_server.index.base import Route
from tashihiki_server.index.graph import GraphIndex
from tashihiki_server.index.request import Request


@contextmanager
def only_route(route: Route) -> Iterator[None]:
    """Indexes of a thousand rows and more that are built in the block take this route."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(builds, "Request", partial(Request, routes=(route,)))
        # So that a graph is followed, although it takes longer than comparing so few rows.
        patch.setattr(GraphIndex, "size_seconds", lambda index, size: 0.0)
        yield
