from __future__ import annotations

import pytest

from gallery import Gallery, faces, goods
from serving import Served


@pytest.fixture(scope="module")
def people(module_served: Served) -> Gallery:
    """Persons with expressions."""
    return faces(module_served, "faces")


@pytest.fixture(scope="module")
def shop(module_served: Served) -> Gallery:
    """Kinds with colours and backgrounds."""
    return goods(module_served, "items")


@pytest.fixture(scope="module")
def signed_people(module_served: Served) -> Gallery:
    """Persons with expressions, in a space that keeps negative coordinates."""
    return faces(module_served, "signed-faces", keep_negative=True, signed=True)


@pytest.fixture(scope="module")
def signed_shop(module_served: Served) -> Gallery:
    """Kinds with colours and backgrounds, in a space that keeps negative coordinates."""
    return goods(module_served, "signed-items", keep_negative=True, signed=True)
