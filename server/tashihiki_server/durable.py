"""Files and names that last through a power cut."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def sync(path: Path) -> None:
    """Puts a file's content, or a folder's names, on the disk.

    Raises:
        OSError: when the disk does not take it.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_json(path: Path, content: Any) -> None:
    """Writes a JSON file that is there whole, in its old form or in its new one.

    Raises:
        OSError: when the disk does not take it; the old file stays.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("w", encoding="utf-8") as file:
            json.dump(content, file, indent=2, ensure_ascii=False, allow_nan=False)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    sync(path.parent)


def sync_tree(folder: Path) -> None:
    """Puts every file in a folder, and every name, on the disk.

    Raises:
        OSError: when the disk does not take it.
    """
    for path in folder.rglob("*"):
        sync(path)
    sync(folder)


def read_json(path: Path) -> Any:
    """What a JSON file says.

    Raises:
        OSError: when it cannot be read.
        ValueError: when it is no JSON, or nested too deep.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except RecursionError as error:
        raise ValueError("its values are nested too deep") from error


def json_checksum(content: Mapping[str, Any]) -> str:
    """SHA-256 in hex of what a JSON file says but for its own `checksum`."""
    facts = {name: fact for name, fact in content.items() if name != "checksum"}
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
