"""Other names of values, such as the codes that file names carry: HA for HAPPY."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tashihiki.errors import InvalidArgumentError
from tashihiki_server.names import fold

# The two-letter codes in the file names of the JAFFE database.
JAFFE = {
    "AN": "ANGER",
    "DI": "DISGUST",
    "FE": "FEAR",
    "HA": "HAPPY",
    "NE": "NEUTRAL",
    "SA": "SADNESS",
    "SU": "SURPRISE",
}
PRESETS: Mapping[str, Mapping[str, Mapping[str, str]]] = {"jaffe": {"expression": JAFFE}}


@dataclass(frozen=True)
class Aliases:
    """Other names of values.

    Attributes:
        values: facet → folded alias → value.
    """

    values: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def value(self, facet: str, name: str) -> str:
        """The value that a name of a facet stands for: itself if it is no alias."""
        return self.values.get(facet, {}).get(fold(name), name)


def parse_aliases(given: Iterable[str]) -> Aliases:
    """Reads aliases, the later ones winning.

    Args:
        given: each `facet:ALIAS=VALUE`, the name of a preset (`jaffe`), or the path of a CSV
            file with the columns facet, alias and value.

    Raises:
        InvalidArgumentError: ALIAS_INVALID.
    """
    values: dict[str, dict[str, str]] = {}
    for text in given:
        for facet, alias, value in _entries(text):
            values.setdefault(facet, {})[fold(alias)] = value
    return Aliases(values)


def _entries(text: str) -> Iterator[tuple[str, str, str]]:
    if text in PRESETS:
        for facet, table in PRESETS[text].items():
            yield from ((facet, alias, value) for alias, value in table.items())
    elif text.endswith(".csv"):
        yield from _file(Path(text))
    else:
        facet, _, rest = text.partition(":")
        alias, _, value = rest.partition("=")
        yield _entry(facet, alias, value, repr(text))


def _file(path: Path) -> Iterator[tuple[str, str, str]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise _invalid(f"{path} cannot be read: {error}") from error
    for row in rows:
        yield _entry(
            row.get("facet") or "", row.get("alias") or "", row.get("value") or "", str(path)
        )


def _entry(facet: str, alias: str, value: str, where: str) -> tuple[str, str, str]:
    entry = (facet.strip(), alias.strip(), value.strip())
    if not all(entry):
        raise _invalid(f"{where} is not an alias")
    return entry


def _invalid(message: str) -> InvalidArgumentError:
    return InvalidArgumentError(
        message,
        reason="ALIAS_INVALID",
        field="alias",
        remedy="Write facet:ALIAS=VALUE, a preset "
        f"({', '.join(PRESETS)}) or a CSV file with the columns facet, alias and value.",
    )
