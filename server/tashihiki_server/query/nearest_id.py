"""Which item may have been meant by an id that is not there."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from difflib import get_close_matches

# Ids differ by a number or an ending: what is less alike is another item.
_ALIKE = 0.85
# Comparing takes as the product of the lengths.
_MAX_LENGTH = 64
# So many ids are all compared; of more, so many that begin alike at a time.
_FEW = 200
_AT_ONCE = 8
_PICTURE = re.compile(r"\.(avif|bmp|gif|heic|jpe?g|png|tiff?|webp)$", re.IGNORECASE)


def nearest_id(wrong: str, ids_after: Callable[[str, int], Sequence[str]]) -> str:
    """The id most like `wrong`; "" where none is alike.

    A large collection is not gone through: a few ids that begin alike are looked up and compared.

    Args:
        wrong: as it was typed.
        ids_after: up to so many ids greater than one, in order.
    """
    if len(wrong) > _MAX_LENGTH:
        return ""
    typed = wrong.casefold()
    near = {one.casefold(): one for one in _compared(wrong, ids_after)}
    # The name of a picture is often written without its ending.
    found = [one for one in near if _stem(one) == _stem(typed)] if typed not in near else [typed]
    short = [one for one in near if len(one) <= _MAX_LENGTH]
    found = found or get_close_matches(typed, short, n=1, cutoff=_ALIKE)
    return near[found[0]] if found else ""


def _compared(wrong: str, ids_after: Callable[[str, int], Sequence[str]]) -> Iterator[str]:
    few = ids_after("", _FEW + 1)
    if len(few) <= _FEW:
        yield from few
        return
    for start in dict.fromkeys((wrong, wrong.lower())):
        stem = len(_stem(start))
        for length in (stem, len(start) - 1, stem - 1, len(start) - 3, len(start) // 2):
            yield from ids_after(start[: max(0, length)], _AT_ONCE)


def _stem(identifier: str) -> str:
    return _PICTURE.sub("", identifier) or identifier
