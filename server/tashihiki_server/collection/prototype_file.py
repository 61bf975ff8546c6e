"""Prototypes on disk beside an index, so that a start need not take the medians again."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tashihiki.errors import InvalidArgumentError
from tashihiki_server.collection.rows import UNLABELLED, RowsView
from tashihiki_server.space.base import Vectors
from tashihiki_server.space.prototype import Prototypes
from tashihiki_server.vocabulary import AttributeKey, Vocabulary

VECTORS_FILE = "prototypes.npy"
KEYS_FILE = "prototypes.json"


def write_prototypes(
    folder: Path,
    prototypes: Prototypes,
    keys: Iterable[AttributeKey],
    rows: RowsView,
    vocabulary: Vocabulary,
) -> None:
    """Writes the prototypes of these values, which are those of their members among the rows."""
    members = _members(rows)
    kept = [key for key in keys if key in members and key in prototypes.vectors]
    entries = [[key.facet, vocabulary.value_name(key), f"{members[key]:x}"] for key in kept]
    (folder / KEYS_FILE).write_text(json.dumps(entries), encoding="utf-8")
    vectors = [prototypes.vectors[key] for key in kept]
    np.save(folder / VECTORS_FILE, np.array(vectors, dtype=np.float32), allow_pickle=False)


def read_prototypes(
    folder: Path, rows: RowsView, vocabulary: Vocabulary
) -> dict[AttributeKey, Vectors]:
    """The prototypes whose members are still the same; the files are known to be sound."""
    entries = json.loads((folder / KEYS_FILE).read_text(encoding="utf-8"))
    vectors = np.load(folder / VECTORS_FILE, allow_pickle=False)
    members = _members(rows)
    found = {}
    for (facet, value, fingerprint), vector in zip(entries, vectors, strict=True):
        try:
            key = vocabulary.find_value(facet, value, "")
        except InvalidArgumentError:
            continue
        if key in members and f"{members[key]:x}" == fingerprint:
            found[key] = vector
    return found


def _members(rows: RowsView) -> dict[AttributeKey, int]:
    """A fingerprint of each value's live members, whatever their order.

    Versions are never repeated, so those of the members tell which they are and what they show;
    their hashes are added up modulo 2^64.
    """
    live = np.flatnonzero(rows.alive)
    hashes = _mixed(rows.versions(live).astype(np.uint64))
    facets = rows.facets()
    labels = rows.labels(facets, live)
    found = {}
    for number, facet in enumerate(facets):
        codes = labels[:, number]
        order = np.argsort(codes, kind="stable")
        values, starts = np.unique(codes[order], return_index=True)
        with np.errstate(over="ignore"):
            sums = np.add.reduceat(hashes[order], starts)
        for value, total in zip(values.tolist(), sums.tolist(), strict=True):
            if value != UNLABELLED:
                found[AttributeKey(facet, value)] = total
    return found


def _mixed(numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finaliser of SplitMix64 (Steele, Lea and Flood 2014)."""
    with np.errstate(over="ignore"):
        mixed = numbers + np.uint64(0x9E3779B97F4A7C15)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    result: NDArray[np.uint64] = mixed ^ (mixed >> np.uint64(31))
    return result
