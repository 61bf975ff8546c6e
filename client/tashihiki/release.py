"""How a server tells which release it is."""

from __future__ import annotations

from importlib.metadata import version

PACKAGE = "tashihiki"
# In the trailing metadata of every answer to a health check.
VERSION_KEY = "tashihiki-version"


def installed_version() -> str:
    """The release that is installed here."""
    return version(PACKAGE)
