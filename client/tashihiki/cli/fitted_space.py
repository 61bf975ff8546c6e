"""What commands say of the space that answers, and how they wait for it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from rich.console import Console

from tashihiki.catalog import Collection
from tashihiki.client import Client

# A fit of a million items takes less; one that fails again and again is not waited for.
MOST_SECONDS = 600.0
_LOOK_SECONDS = 0.2
_TELL_SECONDS = 30.0
# A collection that one facet is enough for.
ANEW = "tashihiki index NEW-NAME … --space factored"
# What a fit asks of the labels.
_FACETS = {"auto": 2, "factored": 1}
_LABELLED = 8


@dataclass(frozen=True)
class SpaceState:
    """The space of a collection at one moment.

    Attributes:
        asked: `auto`, `sum` or `factored`.
        in_force: `sum` or `factored`.
        pending: whether a space is being fitted, or will be soon.
        items: that the one in force was fitted to; 0 for the sum.
        fittable: whether there are labels enough for a fit, where that was looked up.
    """

    asked: str
    in_force: str
    pending: bool
    items: int
    fittable: bool = False

    @classmethod
    def of(cls, collection: Collection) -> SpaceState:
        """That of a server's collection, as it was told."""
        fit = collection.diagnostics
        return cls(
            collection.space.kind,
            collection.space_in_force,
            collection.space_pending,
            0 if fit is None else fit.item_count,
        )


def enough_labels(asked: str, counts: Iterable[Sequence[int]]) -> bool:
    """Whether a factored space is fitted, if only the photos of the values differ.

    Args:
        asked: `auto`, `sum` or `factored`.
        counts: for each facet, how many items have each of its values.
    """
    facets = [facet for facet in counts if facet]
    contrasts = sum(len(facet) > 1 for facet in facets)
    return (
        asked in _FACETS
        and contrasts >= _FACETS[asked]
        and max(map(sum, facets), default=0) >= _LABELLED
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
    began = told = time.monotonic()
    end = began + (MOST_SECONDS if wait else 0.0)
    found = client.get_collection(name)
    if found.space_pending and wait:
        console.print(fitting_text(found.item_count))
    while found.space_pending and time.monotonic() < end:
        time.sleep(_LOOK_SECONDS)
        found = client.get_collection(name)
        if found.space_pending and (now := time.monotonic()) - told >= _TELL_SECONDS:
            told = now
            console.print(
                f"still fitting after {now - began:.0f} s; of a fit that fails the server's log"
                " says why"
            )
    state = SpaceState.of(found)
    if state.pending or state.in_force != "sum" or state.asked == "sum":
        return state
    counts = [[value.member_count for value in one.values] for one in client.attributes(name)]
    return replace(state, fittable=enough_labels(state.asked, counts))


def space_text(space: SpaceState, anew: str = ANEW) -> str:
    """What answers now, and what to do where that answers badly; "" where nothing is to say.

    Args:
        space: as it is now.
        anew: the command that makes a collection which one facet is enough for.
    """
    if space.pending:
        if space.in_force == "sum":
            return "The space is still being fitted; until it is, the plain sum answers."
        return "The space is still being fitted to the newest items; until it is, answers change."
    if space.in_force == "factored":
        return f"The space is fitted to {_items(space.items)}."
    if space.fittable:
        return (
            "The plain sum answers, often badly: there are labels enough for a space, but the "
            "photos of different values do not differ enough; the server's log says more."
        )
    if space.asked == "auto":
        return (
            "The plain sum answers, often badly: it stays until eight photos are labelled and two "
            "facets have two values each. Label a second facet, or make a new collection, which "
            f"needs one: {anew}"
        )
    if space.asked == "factored":
        return (
            "The plain sum answers, often badly: it stays until eight photos are labelled and a "
            "facet has two values whose photos differ."
        )
    return ""


def remark_on_answers(space: SpaceState) -> str:
    """Why the same search may soon be answered otherwise; "" where it will not."""
    if not space.pending:
        return ""
    if space.in_force == "sum":
        return "these are the plain sum's answers; a space is being fitted"
    return "the space is being fitted to the newest items; answers may change"


def note_on_sum(space: SpaceState) -> str:
    """That the plain sum answers where nobody asked for it; "" otherwise."""
    if space.pending or space.in_force != "sum" or space.asked == "sum":
        return ""
    return (
        "note: the plain sum answers, often badly; where one facet alone is labelled, "
        f"`{ANEW}` makes a collection that it is enough for"
        if space.asked == "auto"
        else "note: the plain sum answers, often badly; nothing could be fitted to the labels yet"
    )


def _items(count: int) -> str:
    return "1 item" if count == 1 else f"{count:,} items"
