"""Raw vectors as callers have them."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tashihiki.errors import InvalidArgumentError


def as_vector(values: ArrayLike) -> NDArray[np.float32]:
    """`values` as a contiguous float32 array of shape (d,).

    Raises:
        InvalidArgumentError: VECTOR_INVALID when it is not one-dimensional, is empty, or
            holds something that is no finite real number.
    """
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise _invalid(f"A vector cannot be ragged: {error}.") from error
    if array.dtype.kind not in "fiu":
        raise _invalid(f"A vector holds real numbers, not {array.dtype}.")
    if array.ndim != 1 or array.size == 0:
        raise _invalid(f"A vector has shape (d,) with d >= 1, not {array.shape}.")
    # What overflows float32 becomes infinite, and is refused with the rest.
    with np.errstate(over="ignore"):
        vector = np.ascontiguousarray(array, dtype=np.float32)
    if not np.isfinite(vector).all():
        raise _invalid("A vector holds finite numbers that fit in 32 bits.")
    return vector


def _invalid(message: str) -> InvalidArgumentError:
    return InvalidArgumentError(
        message,
        reason="VECTOR_INVALID",
        field="vector",
        remedy="Pass a one-dimensional array of finite numbers.",
    )
