"""What a look over a collection finds: duplicates, items to label, random ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tashihiki.catalog import StoredItem


@dataclass(frozen=True)
class Duplicate:
    """An item of a group of duplicates.

    Attributes:
        id: its id.
        similarity: cosine to the group's first item, or to the picture that was asked about.
    """

    id: str
    similarity: float


@dataclass(frozen=True)
class DuplicateGroup:
    """Items that show the same. Iteration and `len()` go over the items.

    Attributes:
        items: at least two, or one where a picture was asked about; the most similar to the
            first, or to the picture, first.
        identical: whether their picture files are the same, byte for byte.
    """

    items: tuple[Duplicate, ...]
    identical: bool

    def __iter__(self) -> Iterator[Duplicate]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)


@dataclass(frozen=True, eq=False)
class LabelSuggestion:
    """An item to label.

    Attributes:
        item: the item.
        similarity: the largest cosine to an item that is labelled or was suggested before it;
            0 where there is none.
    """

    item: StoredItem
    similarity: float


@dataclass(frozen=True, eq=False)
class LabelSuggestions:
    """Items to label next. Iteration and `len()` go over the suggestions.

    Attributes:
        suggestions: the most useful first.
        unlabelled_count: items without the label, the filter applied.
    """

    suggestions: tuple[LabelSuggestion, ...]
    unlabelled_count: int

    def __iter__(self) -> Iterator[LabelSuggestion]:
        return iter(self.suggestions)

    def __len__(self) -> int:
        return len(self.suggestions)


@dataclass(frozen=True, eq=False)
class Sample:
    """Items drawn at random. Iteration and `len()` go over the items.

    Attributes:
        items: in the order in which they were drawn.
        admitted_count: how many items they were drawn from.
    """

    items: tuple[StoredItem, ...]
    admitted_count: int

    def __iter__(self) -> Iterator[StoredItem]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)
