"""What may be meant by the name that is being typed in an expression."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from tashihiki import FacetSummary, attribute, facet, item
from tashihiki_server.names import fold
from tashihiki_server.web.vocabulary import starting_with

Kind = Literal["value", "facet", "item", "word"]

_STOP = r"\s+\-−–＋－*＊×:：()（）\"“”"
_BARE = rf"[^{_STOP}]+"
_NAME = rf'(?:"(?:\\.|[^"\\])*"|{_BARE})'
_ITEM = re.compile(r"item\s*[(（]\s*\"?([^()（）\"]*)$", re.IGNORECASE)
_IN_FACET = re.compile(rf'({_NAME})\s*(?:[:：]\s*|\s)(?:"([^"]*)|([^{_STOP}]*))$')
_WORD = re.compile(rf'(?:"([^"]*)|([^{_STOP}]*))$')
_REST = re.compile(rf'[^{_STOP}]*"?')
_REST_OF_ITEM = re.compile(r"[^()（）]*[)）]?")
_MAX_VALUES, _MAX_FACETS, _MAX_IDS = 8, 4, 4


@dataclass(frozen=True)
class Option:
    """A way to go on.

    Attributes:
        insert: the text that takes the place of what was typed.
        label: in words.
        kind: of what it names.
        count: items behind it; of an id, how many ids begin as typed; 0 for words.
    """

    insert: str
    label: str
    kind: Kind
    count: int


@dataclass(frozen=True)
class Completion:
    """The options for one stretch of the expression, in characters, the end excluded."""

    start: int
    end: int
    options: tuple[Option, ...]


def complete(
    text: str, cursor: int, facets: Sequence[FacetSummary], ids: Sequence[str]
) -> Completion:
    """The options at the cursor.

    Args:
        text: the expression.
        cursor: place in it, in characters.
        facets: of the collection.
        ids: of its items, in the order of their bytes.
    """
    before, after = text[:cursor], text[cursor:]
    if found := _ITEM.search(before):
        end = cursor + _length(_REST_OF_ITEM, after)
        return Completion(found.start(), end, tuple(_items(ids, found[1], 10)))
    end = cursor + _length(_REST, after)
    if (found := _IN_FACET.search(before)) and (named := _facet(facets, found[1])):
        typed = found[2] if found[2] is not None else found[3]
        options = _values([named], typed, qualified=True)
        return Completion(found.start(), end, tuple(options)[: _MAX_VALUES + _MAX_FACETS])
    found = _WORD.search(before)
    assert found is not None
    typed = found[1] if found[1] is not None else found[2]
    if re.fullmatch(r"[\d.]+", typed):
        return Completion(cursor, cursor, ())
    options = [
        *_values(facets, typed)[:_MAX_VALUES],
        *_facets(facets, typed, subtracted=_after_minus(before[: found.start()]))[:_MAX_FACETS],
        *_words(typed),
        *(_items(ids, typed, _MAX_IDS) if typed else ()),
    ]
    return Completion(found.start(), end, tuple(options))


def _values(facets: Sequence[FacetSummary], typed: str, qualified: bool = False) -> list[Option]:
    wanted = fold(typed)
    occurrences = Counter(fold(value.value) for one in facets for value in one.values)
    occurrences.update(fold(one.facet) for one in facets)
    ranked: list[tuple[bool, int, Option]] = []
    for one in facets:
        for value in one.values:
            names = [fold(value.value), *map(fold, value.aliases)]
            if not any(wanted in name for name in names):
                continue
            plain = not qualified and occurrences[names[0]] == 1
            term = attribute(value.value) if plain else attribute(one.facet, value.value)
            label = f"{one.facet}: {value.value}"
            starts = any(name.startswith(wanted) for name in names)
            option = Option(repr(term), label, "value", value.member_count)
            ranked.append((not starts, -value.member_count, option))
    ranked.sort(key=lambda entry: (*entry[:2], entry[2].label))
    return [option for _, _, option in ranked]


def _facets(facets: Sequence[FacetSummary], typed: str, subtracted: bool) -> list[Option]:
    wanted = fold(typed)
    return [
        Option(
            repr(facet(one.facet)) + ("" if subtracted else ":"),
            one.facet,
            "facet",
            sum(value.member_count for value in one.values),
        )
        for one in facets
        if fold(one.facet).startswith(wanted)
    ]


def _items(ids: Sequence[str], typed: str, limit: int) -> Iterator[Option]:
    found, count = starting_with(ids, typed, limit)
    for one in found:
        yield Option(repr(item(one)), one, "item", count)


def _words(typed: str) -> Iterator[Option]:
    for word in ("this item", "this image"):
        if word.startswith(typed.casefold()) and typed:
            yield Option(word, word, "word", 0)


def _facet(facets: Sequence[FacetSummary], name: str) -> FacetSummary | None:
    bare = re.sub(r"\\(.)", r"\1", name[1:-1]) if name.startswith('"') else name
    return next((one for one in facets if fold(one.facet) == fold(bare)), None)


def _after_minus(before: str) -> bool:
    return before.rstrip()[-1:] in tuple("-−–－")


def _length(pattern: re.Pattern[str], text: str) -> int:
    found = pattern.match(text)
    return len(found[0]) if found else 0
