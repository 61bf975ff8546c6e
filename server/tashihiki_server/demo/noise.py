"""Cheap random textures: smooth fields and fine grain."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image

Field = npt.NDArray[np.float32]


def smooth_field(source: np.random.Generator, size: int, cells_x: int, cells_y: int) -> Field:
    """A field from 0 to 1 whose hills are as many as the cells."""
    rough = source.random((cells_y, cells_x), dtype=np.float32)
    image = Image.fromarray(rough).resize((size, size), Image.Resampling.BICUBIC)
    return np.asarray(image, dtype=np.float32)


def cloud_field(source: np.random.Generator, size: int, cells: int) -> Field:
    """Smooth fields of three sizes added up: clouds, stains, veins."""
    parts = [smooth_field(source, size, cells * k, cells * k) / k for k in (1, 2, 4)]
    total: Field = (parts[0] + parts[1] + parts[2]) / np.float32(1.75)
    return total


def grain(source: np.random.Generator, size: int, strength: float) -> Field:
    """Fine noise around 0."""
    field: Field = (source.random((size, size), dtype=np.float32) - np.float32(0.5)) * np.float32(
        2 * strength
    )
    return field
