"""What the garbage collector passes over, so that no search waits while it looks through all."""

from __future__ import annotations

import gc


def freeze() -> None:
    """Lets the collector pass over all that is there now."""
    # Else garbage would be frozen too, and stay.
    gc.collect()
    gc.freeze()


def give_back() -> None:
    """Frees a closed collection, frozen or not; nothing is frozen any more.

    A collection is in cycles, and its arrays are few objects: by itself the collector would come to
    them late. The caller holds no reference to it.
    """
    gc.unfreeze()
    gc.collect()
