"""What is fixed when a collection is created."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from tashihiki_server.vocabulary import Alias

SETTINGS_FILE = "collection.json"


@dataclass(frozen=True)
class CollectionSettings:
    """A collection's name and ways.

    Attributes:
        name: unique in the data folder.
        encoder: fingerprint.
        keep_negative: of the sum space.
        space: `sum`; `factored`, which `sum` stands in for until a facet has two values; or
            `auto`, `sum` until the labels are enough to fit a factored space.
        aliases: other names of values.
        create_time: seconds since the epoch.
    """

    name: str
    encoder: str
    keep_negative: bool
    aliases: tuple[Alias, ...]
    create_time: float
    space: str = "auto"

    def write(self, folder: Path) -> None:
        """Writes the settings into the collection's folder."""
        text = json.dumps(asdict(self), indent=2, ensure_ascii=False)
        with (folder / SETTINGS_FILE).open("w", encoding="utf-8") as file:
            file.write(text + "\n")
            file.flush()
            os.fsync(file.fileno())


def read_settings(folder: Path) -> CollectionSettings:
    """Reads what `write` wrote."""
    content = json.loads((folder / SETTINGS_FILE).read_text(encoding="utf-8"))
    aliases = tuple(Alias(**alias) for alias in content.pop("aliases"))
    # Collections were always `sum` before there was a choice.
    return CollectionSettings(**{"space": "sum", **content}, aliases=aliases)
