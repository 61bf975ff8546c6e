"""Which pictures are learnt from, which steer the training, and which are reported."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tashihiki.errors import InvalidArgumentError

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Split:
    """Positions of pictures, each in one of three parts."""

    train: Indices
    validation: Indices
    test: Indices


def split(digests: Sequence[str], seed: int, validation: float = 0.15, test: float = 0.15) -> Split:
    """Splits by content: identical files fall on one side, whatever their order and names.

    Args:
        digests: of the content of every file.
        validation, test: their shares of the distinct files, at least one file each.

    Raises:
        InvalidArgumentError: DATASET_TOO_SMALL.
    """
    order = sorted(set(digests), key=lambda digest: _draw(digest, seed))
    if len(order) < 3:
        raise InvalidArgumentError(
            f"{len(order)} distinct photos cannot be split into three parts",
            reason="DATASET_TOO_SMALL",
            field="source",
            remedy="Bring at least a few photos of every value.",
        )
    held = [max(1, round(len(order) * share)) for share in (validation, test)]
    part = dict.fromkeys(order, 0)
    part.update(dict.fromkeys(order[: held[0]], 1))
    part.update(dict.fromkeys(order[held[0] : sum(held)], 2))
    parts = np.array([part[digest] for digest in digests])
    return Split(*(np.flatnonzero(parts == number) for number in range(3)))


def _draw(digest: str, seed: int) -> bytes:
    return hashlib.sha256(f"{seed}:{digest}".encode()).digest()
