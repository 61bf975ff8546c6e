"""How thoroughly files are damaged."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Only where this folder is named on the command line; the tests know the defaults."""
    parser.addoption(
        "--every-damage",
        action="store_true",
        help="every damage to every file, not each to a fifth of the files",
    )
