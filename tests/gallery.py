"""A collection of random vectors, and what numpy says of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from calls import Floats, create, stored_vectors, upsert, vector_item
from serving import Served
from tashihiki.v1 import catalog_pb2
from tiny_encoder import DIMENSION


@dataclass(frozen=True)
class Gallery:
    """A collection, mirrored.

    Attributes:
        name: of the collection.
        vectors: by id, as the server keeps them.
        attributes: by id.
    """

    name: str
    vectors: Mapping[str, Floats] = field(repr=False)
    attributes: Mapping[str, Mapping[str, str]] = field(repr=False)

    def members(self, facet: str, value: str) -> list[str]:
        """The ids of the items that carry the value."""
        return [i for i, labels in self.attributes.items() if labels.get(facet) == value]

    def values(self, facet: str) -> list[str]:
        """The facet's values."""
        return sorted({labels[facet] for labels in self.attributes.values() if facet in labels})

    def prototype(self, facet: str, value: str) -> Floats:
        """The normalised median of the value's members."""
        return median_direction([self.vectors[i] for i in self.members(facet, value)])

    def ranking(self, direction: Floats, ids: Sequence[str] | None = None) -> list[str]:
        """The ids, most similar first."""
        return sorted(
            self.vectors if ids is None else ids,
            key=lambda identifier: (-float(self.vectors[identifier] @ direction), identifier),
        )


def unit(vector: Floats) -> Floats:
    """The vector at unit length."""
    result: Floats = vector / np.linalg.norm(vector)
    return result


def clipped(vector: Floats) -> Floats:
    """Negative coordinates set to 0, unit length."""
    return unit(np.maximum(vector, 0.0))


def median_direction(vectors: Sequence[Floats]) -> Floats:
    """The coordinate-wise median at unit length."""
    return unit(np.median(np.stack(vectors), axis=0))


def random_vectors(count: int, seed: int, *, signed: bool = False) -> Floats:
    """Unit vectors (count, DIMENSION)."""
    rows = np.random.default_rng(seed).normal(size=(count, DIMENSION))
    rows = rows if signed else np.abs(rows)
    result: Floats = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return result


def fill(
    served: Served,
    name: str,
    labels: Mapping[str, Mapping[str, str]],
    vectors: Mapping[str, Floats],
    *,
    space: catalog_pb2.SpaceKind.ValueType = catalog_pb2.SPACE_KIND_SUM,
    keep_negative: bool = False,
    aliases: Sequence[tuple[str, str, str]] = (),
) -> Gallery:
    """Makes a collection of these items."""
    create(served, name, space=space, keep_negative=keep_negative, aliases=aliases)
    inputs = [vector_item(i, vectors[i], **attributes) for i, attributes in labels.items()]
    for start in range(0, len(inputs), 1000):
        upsert(served, name, inputs[start : start + 1000])
    return Gallery(name, stored_vectors(served, name), labels)


FACES = [
    {"person": person, "expression": expression}
    for person in ("KR", "KA", "TM")
    for expression in ("HAPPY", "SAD", "ANGRY")
] * 2
GOODS = [
    {"kind": kind, "colour": colour, "background": background}
    for kind in ("mug", "chair")
    for colour in ("red", "blue", "navy blue")
    for background in ("wood", "plain", "grass")
]


def faces(
    served: Served, name: str, *, keep_negative: bool = False, signed: bool = False
) -> Gallery:
    """Persons with expressions, `face_00` and so on; HA is an alias of HAPPY."""
    return _numbered(
        served, name, "face", FACES, seed=1, keep_negative=keep_negative, signed=signed
    )


def goods(
    served: Served, name: str, *, keep_negative: bool = False, signed: bool = False
) -> Gallery:
    """Kinds with colours and backgrounds, `good_00` and so on."""
    return _numbered(
        served, name, "good", GOODS, seed=2, keep_negative=keep_negative, signed=signed
    )


def _numbered(
    served: Served,
    name: str,
    stem: str,
    labels: Sequence[Mapping[str, str]],
    *,
    seed: int,
    keep_negative: bool,
    signed: bool,
) -> Gallery:
    ids = [f"{stem}_{number:02}" for number in range(len(labels))]
    vectors = random_vectors(len(labels), seed, signed=signed)
    return fill(
        served,
        name,
        dict(zip(ids, labels, strict=True)),
        dict(zip(ids, vectors, strict=True)),
        keep_negative=keep_negative,
        aliases=[("expression", "HA", "HAPPY"), ("expression", "楽", "HAPPY")],
    )
