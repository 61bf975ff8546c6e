"""What a snapshot says of itself, and of the files that it is made of."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tashihiki.errors import FailedPreconditionError
from tashihiki_server.durable import json_checksum, read_json, write_json

FORMAT = 1
MANIFEST_FILE = "manifest.json"
_BLOCK = 1 << 20


@dataclass(frozen=True)
class FileFacts:
    """The size and SHA-256 (in hex) that a file had when it was written."""

    size: int
    sha256: str


@dataclass(frozen=True)
class Snapshot:
    """A copy of a collection as it was at one moment.

    Attributes:
        collection: that it is of.
        name: unique among its snapshots.
        create_time: seconds since the epoch.
        item_count: how many items it holds.
        encoder: fingerprint of what its embeddings come from.
        files: what it is made of, by name.
    """

    collection: str
    name: str
    create_time: float
    item_count: int
    encoder: str
    files: Mapping[str, FileFacts]

    @property
    def size_bytes(self) -> int:
        """Of its files together."""
        return sum(facts.size for facts in self.files.values())

    def write(self, folder: Path) -> None:
        """Writes the manifest into the snapshot's folder.

        Raises:
            OSError: when the disk does not take it.
        """
        content = {
            "format": FORMAT,
            "collection": self.collection,
            "name": self.name,
            "create_time": self.create_time,
            "item_count": self.item_count,
            "encoder": self.encoder,
            "files": {name: vars(facts) for name, facts in self.files.items()},
        }
        write_json(folder / MANIFEST_FILE, {**content, "checksum": json_checksum(content)})


def read_snapshot(folder: Path) -> Snapshot:
    """Reads what `Snapshot.write` wrote; its files are not looked at.

    Raises:
        FailedPreconditionError: SNAPSHOT_DAMAGED.
    """
    try:
        content = read_json(folder / MANIFEST_FILE)
        if content["format"] != FORMAT:
            raise ValueError(f"its format is {content['format']}, not {FORMAT}")
        if content["checksum"] != json_checksum(content):
            raise ValueError(f"{MANIFEST_FILE} has changed since it was written")
        return Snapshot(
            content["collection"],
            content["name"],
            content["create_time"],
            content["item_count"],
            content["encoder"],
            {name: FileFacts(**facts) for name, facts in content["files"].items()},
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise damaged(folder, str(error)) from error


def damaged(folder: Path, why: str) -> FailedPreconditionError:
    """The error for a snapshot that is not what was written."""
    return FailedPreconditionError(
        f"the snapshot {folder.name} of {folder.parent.name} is damaged: {why}",
        reason="SNAPSHOT_DAMAGED",
        field="name",
        remedy="Restore another snapshot, or take its folder from a backup.",
    )


def facts_of(path: Path, advanced: Callable[[int], None] = lambda count: None) -> FileFacts:
    """Reads a file to its end.

    Args:
        path: of the file.
        advanced: told the size of each block that was read.

    Raises:
        OSError: when it cannot be read.
    """
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
            size += len(block)
            advanced(len(block))
    return FileFacts(size, digest.hexdigest())


def copy_file(source: Path, target: Path, advanced: Callable[[int], None]) -> FileFacts:
    """Copies a file, and tells what was copied; the copy is not synced.

    Args:
        source, target: paths.
        advanced: told the size of each block that was copied.

    Raises:
        OSError: when one cannot be read, or the other written.
    """
    digest, size = hashlib.sha256(), 0
    with source.open("rb") as file, target.open("wb") as copy:
        while block := file.read(_BLOCK):
            digest.update(block)
            copy.write(block)
            size += len(block)
            advanced(len(block))
    return FileFacts(size, digest.hexdigest())
