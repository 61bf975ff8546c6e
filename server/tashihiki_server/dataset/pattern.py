"""Labels out of file names, as in `{person}.{expression:2}{shot}.{rest}.tiff`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tashihiki.errors import InvalidArgumentError
from tashihiki_server.dataset.aliases import Aliases
from tashihiki_server.dataset.failure import checked, not_found
from tashihiki_server.dataset.photo import Dataset, Photo, Skipped

METADATA_NAMES = frozenset({"shot", "rest", "id"})
_FIELD = re.compile(r"\{(?P<name>[^{}:]+)(?::(?P<width>[^{}]*))?\}")


@dataclass(frozen=True)
class NamePattern:
    """A compiled file name pattern.

    Attributes:
        names: the fields in the order in which they stand.
        expression: matches whole names, with one group per field.
    """

    names: tuple[str, ...]
    expression: re.Pattern[str]

    def match(self, name: str) -> dict[str, str] | None:
        """Field → text, or None where the name does not fit."""
        found = self.expression.fullmatch(name)
        return dict(zip(self.names, found.groups(), strict=True)) if found else None


def compile_pattern(pattern: str) -> NamePattern:
    """Compiles a pattern.

    `{name}` takes as few characters as the rest of the pattern allows, at least one;
    `{name:2}` takes exactly two. All else stands for itself. A pattern with `/` is matched
    against the path below the folder.

    Raises:
        InvalidArgumentError: PATTERN_INVALID.
    """
    names: list[str] = []
    expression = ""
    end = 0
    for found in _FIELD.finditer(pattern):
        expression += re.escape(_literal(pattern[end : found.start()], pattern))
        expression += f"({_characters(found['width'], pattern)})"
        names.append(found["name"].strip())
        end = found.end()
    expression += re.escape(_literal(pattern[end:], pattern))
    if not names or len(set(names)) != len(names) or not all(names):
        raise _invalid(pattern, "it needs fields, each with a name of its own")
    return NamePattern(tuple(names), re.compile(expression))


def read_pattern(
    folder: Path,
    pattern: str,
    aliases: Aliases | None = None,
    *,
    facets: Sequence[str] | None = None,
) -> Dataset:
    """Reads the photos of a folder, and below it, whose names fit a pattern.

    Args:
        facets: the fields that are facets; by default all but shot, rest, id and those that
            begin with an underscore. The other fields are metadata.

    Raises:
        NotFoundError: CATALOGUE_NOT_FOUND.
        InvalidArgumentError: PATTERN_INVALID, UNKNOWN_COLUMN or CATALOGUE_EMPTY.
    """
    compiled = compile_pattern(pattern)
    chosen = _facets(compiled.names, facets, pattern)
    if not folder.is_dir():
        raise not_found(folder)
    photos, skipped = [], []
    for path in sorted(path for path in folder.rglob("*") if _is_candidate(path, folder)):
        relative = path.relative_to(folder).as_posix()
        fields = compiled.match(relative if "/" in pattern else path.name)
        if fields is None:
            skipped.append(Skipped(path, f"its name does not fit {pattern}"))
        else:
            photos.append(_photo(path, relative, fields, chosen, aliases or Aliases()))
    return checked(Dataset(photos, chosen, skipped), folder)


def _photo(
    path: Path, relative: str, fields: dict[str, str], facets: list[str], aliases: Aliases
) -> Photo:
    attributes = {facet: aliases.value(facet, fields[facet]) for facet in facets}
    metadata = {name: text for name, text in fields.items() if name not in attributes}
    return Photo(relative, path, attributes, metadata)


def _facets(names: Sequence[str], asked: Sequence[str] | None, pattern: str) -> list[str]:
    if not asked:
        chosen = [n for n in names if n not in METADATA_NAMES and not n.startswith("_")]
        if not chosen:
            raise _invalid(pattern, "none of its fields is a facet")
        return chosen
    for facet in asked:
        if facet not in names:
            raise InvalidArgumentError(
                f"the pattern {pattern} has no field {facet!r}",
                reason="UNKNOWN_COLUMN",
                field="facet",
                remedy=f"Its fields are {', '.join(names)}.",
            )
    return list(asked)


def _is_candidate(path: Path, folder: Path) -> bool:
    hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
    return path.is_file() and not hidden


def _characters(width: str | None, pattern: str) -> str:
    if width is None:
        return "[^/]+?"
    if not width.isdecimal() or int(width) < 1:
        raise _invalid(pattern, f"{width!r} is not a number of characters")
    return f"[^/]{{{int(width)}}}"


def _literal(text: str, pattern: str) -> str:
    if "{" in text or "}" in text:
        raise _invalid(pattern, "it has a brace without its partner or a field without a name")
    return text


def _invalid(pattern: str, why: str) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"the pattern {pattern!r} cannot be used: {why}",
        reason="PATTERN_INVALID",
        field="pattern",
        remedy="Write it like {person}.{expression:2}{shot}.{rest}.tiff",
    )
