"""Hostile queries end at once and leave the server answering."""

from __future__ import annotations

import time

import pytest

from calls import failure, search
from gallery import Gallery, fill, random_vectors
from serving import Served

LENGTH = 9_990
SLOW = 20.0


@pytest.fixture(scope="module")
def shop(module_served: Served) -> Gallery:
    vectors = dict(zip("ab", random_vectors(2, 1), strict=True))
    return fill(module_served, "effort", {"a": {"colour": "red"}, "b": {}}, vectors)


@pytest.mark.parametrize(
    "text",
    [
        "item(" + " " * LENGTH,
        "image(" + " " * LENGTH,
        "vector(" + " " * LENGTH,
        "1" * LENGTH,
        "1." * (LENGTH // 2),
        "this" + " " * LENGTH,
        "- " * (LENGTH // 2),
        '"' * LENGTH,
        "a " * (LENGTH // 2),
    ],
    ids=lambda text: text[:8],
)
def test_no_expression_takes_long_to_refuse(
    module_served: Served, shop: Gallery, text: str
) -> None:
    # Not a measurement: what this guards against took minutes.
    start = time.monotonic()
    assert failure(lambda: search(module_served, shop.name, text)).reason
    assert time.monotonic() - start < SLOW
