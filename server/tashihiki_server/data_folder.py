"""A data folder before anything in it is opened: its lock and its format."""

from __future__ import annotations

import fcntl
import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO

from tashihiki.errors import FailedPreconditionError
from tashihiki_server.durable import read_json, write_json

logger = logging.getLogger(__name__)

FORMAT = 2
FORMAT_FILE = "format.json"
LOCK_FILE = "lock"
COLLECTIONS = "collections"
ENCODERS = "encoders"
SNAPSHOTS = "snapshots"


def _from_1(folder: Path) -> None:
    """Nothing yet: a collection is brought up to date when it is opened.

    The number alone keeps the release before from opening catalogues that it cannot read.
    """


# From format N to N + 1, by N. A step may be cut short, so it must bear being taken again.
Upgrades = Mapping[int, Callable[[Path], None]]
UPGRADES: Upgrades = {1: _from_1}


def lock_folder(folder: Path) -> IO[str]:
    """Makes the folder where it is missing, and takes it for this process.

    Returns:
        The lock; closing it lets the folder go.

    Raises:
        FailedPreconditionError: DATA_FOLDER_IN_USE or DATA_FOLDER_UNUSABLE.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / LOCK_FILE).open("a+")
    except OSError as error:
        raise unusable(folder, str(error)) from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.seek(0)
        owner = file.read().strip() or "unknown"
        file.close()
        raise FailedPreconditionError(
            f"the data folder {folder} is in use by process {owner}",
            reason="DATA_FOLDER_IN_USE",
            field="data",
            remedy="Stop the server that uses it, choose another folder with --data, or send photos"
            " to the server with `tashihiki index --server`.",
        ) from None
    try:
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
    except OSError as error:
        file.close()
        raise unusable(folder, str(error)) from error
    return file


def bring_up_to_date(folder: Path, newest: int = FORMAT, upgrades: Upgrades = UPGRADES) -> None:
    """Gives a new folder its format, and takes an older one step by step to the newest.

    Args:
        folder: that this process has locked.
        newest: the format that this release reads.
        upgrades: from each older format to the next.

    Raises:
        FailedPreconditionError: DATA_FOLDER_FORMAT, or DATA_FOLDER_UNUSABLE when the disk takes
            no more.
    """
    path = folder / FORMAT_FILE
    try:
        # What holds collections and has lost its format may be of any.
        if not path.exists() and not (folder / COLLECTIONS).exists():
            write_json(path, {"format": newest})
        found = read_format(folder)
        if not isinstance(found, int) or found not in {newest, *upgrades}:
            raise _foreign(folder, found, newest)
        while found < newest:
            logger.info("%s: format %d becomes %d", folder, found, found + 1)
            upgrades[found](folder)
            found += 1
            write_json(path, {"format": found})
    except OSError as error:
        raise unusable(folder, str(error)) from error


def read_format(folder: Path) -> int | str:
    """The format that a folder says it has, or in words why it says none."""
    try:
        found = read_json(folder / FORMAT_FILE)["format"]
    except FileNotFoundError:
        return "missing"
    except (ValueError, KeyError, TypeError):
        return "unreadable"
    return found if type(found) is int else "unreadable"


def _foreign(folder: Path, found: int | str, newest: int) -> FailedPreconditionError:
    if isinstance(found, int):
        message = f"the data folder {folder} has format {found}, this server reads {newest}"
        remedy = "Use the release that wrote it, or choose another folder with --data."
    else:
        message = f"{folder / FORMAT_FILE} is {found}, so the folder's format is not known"
        remedy = (
            f'If this release wrote the folder, write {{"format": {newest}}} into that file;'
            " else take the file from a backup."
        )
    return FailedPreconditionError(
        message, reason="DATA_FOLDER_FORMAT", field="data", remedy=remedy
    )


def unusable(
    folder: Path, why: str, remedy: str = "Check its permissions and the room on its disk."
) -> FailedPreconditionError:
    """The error for a data folder that cannot be read or written."""
    return FailedPreconditionError(
        f"the data folder {folder} cannot be used: {why}",
        reason="DATA_FOLDER_UNUSABLE",
        field="data",
        remedy=remedy,
    )
