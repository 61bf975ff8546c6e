"""The facets and values that a collection's items carry, and the names they go by."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches

from tashihiki.errors import InvalidArgumentError
from tashihiki_server.deadline import check_deadline
from tashihiki_server.names import fold, similar, spelt

MAX_CANDIDATES = 10
# What is like a longer name, or among more values, takes long to find.
_MAX_ALIKE = 64
_MAX_COMPARED = 5000


@dataclass(frozen=True)
class Alias:
    """Another name for a value of a facet."""

    facet: str
    alias: str
    value: str


@dataclass(frozen=True)
class AttributeKey:
    """One value of one facet: the facet's folded name and the value's number in it."""

    facet: str
    code: int


@dataclass(frozen=True)
class Tally:
    """How many values of a facet some item carries, and how many items carry one."""

    values: int
    items: int


@dataclass
class _Facet:
    name: str
    codes: dict[str, int] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)

    def live(self) -> list[int]:
        return [code for code, count in enumerate(self.counts) if count]


class Vocabulary:
    """Names in, attribute keys out; a value lasts as long as an item carries it.

    Names that fold alike are one value, spelt as it was first seen. Safe to read from many
    threads while one writes.
    """

    def __init__(self, aliases: Iterable[Alias] = ()) -> None:
        self._facets: dict[str, _Facet] = {}
        self._by_word: dict[str, set[AttributeKey]] = defaultdict(set)
        self._by_letters: dict[str, list[AttributeKey]] = defaultdict(list)
        self._aliases = {(fold(a.facet), fold(a.alias)): fold(a.value) for a in aliases}
        self._alias_names: dict[tuple[str, str], list[str]] = defaultdict(list)
        self._spelling = {(fold(a.facet), fold(a.value)): a.value for a in aliases}
        for alias in aliases:
            self._alias_names[fold(alias.facet), fold(alias.value)].append(alias.alias)
        self._lock = threading.RLock()

    def add(self, attributes: Mapping[str, str]) -> dict[str, int]:
        """Counts an item in; returns its value's number by folded facet."""
        with self._lock:
            keys = {fold(facet): self._intern(facet, value) for facet, value in attributes.items()}
            for facet, code in keys.items():
                self._facets[facet].counts[code] += 1
            return keys

    def remove(self, codes: Mapping[str, int]) -> None:
        """Counts an item out."""
        with self._lock:
            for facet, code in codes.items():
                self._facets[facet].counts[code] -= 1

    def _intern(self, facet: str, value: str) -> int:
        known = self._facets.setdefault(fold(facet), _Facet(facet))
        folded = self._aliases.get((fold(facet), fold(value)), fold(value))
        if folded not in known.codes:
            known.codes[folded] = len(known.names)
            known.names.append(self._spelling.get((fold(facet), folded), value))
            known.counts.append(0)
            key = AttributeKey(fold(facet), known.codes[folded])
            self._by_word[folded].add(key)
            self._by_letters[_letters(folded)].append(key)
            for alias in self._alias_names[fold(facet), folded]:
                self._by_word[fold(alias)].add(key)
        return known.codes[folded]

    def facets(self) -> list[str]:
        """Folded names of the facets that some item carries."""
        with self._lock:
            return [key for key, facet in self._facets.items() if any(facet.counts)]

    def tally(self) -> dict[str, Tally]:
        """How much each folded facet that some item carries is used."""
        with self._lock:
            counts = {key: [n for n in facet.counts if n] for key, facet in self._facets.items()}
        return {key: Tally(len(live), sum(live)) for key, live in counts.items() if live}

    def facet_name(self, facet: str) -> str:
        """The spelling of a folded facet, which stays folded if no item was seen with it."""
        known = self._facets.get(facet)
        return known.name if known else facet

    def value_name(self, key: AttributeKey) -> str:
        """The spelling of a value."""
        return self._facets[key.facet].names[key.code]

    def label(self, key: AttributeKey) -> str:
        """`facet:value`."""
        return f"{self.facet_name(key.facet)}:{self.value_name(key)}"

    def count(self, key: AttributeKey) -> int:
        """How many items carry the value."""
        return self._facets[key.facet].counts[key.code]

    def keys(self, facet: str) -> list[AttributeKey]:
        """The values of a folded facet that some item carries."""
        with self._lock:
            return [AttributeKey(facet, code) for code in self._facets[facet].live()]

    def aliases(self, key: AttributeKey) -> list[str]:
        """Other names of a value."""
        folded = fold(self.value_name(key))
        return list(self._alias_names.get((key.facet, folded), ()))

    def find_facet(self, name: str, where: str) -> str:
        """The folded facet of this name.

        Raises:
            InvalidArgumentError: UNKNOWN_FACET.
        """
        if (key := self.facet_or_none(name)) is not None:
            return key
        names = [self.facet_name(facet) for facet in self.facets()]
        raise unknown(
            "UNKNOWN_FACET", f"no facet {spelt(name)}", where, similar(name, names), names
        )

    def facet_or_none(self, name: str) -> str | None:
        """The folded facet of this name, if some item carries it."""
        folded = fold(name)
        known = self._facets.get(folded)
        return folded if known is not None and any(known.counts) else None

    def find_value(self, facet: str, value: str, where: str) -> AttributeKey:
        """The value of this name or alias in a folded facet.

        Raises:
            InvalidArgumentError: UNKNOWN_VALUE.
        """
        for key in self.occurrences(value):
            if key.facet == facet:
                return key
        labels = {self.value_name(key): self.label(key) for key in self.keys(facet)}
        near = [labels[name] for name in similar(value, labels)]
        # Whoever names the wrong facet means the value.
        near += [self.label(key) for key in self.occurrences(value)]
        message = f"{self.facet_name(facet)} has no value {spelt(value)}"
        raise unknown("UNKNOWN_VALUE", message, where, near, sorted(labels.values()))

    def occurrences(self, word: str) -> list[AttributeKey]:
        """Every value of this name or alias, in whatever facet, that some item carries."""
        with self._lock:
            found = sorted(self._by_word.get(fold(word), ()), key=lambda key: key.facet)
            return [key for key in found if self.count(key)]

    def suggestions(self, word: str) -> list[str]:
        """Attributes and facets that someone who typed `word` may have meant.

        Raises:
            DeadlineExceededError: DEADLINE_EXCEEDED.
        """
        check_deadline()
        named = {}
        for facet in self.facets():
            named[self.facet_name(facet)] = self.facet_name(facet)
            for key in self.keys(facet):
                named[self.value_name(key)] = self.label(key)
        return [named[name] for name in similar(word, named)]

    def alike(self, name: str) -> list[AttributeKey]:
        """Values that differ from `name` by signs and spaces, or a letter, best first.

        Of thousands only those that differ by signs and spaces.

        Raises:
            DeadlineExceededError: DEADLINE_EXCEEDED.
        """
        wanted = _letters(fold(name))
        if not wanted or len(wanted) > _MAX_ALIKE:
            return []
        check_deadline()
        with self._lock:
            many = len(self._by_letters) > _MAX_COMPARED
            near = {wanted: self._by_letters.get(wanted, [])} if many else self._by_letters
            living = {
                letters: [key for key in keys if self.count(key)] for letters, keys in near.items()
            }
        live = {letters: keys for letters, keys in living.items() if keys}
        found = get_close_matches(wanted, live, n=3, cutoff=0.9)
        return [key for letters in found for key in live[letters]]


def _letters(folded: str) -> str:
    """The letters and digits of a folded name."""
    return "".join(filter(str.isalnum, folded))


def unknown(
    reason: str, message: str, where: str, near: Sequence[str], others: Sequence[str] = ()
) -> InvalidArgumentError:
    """The error for a name that is not there.

    Args:
        reason: UNKNOWN_FACET or UNKNOWN_VALUE.
        message: in words.
        where: the field of the request.
        near: what may have been meant, best first.
        others: what there is, told where nothing is near.
    """
    shown = (near or others)[:MAX_CANDIDATES]
    guess = f"; did you mean {' or '.join(near[:3])}?" if near else ""
    return InvalidArgumentError(
        f"{message}{guess}",
        reason=reason,
        field=where,
        remedy="ListAttributes tells the collection's facets and values.",
        details={"candidates": ", ".join(shown)},
    )
