"""What `tashihiki index` says of the space that answers, and how it waits for it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.console import Console

if TYPE_CHECKING:
    from tashihiki import Client
    from tashihiki_server.collection.collection import Collection

# A fit of a million items takes less; one that fails again and again is not waited for.
MOST_SECONDS = 600.0
_LOOK_SECONDS = 0.2


@dataclass(frozen=True)
class SpaceState:
    """The space of a collection at one moment.

    Attributes:
        asked: `auto`, `sum` or `factored`.
        in_force: `sum` or `factored`.
        pending: whether a space is being fitted, or will be soon.
        items: that the one in force was fitted to; 0 for the sum.
    """

    asked: str
    in_force: str
    pending: bool
    items: int

    @classmethod
    def of(cls, collection: Collection) -> SpaceState:
        """That of a collection of this process."""
        fit = collection.diagnostics
        return cls(
            collection.settings.space,
            collection.state.space.kind,
            collection.space_pending,
            0 if fit is None else fit.items,
        )


def fitting_text(count: int) -> str:
    """What to say before a fit is waited for."""
    return f"fitting the space to {_items(count)} …"


def wait_until_fitted(client: Client, name: str, console: Console, *, wait: bool) -> SpaceState:
    """Waits until the space of a server's collection is fitted, MOST_SECONDS at most.

    Args:
        client: to the server.
        name: of the collection.
        console: told that there is something to wait for.
        wait: whether to wait at all.

    Returns:
        The space as it is then.
    """
    end = time.monotonic() + (MOST_SECONDS if wait else 0.0)
    found = client.get_collection(name)
    if found.space_pending and wait:
        console.print(fitting_text(found.item_count))
    while found.space_pending and time.monotonic() < end:
        time.sleep(_LOOK_SECONDS)
        found = client.get_collection(name)
    fit = found.diagnostics
    items = 0 if fit is None else fit.item_count
    return SpaceState(found.space.kind, found.space_in_force, found.space_pending, items)


def space_text(space: SpaceState) -> str:
    """What answers now, and what to do where that answers badly; "" where nothing is to say."""
    if space.pending:
        return "The space is still being fitted to the newest items; until it is, answers change."
    if space.in_force == "factored":
        return f"The space is fitted to {_items(space.items)}."
    if space.asked == "auto":
        return (
            "The plain sum answers, often badly: it stays until eight photos are labelled and two "
            "facets have two values each. Label a second facet, or make a new collection with "
            "--space factored, which needs one."
        )
    if space.asked == "factored":
        return (
            "The plain sum answers, often badly: it stays until eight photos are labelled and a "
            "facet has two values whose photos differ."
        )
    return ""


def _items(count: int) -> str:
    return "1 item" if count == 1 else f"{count:,} items"
