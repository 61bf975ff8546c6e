"""Labels and embeddings whose structure is known."""

from __future__ import annotations

import numpy as np

from tashihiki_evaluation.catalogue import Codes, Labels
from tashihiki_evaluation.episodes import Plan
from tashihiki_server.space.base import Vectors


def factorial(counts: tuple[int, ...], copies: int) -> Labels:
    """Every combination of values, so many times."""
    grid = np.stack(np.meshgrid(*(np.arange(c) for c in counts), indexing="ij"), axis=-1)
    codes = np.repeat(grid.reshape(-1, len(counts)), copies, axis=0)
    return labelled(codes, counts)


def labelled(codes: Codes, counts: tuple[int, ...]) -> Labels:
    """Facets f0, f1, … with values v0, v1, …."""
    names = tuple(f"f{number}" for number in range(len(counts)))
    values = tuple(tuple(f"v{code}" for code in range(count)) for count in counts)
    return Labels(names, names, values, codes.astype(np.int64))


def additive(labels: Labels, seed: int = 0, dimension: int = 48, noise: float = 0.02) -> Vectors:
    """A large common mean, one strong and one weak facet, and noise: what sums are bad at."""
    rng = np.random.default_rng(seed)
    vectors = 1.0 + noise * rng.standard_normal((len(labels.codes), dimension))
    for facet, values in enumerate(labels.values):
        strength = 0.4 if facet == 0 else 0.1
        effects = strength * rng.standard_normal((len(values), dimension))
        vectors += effects[labels.codes[:, facet]]
    vectors = np.maximum(vectors, 0)
    unit: Vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return unit


def plan_of(labels: Labels, *protocols: str, group: list[int] | None = None, seed: int = 0) -> Plan:
    """A plan over pictures that are all different, unless their groups are given."""
    count = len(labels.codes)
    numbers = np.arange(count) if group is None else np.array(group, dtype=np.int64)
    return Plan(
        labels=labels,
        group=numbers,
        digests=[f"picture {number}" for number in numbers.tolist()],
        protocols=protocols,
        folds=4,
        seed=seed,
        identity=0,
    )
