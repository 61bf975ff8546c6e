"""What is fixed when a collection is created."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from tashihiki_server.durable import json_checksum, read_json, write_json
from tashihiki_server.vocabulary import Alias

SETTINGS_FILE = "collection.json"


@dataclass(frozen=True)
class CollectionSettings:
    """A collection's name and ways.

    Attributes:
        name: unique in the data folder.
        encoder: fingerprint; changes with the encoder, alone of all.
        keep_negative: of the sum space.
        space: `sum`; `factored`, which `sum` stands in for until a facet has two values; or
            `auto`, `sum` until the labels are enough to fit a factored space.
        aliases: other names of values.
        create_time: seconds since the epoch.
        target_recall: the share of the nearest items that searches shall find, from 0.5 to 1.
        request_id: of the request that made it, or "".
        previous_encoder: fingerprint of the encoder before the last change, or "".
    """

    name: str
    encoder: str
    keep_negative: bool
    aliases: tuple[Alias, ...]
    create_time: float
    space: str = "auto"
    target_recall: float = 0.99
    request_id: str = ""
    previous_encoder: str = ""

    def write(self, folder: Path) -> None:
        """Writes the settings into the collection's folder.

        Raises:
            OSError: when the disk does not take it; what was there stays.
        """
        # As it will be read back, so that the checksum is of the same text.
        content = json.loads(json.dumps(asdict(self)))
        write_json(folder / SETTINGS_FILE, {**content, "checksum": json_checksum(content)})


def read_settings(folder: Path) -> CollectionSettings:
    """Reads what `write` wrote.

    Raises:
        OSError: when there is none.
        ValueError: when it has changed since.
    """
    try:
        content = read_json(folder / SETTINGS_FILE)
        # Settings of the first release have none.
        checksum = content.pop("checksum", None)
        if checksum not in (None, json_checksum(content)):
            raise ValueError(f"{SETTINGS_FILE} has changed since it was written")
        aliases = tuple(Alias(**alias) for alias in content.pop("aliases"))
        # Collections were always `sum` before there was a choice.
        return CollectionSettings(**{"space": "sum", **content}, aliases=aliases)
    except (AttributeError, TypeError, KeyError) as error:
        raise ValueError(f"{SETTINGS_FILE} is not of the right form: {error}") from error
